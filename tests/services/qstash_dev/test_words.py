"""The small languages: durations, hints, retry-delay expressions, header names."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.qstash_dev import durations, expression, headers, ids


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("10s", 10_000), ("1d10h30m", 124_200_000), ("1h30m3s", 5_403_000), ("30", 30_000), ("0", 0), (" 2m ", 120_000)],
)
def test_durations_have_units_and_a_bare_number_is_seconds(text: str, milliseconds: int) -> None:
    """`<int><unit>`, compound; the workflow SDKs send Upstash-Timeout without a unit."""
    assert durations.parse_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "s", "10x", "-1s", "1.5s", "1 0s", "10s!", "\u0661\u0660s", "100ms", "9" * 40])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Including Go's own forms, which only destinations may use."""
    with pytest.raises(ValueError, match="duration"):
        durations.parse_ms(text)


@given(st.integers(0, 10**9))
def test_a_duration_written_is_read_back(seconds: int) -> None:
    """`format_s` and `parse_ms` agree."""
    assert durations.parse_ms(durations.format_s(seconds * 1_000)) == seconds * 1_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("6m5s", 365_000), ("1.5s", 1_500), ("300ms", 300), ("1h", 3_600_000), ("2us", 0.002), ("1µs", 0.001), ("10ns", 1e-5)],
)
def test_go_durations_are_read(text: str, milliseconds: float) -> None:
    """As in rate-limit headers."""
    assert durations.parse_go_ms(text) == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        pytest.param("0", 0, id="at-once"),
        pytest.param("120", 120_000, id="seconds"),
        pytest.param("0.5", 500, id="fraction"),
        pytest.param("1m30s", 90_000, id="go"),
        pytest.param("Sun, 06 Nov 1994 08:50:37 GMT", 60_000, id="date"),
        pytest.param("Sun, 06 Nov 1994 08:40:00 GMT", 0, id="date-in-the-past"),
    ],
)
def test_a_hint_is_seconds_a_date_or_a_go_duration(text: str, milliseconds: float) -> None:
    """Relative to now for a date."""
    assert durations.parse_hint_ms(text, 784_111_777_000) == milliseconds


@pytest.mark.parametrize("text", ["soon", "", "-5", "1x", "Someday, 99 Foo 1994"])
def test_what_is_no_hint_is_a_value_error(text: str) -> None:
    """So the caller can go on to the next header."""
    with pytest.raises(ValueError, match=r".+"):
        durations.parse_hint_ms(text, 0)


@pytest.mark.parametrize(
    ("text", "retried", "value"),
    [
        ("1000", 3, 1000),
        ("1000 * (1 + retried)", 2, 3000),
        ("pow(2, retried)", 5, 32),
        ("max(10, pow(2, retried))", 1, 10),
        ("min(1, 2, 0.5)", 0, 0.5),
        ("max(7)", 0, 7),
        ("2 - 3 - 4", 0, -5),
        ("8 / 4 / 2", 0, 1),
        ("2 + 3 * 4", 0, 14),
        ("-(2 - 5) * --2", 0, 6),
        ("sqrt(16) + abs(-3) + exp(0)", 0, 8),
        ("floor(1.9) + ceil(1.1) + round(2.5)", 0, 6),
        ("1e3", 0, 1000),
        ("  .5*retried ", 4, 2),
    ],
)
def test_expressions_have_the_documented_words(text: str, retried: int, value: float) -> None:
    """Precedence, associativity, and every function."""
    assert expression.evaluate(text, retried) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "1 2",
        "(1",
        "1)",
        "retry",
        "__import__('os')",
        "retried.real",
        "2 ** 3",
        "2 % 3",
        "1 / retried",
        "sqrt(0 - 1)",
        "pow(9, 999)",
        "exp(9999)",
        "pow(2)",
        "abs(1, 2)",
        "max()",
        "pow",
        "1,2",
        "1e999",
        "(" * 40 + "1" + ")" * 40,
        "1" + "+1" * 200,
        "\u0661",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Never handed to Python, never deep enough to break the stack, never without a finite value."""
    with pytest.raises(expression.BadExpression):
        expression.evaluate(text, 0)


@given(st.text(alphabet="0123456789.+-*/(), retriedpowminaxsqbfloceun_\"'é", max_size=60), st.integers(0, 5))
def test_no_text_does_anything_but_a_number_or_bad_expression(text: str, retried: int) -> None:
    """The evaluator is total."""
    with contextlib.suppress(expression.BadExpression):
        assert isinstance(expression.evaluate(text, retried), float)


def test_names_are_written_as_go_writes_them() -> None:
    """`x-REQUEST-id` is `X-Request-Id`."""
    assert [headers.canonical(name) for name in ("x-REQUEST-id", "a", "-", "TE")] == ["X-Request-Id", "A", "-", "Te"]


@pytest.mark.parametrize(
    "pair", [("a b", "v"), ("", "v"), ("a:", "v"), ("é", "v"), ("a", "v\r\nb: 1"), ("a", "\x00"), ("a", "\x7f")]
)
def test_a_header_that_would_break_a_request_is_not_usable(pair: tuple[str, str]) -> None:
    """A tab and any text above ASCII are fine in a value."""
    assert not headers.usable(*pair)
    assert headers.usable("A-b_1", "tab\tand é and ✓")


def test_ids_have_the_shapes_of_qstash() -> None:
    """`msg_` and 53 base58 characters; dead letters are stream-like and never repeat."""
    made = {ids.message_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(one) == 57 and set(one[4:]) <= set(ids.BASE58) for one in made)
    first, second = ids.dlq_id(7), ids.dlq_id(7)
    assert first != second
    assert first.startswith("7-")
    assert ids.jwt_id().startswith("jwt_")
