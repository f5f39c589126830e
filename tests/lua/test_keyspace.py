"""docs/keyspace.md against keys.py and against the Header: nothing undocumented, nothing that is gone."""

import inspect
from typing import Any

import pytest

from shared.machine.state import Header
from shared.redisdb import keys
from shared.redisdb.reader import _SHOWN
from tests.support import keyspace
from tests.support.executions import EXE, PP

SAMPLES: dict[str, Any] = {
    "execution": EXE,
    "partition": PP,
    "tenant": "acme",
    "key": "order 17",
    "user": "ann",
    "conversation": "trip",
    "schedule": f"sch_{PP}_{1:032x}",
    "nonce": "0f" * 16,
    "name": "ab12",
    "identity": "0a" * 16,
    "tag": "0a",
    "tool": "book_ride",
    "server": "desk",
    "cell": 3,
    "message": "ce-17:0",
    "beside": f"ie:{{p{PP}}}:due",
}
"""An argument of each name that a key function takes."""
TYPES = {"Hash": "hash", "String": "string", "Stream": "stream", "Sorted set": "zset", "List": "list"}
NOT_KEYS = {"partition_of", "partition_of_schedule", "spread", "all_partitions", "identity", "tag_of", "record_prefix"}

FUNCTIONS = {
    name: function
    for name, function in inspect.getmembers(keys, inspect.isfunction)
    if function.__module__ == keys.__name__ and not name.startswith("_") and name not in NOT_KEYS
}


def made(name: str) -> str:
    """A key as that function makes it."""
    return str(FUNCTIONS[name](*(SAMPLES[parameter] for parameter in inspect.signature(FUNCTIONS[name]).parameters)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_key_function_is_documented(name: str) -> None:
    """Its key matches one row, which names it, its type, who writes it and when it ends."""
    row = keyspace.row_of(made(name))
    assert row.function == name
    said = next(shown for said, shown in TYPES.items() if (FUNCTIONS[name].__doc__ or "").startswith(said))
    assert row.type == said
    assert row.written
    assert row.ends


def test_every_row_is_a_key() -> None:
    """Nothing on the page is gone from the code."""
    assert {row.function for row in keyspace.documented()} == {*FUNCTIONS, "LAYOUT", "LATENCIES"}
    assert keyspace.row_of(keys.LAYOUT).function == "LAYOUT"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_keys_of_a_partition_share_its_hash_tag(name: str) -> None:
    """One script touches one slot of a cluster. What concerns several executions has tags of its own."""
    own = dict.fromkeys(("profile", "talk", "talk_rate"), keys.spread("ann")) | {
        "ping": keys.spread("0f" * 16),
        "place": keys.spread("ab12"),
    }
    pp = own.get(name, PP)
    others = {
        "event": f"e{PP}",
        "waiters": f"e{PP}",
        "past": f"e{PP}",
        "slot": f"k{PP}",
        "gates": "gates",
        "breaker": "gates",
        "quota": "q:acme",
        "mcp": "mcp",
        "mesh": "mesh",
        "delivery": "lag",
        "swept": "sweep",
    }
    tag = next((tag for first, tag in others.items() if name.startswith(first)), f"p{pp}")
    assert made(name).startswith(f"ie:{{{tag}}}:")


def test_every_header_field_is_documented() -> None:
    """And so is whatever a reader is shown."""
    known = keyspace.fields()
    for field in {*Header.__struct_fields__, *_SHOWN}:
        assert any(one.fullmatch(field) for one in known), field


@pytest.mark.parametrize("name", ["ie:{p0a}:x", "ie:{p40}:due", "ie:{p0a}:x:exe_0b_" + "0" * 32, "ie:{p0a}:due:x", "other"])
def test_another_key_is_found_out(name: str) -> None:
    """The check of this folder can fail: wrong partition, wrong tag, wrong shape."""
    with pytest.raises(AssertionError, match="is documented 0 times"):
        keyspace.row_of(name)
