"""A trace's context as W3C writes it: what is no context is as good as none, and never an error."""

import pytest

from shared import tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

READ = {
    "version 00, sampled": (f"00-{TRACE}-{SPAN}-01", f"{TRACE}-{SPAN}-01"),
    "not sampled": (f"00-{TRACE}-{SPAN}-00", f"{TRACE}-{SPAN}-00"),
    "flags that nobody knows are left out": (f"00-{TRACE}-{SPAN}-ff", f"{TRACE}-{SPAN}-01"),
    "blanks around it": (f" 00-{TRACE}-{SPAN}-01\t", f"{TRACE}-{SPAN}-01"),
    "a later version": (f"cc-{TRACE}-{SPAN}-01", f"{TRACE}-{SPAN}-01"),
    "a later version with more behind it": (f"cc-{TRACE}-{SPAN}-01-what-the-future-says", f"{TRACE}-{SPAN}-01"),
}
REFUSED = {
    "nothing": "",
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "version 00 with more behind it": f"00-{TRACE}-{SPAN}-01-more",
    "a later version with something glued to it": f"cc-{TRACE}-{SPAN}-01more",
    "capitals": f"00-{TRACE.upper()}-{SPAN}-01",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "too short": f"00-{TRACE[1:]}-{SPAN}-01",
    "no flags": f"00-{TRACE}-{SPAN}",
    "other letters": f"00-{'g' * 32}-{SPAN}-01",
    "a line end": f"00-{TRACE}-{SPAN}-01\n",
}


@pytest.mark.parametrize(("header", "context"), READ.values(), ids=READ.keys())
def test_a_traceparent_is_read(header: str, context: str) -> None:
    """By the rules of W3C's Trace Context."""
    assert tracing.read([header]) == context


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_traceparent_is_none(header: str) -> None:
    """A trace of its own begins then."""
    assert tracing.read([header]) == ""


def test_two_traceparents_are_none() -> None:
    """Nobody knows which one is meant."""
    one = f"00-{TRACE}-{SPAN}-01"

    assert tracing.read([one, one]) == ""
    assert tracing.read([]) == ""


def test_a_context_that_was_read_is_written_as_it_came() -> None:
    """And one of a trace that nobody traces is written as nothing."""
    assert tracing.traceparent(tracing.read([f"00-{TRACE}-{SPAN}-01"])) == f"00-{TRACE}-{SPAN}-01"
    assert tracing.traceparent(TRACE) == tracing.traceparent("") == ""


def test_a_new_execution_keeps_the_span_that_makes_it() -> None:
    """And a trace of its own outside of any."""
    with tracing.entered(f"{TRACE}-{SPAN}-01"):
        assert tracing.born() == f"{TRACE}-{SPAN}-01"
    assert len(tracing.born()) == 32
    assert tracing.born() != tracing.born()


def test_the_nearest_span_is_the_current_one_of_the_same_trace() -> None:
    """What is done for another execution meanwhile belongs to that one's trace."""
    other = f"{'a' * 32}-{SPAN}-01"
    with tracing.entered(f"{TRACE}-{'1' * 16}-01"):
        assert tracing.nearest(f"{TRACE}-{SPAN}-01") == f"{TRACE}-{'1' * 16}-01"
        assert tracing.nearest("") == f"{TRACE}-{'1' * 16}-01"
        assert tracing.nearest(other) == other
    assert tracing.nearest(other) == other
