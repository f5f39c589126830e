"""References between steps: what is one, what it finds, and what stays text."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.machine.refs import MAX_DEPTH, BadReference, Ref, find, resolve, step_name_ok

OUTPUTS = {
    "a": {"id": 7, "items": [{"sku": "x"}, {"sku": "y"}], "ok": True, "none": None, "10": "ten", "price": 1.5},
    "b": "text",
}


def put_in(value: Any) -> Any:
    """Resolved against OUTPUTS."""
    return resolve(value, OUTPUTS.__getitem__)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("${a.id}", 7, id="a number stays a number"),
        pytest.param("${a.ok}", True, id="a truth value stays one"),
        pytest.param("${a.none}", None, id="null stays null"),
        pytest.param("${a.items}", [{"sku": "x"}, {"sku": "y"}], id="a list stays a list"),
        pytest.param("${a}", OUTPUTS["a"], id="a step alone is its whole output"),
        pytest.param("${a.items.1.sku}", "y", id="a list is indexed by a number"),
        pytest.param("${a.10}", "ten", id="an object may have a number as key"),
        pytest.param("no ${a.id}", "no 7", id="within text a number is written"),
        pytest.param("${b}, ${a.ok}, ${a.none}", "text, true, null", id="within text JSON is written, and text as it is"),
        pytest.param("${a.items.0}!", '{"sku":"x"}!', id="within text an object is written as JSON"),
        pytest.param("$${a.id}", "${a.id}", id="two dollars are a literal one"),
        pytest.param("$${ and ${a.id}", "${ and 7", id="literal and reference stand together"),
        pytest.param("$$${a.id}", "$${a.id}", id="a dollar before a literal stays"),
        pytest.param("$5 {x} $ {", "$5 {x} $ {", id="dollars and braces apart are text"),
        pytest.param({"x": ["${a.id}", {"y": "${b}"}]}, {"x": [7, {"y": "text"}]}, id="nested anywhere"),
        pytest.param({"${a.id}": 1}, {"${a.id}": 1}, id="a key is no place for one"),
        pytest.param(["${a.id}", 1, None, 2.5], [7, 1, None, 2.5], id="other values are left alone"),
    ],
)
def test_what_a_reference_becomes(text: Any, value: Any) -> None:
    """The type too."""
    got = put_in(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text",
    ["${a.nothing}", "${a.id.x}", "${a.items.2}", "${a.items.x}", "${a.items.-1}", "${a.items.1_0}", "${b.0}", "${a.none.x}"],
)
def test_what_leads_nowhere_says_where(text: str) -> None:
    """Before anything is called."""
    with pytest.raises(BadReference, match=r"^\$\.deep\[0\]: the output of [ab]"):
        put_in({"deep": [text]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("${a.sku}", "has no 'sku'; it has 10, id, items, none, ok, price$", id="an object's names"),
        pytest.param("${a.items.9}", "has no '9'; it is a list of 2$", id="a list's length"),
        pytest.param("${b.id}", "has no 'id'; it is no object$", id="a text"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_what_there_is(text: str, says: str) -> None:
    """Names, and no values."""
    with pytest.raises(BadReference, match=says):
        put_in(text)


def test_a_tuple_is_looked_into_like_the_list_that_is_stored() -> None:
    """A fresh result and the same one read back decide the same."""
    assert resolve("${a.1.0}", {"a": (1, ("x",))}.__getitem__) == "x"


@pytest.mark.parametrize(
    "text", ["${", "${}", "${a", "${a.}", "${.a}", "${a..b}", "${1a}", "${a b}", "x ${ a } y", "${a.{b}}", "${${a}}"]
)
def test_what_looks_like_one_and_is_not_is_refused(text: str) -> None:
    """A plan with a slip of the pen must not run with the slip as text."""
    with pytest.raises(BadReference, match=r"^\$\.x: "):
        list(find({"x": text}))


@pytest.mark.parametrize("text", ["$${", "$$${{", "a $${ b {", "$$${", "{}$", "$"])
def test_what_is_text_is_not_refused(text: str) -> None:
    """Also where taking a reference out would leave something that looks like one."""
    assert list(find(text)) == []


def test_finding_names_step_path_and_place() -> None:
    """In the order in which they stand."""
    assert list(find({"x": ["${a.b.0}", "${c} ${d-1.e_f}"]})) == [
        Ref("a", ("b", "0"), "$.x[0]"),
        Ref("c", (), "$.x[1]"),
        Ref("d-1", ("e_f",), "$.x[1]"),
    ]


def test_arguments_may_not_be_nested_without_end() -> None:
    """A thousand brackets are a small request; walking them must not exhaust the stack."""

    def nested(levels: int) -> Any:
        return msgspec.json.decode(b"[" * levels + b'"${a}"' + b"]" * levels)

    assert len(list(find(nested(MAX_DEPTH)))) == 1
    with pytest.raises(BadReference, match="nested more than 64 levels"):
        list(find(nested(MAX_DEPTH + 1)))
    with pytest.raises(BadReference, match="nested more than 64 levels"):
        list(find(nested(900)))


@pytest.mark.parametrize("name", ["a", "_a", "A-1", "x" * 64])
def test_a_good_step_name(name: str) -> None:
    """It can be referred to."""
    assert step_name_ok(name)
    assert list(find(f"${{{name}}}")) == [Ref(name, (), "$")]


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a b", "ä", "x" * 65, "a\n", "-a", "${a}"])
def test_a_bad_step_name(name: str) -> None:
    """A dot would be a path, a blank or brace no reference."""
    assert not step_name_ok(name)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
_KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)


def escaped(value: Any) -> Any:
    """The same value written so that nothing in it is a reference."""
    match value:
        case str():
            return value.replace("${", "$${")
        case dict():
            return {key: escaped(item) for key, item in value.items()}
        case list():
            return [escaped(item) for item in value]
        case _:
            return value


@given(_JSON)
def test_whatever_is_escaped_comes_out_as_it_was(value: Any) -> None:
    """Any JSON can be said."""
    assert list(find(escaped(value))) == []
    assert resolve(escaped(value), OUTPUTS.__getitem__) == value


@given(st.text(alphabet="${}a.b- \\", max_size=12))
def test_what_finding_accepts_resolving_can_do(text: str) -> None:
    """Resolving fails for nothing but a path that leads nowhere, and finds the same references."""
    try:
        found = list(find(text))
    except BadReference:
        return
    asked: list[str] = []

    def output_of(step: str) -> Any:
        asked.append(step)
        return {"a": {"a": 1, "b": 2}, "b": 3, "-": 4}

    try:
        resolve(text, output_of)
    except BadReference:
        assert any(ref.path for ref in found)
    else:
        assert asked == [ref.step for ref in found]


@given(_JSON, st.lists(_KEYS, min_size=1, max_size=4))
def test_a_whole_reference_gives_the_very_value_and_its_type(value: Any, path: list[str]) -> None:
    """Through any path."""
    output = value
    for part in reversed(path):
        output = {part: output}
    assert resolve({"x": f"${{s.{'.'.join(path)}}}"}, {"s": output}.__getitem__) == {"x": value}
