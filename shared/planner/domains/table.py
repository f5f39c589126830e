"""A table in a restaurant."""

from typing import Final

from shared.planner import lexicon
from shared.planner.domain import Detail, Domain, StepShape

PARTY: Final = Detail(name="party_size", kind="party", profile="party_size", ask="For how many people?")
WHEN: Final = Detail(name="when", kind="moment", meals=True, profile="dinner_time")
AREA: Final = Detail(
    name="area",
    kind="name",
    after=("in", "near", "around", "close to"),
    known=lexicon.AREA_PLACES,
    alone=lexicon.AREA_WORDS,
)
CUISINE: Final = Detail(
    name="cuisine",
    kind="choice",
    values=tuple(lexicon.CUISINES.items()),
    nouns=lexicon.FOOD_NOUNS,
    which="Which cuisine?",
)

TABLE: Final = Domain(
    name="table",
    nouns=("table", "reservation", "restaurant", "reserve at", "book at", *lexicon.MEALS),
    empty=(
        "make it",
        "nice",
        "lovely",
        *(f"{whose}{occasion}" for whose in ("", "our ", "my ") for occasion in ("anniversary", "birthday")),
    ),
    verbs=tuple("book reserve get make arrange organise organize plan execute schedule need want request secure".split()),
    looks=lexicon.LOOK_VERBS,
    look_or_do="Only look for a table, or book it too?",
    does=("table", "reservation"),
    finds=("table", "search"),
    details=(
        Detail(
            name="name",
            kind="name",
            after=("under the name of", "under the name", "in the name of", "in the name", "under"),
            profile="name",
            ask="Under which name should the table be reserved?",
        ),
        Detail(
            name="restaurant",
            kind="name",
            after=("at restaurant", "at"),
            unread='Is "{words}" the name of a restaurant? Then please put it in quotation marks.',
        ),
        AREA,
        WHEN,
        PARTY,
        CUISINE,
    ),
    steps=(
        StepShape(
            tool="find_table",
            args=(
                ("party_size", "party_size"),
                ("date", "date"),
                ("time", "time"),
                ("cuisine", "cuisine"),
                ("area", "area"),
                ("restaurant", "restaurant"),
            ),
        ),
        StepShape(
            tool="reserve_table",
            args=(
                ("restaurant", "step:find_table.restaurant"),
                ("party_size", "party_size"),
                ("date", "date"),
                ("time", "time"),
                ("name", "name"),
            ),
            came="{restaurant} on {date} at {time}, reference {reservation_id}",
        ),
    ),
    booking=True,
    place="reserve_table.restaurant",
    party="reserve_table.party_size",
    label="the table at {time}",
    summary="table for {party_size} on {moment}{wishes}",
    confirmation=(
        "Table for {step:reserve_table.party_size} at {step:reserve_table.restaurant} on {step:reserve_table.date} at "
        "{step:reserve_table.time}. Reference {step:reserve_table.reservation_id}."
    ),
    title="Table for {party_size} at {step:reserve_table.restaurant}",
)
