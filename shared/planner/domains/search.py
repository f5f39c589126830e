"""Looking for restaurants without booking one."""

from typing import Final

import msgspec

from shared.planner import lexicon
from shared.planner.domain import Detail, Domain, StepShape
from shared.planner.domains.table import AREA, CUISINE, PARTY, WHEN

_ARGS: Final = (("cuisine", "cuisine"), ("area", "area"), ("party_size", "party_size"), ("date", "date"), ("time", "time"))

SEARCH: Final = Domain(
    name="search",
    opens=(*lexicon.LOOK_VERBS, "what", "which", "any", "are", "where", "recommend", "suggest", "i'm", "we're"),
    nouns=("restaurants", "restaurant", "places to eat", "place to eat", "somewhere to eat", "eat", "places", "somewhere"),
    verbs=(*lexicon.LOOK_VERBS, "recommend", "suggest"),
    empty=(
        "what", "which", "any", "are", "there", "is", "where", "can", "could", "me", "us", "up", "free", "open", "available",
        "have", "has", "good", "nice", "that", "out", "places", "place", "some", "food", "seats", "tables", "free tables",
        "i'm", "we're", "looking", "table", "a table", "like",
    ),
    over=("table",),
    details=(
        Detail(name="restaurant", kind="name", after=("at restaurant", "at"), unread='What is "{words}"?'),
        AREA,
        WHEN,
        PARTY,
        CUISINE,
    ),
    steps=(
        StepShape(
            tool="search_restaurants",
            args=_ARGS,
            each=("restaurants", "{restaurant} ({cuisine}, {area})", "no restaurant has a table then"),
        ),
    ),
    summary="search for restaurants for {party_size} on {moment}{wishes}",
)  # fmt: skip
SEARCH_TABLES: Final = msgspec.structs.replace(SEARCH, steps=(StepShape(tool="find_table", args=_ARGS),))
"""Where there is no search: the best table that is free."""
