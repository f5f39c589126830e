"""A ride from one place to another."""

from typing import Final

from shared.planner.domain import Detail, Domain, StepShape

RIDE: Final = Domain(
    name="ride",
    nouns=(
        "taxi", "cab", "ride", "lift", "uber",
        "pick me up", "pick us up", "take me", "take us", "drive me", "drive us",
    ),
    verbs=tuple("book reserve get order call arrange organise organize need want request schedule back".split()),
    names=("table", "search", "calendar"),
    empty=("take", "drive", "pick", "up"),
    beside=True,
    phase=1,
    details=(
        Detail(name="pickup", kind="from", after=("from",), ask="Where should the ride start?"),
        Detail(name="destination", kind="to", after=("to",), ask="Where should the ride go?"),
        Detail(name="when", kind="moment"),
        Detail(name="passengers", kind="party", default="1", rule="a ride for the person who asks", profile="party_size"),
    ),
    steps=(
        StepShape(
            tool="book_ride",
            args=(
                ("pickup", "pickup"),
                ("destination", "destination"),
                ("date", "date"),
                ("time", "time"),
                ("passengers", "passengers"),
            ),
            came="a car at {pickup} on {date} at {time}, reference {ride_id}",
        ),
    ),
    booking=True,
    label="the ride at {time}",
    summary="ride for {passengers} from {pickup} to {destination} on {moment}",
    confirmation="Ride from {pickup} to {destination} on {date} at {time}. Reference {step:book_ride.ride_id}.",
    title="Ride to {destination}",
)  # fmt: skip
