"""Every interleaving of a small execution keeps the promises, and every guard is there because something breaks without it."""

from typing import NamedTuple

import pytest

from tests.model.__main__ import main
from tests.model.cases import BOTH, CANCEL, EVENT, SHORT, Case
from tests.model.cross import Child, EventByKey
from tests.model.protocol import NO_FAULTS, Protocol
from tests.model.search import Found, search
from tests.model.state import Budget, Guards


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_the_protocol_keeps_every_promise_and_never_hangs(case: Case) -> None:
    """All states are visited: none breaks a promise, and from each one fair moves alone lead to rest.

    A count that moves means that the model has changed: it is pinned so that nobody narrows the search unawares.
    """
    assert search(case.protocol()) == Found(case.states)


class Mutant(NamedTuple):
    """Guards taken away, in the smallest run that shows what they were for."""

    without: str
    plan: str
    budget: Budget
    clients: tuple[str, ...] = ()
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.plan} without {self.without.replace(' ', ' and ')}: {self.fault or 'no fault'}"

    def search(self, guards: Guards | None = None) -> Found:
        """Search this run with its guards away, or with those given."""
        guards = guards or Guards(**dict.fromkeys(self.without.split(), False))
        return search(Protocol(self.plan, self.budget, self.clients, guards))


SLOW = Budget(expire=1, resend=1)  # a second executor comes while a slow one still believes that it holds
CAUGHT = (
    Mutant("check", "I", SLOW, (), "stale holder's result stored"),
    Mutant("version", "I", Budget(failover=1), (), "completed without a result"),
    Mutant("owner", "I", Budget(resend=1, failover=1), (), "stale holder's result stored"),
    Mutant("lease", "U", Budget(duplicate=1), (), "needless stop as unknown"),
    Mutant("lease", "P", Budget(duplicate=1), (), "P done twice"),
    Mutant("intent", "U", Budget(crash=1), (), "U done twice"),
    Mutant("intent", "P", Budget(crash=1), (), "P done twice"),
    Mutant("intent", "I", Budget(crash=1), CANCEL, "compensated but an effect is left"),
    Mutant("flags", "I", NO_FAULTS, CANCEL, "forward intent after a cancel"),
    Mutant("flags", "W", NO_FAULTS, BOTH, "completed over a cancel"),
    Mutant("inbox due_unseen", "W", NO_FAULTS, EVENT, "stuck"),
    Mutant("wake due_unseen", "W", NO_FAULTS, EVENT, "stuck"),
    Mutant("due_unseen", "W", Budget(drop=1), EVENT, "stuck"),
    Mutant("due_unseen", "W", Budget(drop=1), CANCEL, "stuck"),
    Mutant("due", "I", Budget(drop=1), (), "stuck"),
    Mutant("due", "I", Budget(crash=1), (), "stuck"),
    Mutant("outbox due", "I", Budget(crash=1), (), "stuck"),
    Mutant("hint outbox due", "I", Budget(refuse=1), (), "stuck"),
    Mutant("epoch nonce", "I", Budget(drop=1), (), "stuck"),
    Mutant("epoch nonce", "I", Budget(failover=1), (), "stuck"),
    Mutant("settle", "P", Budget(crash=1), (), "P done twice"),
    Mutant("tombstone settle", "I", Budget(crash=1), CANCEL, "compensated but an effect is left"),
    Mutant("deadline", "P", SLOW, (), "P done twice"),
    Mutant("tombstone deadline", "I", Budget(expire=1), CANCEL, "compensated but an effect is left"),
    Mutant("create_barrier", "I", Budget(failover=1), (), "accepted execution lost"),
    Mutant("signal_barrier", "I", Budget(failover=1), CANCEL, "accepted cancel lost"),
    Mutant("signal_barrier", "W", Budget(failover=1), EVENT, "accepted event lost"),
    Mutant("intent_barrier", "U", Budget(failover=1), (), "U done twice"),
    Mutant("intent_barrier", "P", Budget(failover=1), (), "P done twice"),
    Mutant("intent_barrier", "I", Budget(failover=1), CANCEL, "compensated but an effect is left"),
    Mutant("undo_barrier", "IM", Budget(failover=1), (), "completed but an effect is missing"),
)
# Alone, these buy a second line of defence, or messages and time: what stands in for each is said at the guard.
SPARED = (
    Mutant("inbox", "W", NO_FAULTS, EVENT),
    Mutant("wake", "W", NO_FAULTS, BOTH),
    Mutant("outbox", "I", Budget(crash=1)),
    Mutant("hint", "I", Budget(refuse=1)),
    Mutant("hint due", "I", Budget(refuse=1)),
    Mutant("epoch", "I", Budget(drop=1, failover=1)),
    Mutant("nonce", "I", Budget(drop=1, failover=1)),
    Mutant("tombstone", "I", Budget(crash=1), CANCEL),
    Mutant("settle", "I", Budget(crash=1), CANCEL),
    Mutant("deadline", "I", Budget(expire=1), CANCEL),
    Mutant("segment", "II", Budget(duplicate=1)),
    Mutant("terminal", "I", Budget(duplicate=1)),
)


@pytest.mark.parametrize("mutant", CAUGHT, ids=str)
def test_without_this_guard_a_promise_breaks(mutant: Mutant) -> None:
    """The same run is sound with every guard, so it is the guard that matters."""
    assert mutant.search().fault == mutant.fault
    assert mutant.search(Guards()).fault == ""


@pytest.mark.parametrize("mutant", [m for m in CAUGHT if " " in m.without], ids=str)
def test_guards_are_paired_only_where_one_of_them_is_not_caught_alone(mutant: Mutant) -> None:
    """The other guard stands in for it, so a mutant of the code must lose both before a test can see it."""
    alone = [mutant._replace(without=name).search().fault for name in mutant.without.split()]
    assert "" in alone


@pytest.mark.parametrize("mutant", SPARED, ids=str)
def test_without_this_guard_alone_the_promises_still_hold(mutant: Mutant) -> None:
    """A test of the code that kills such a mutant must remove its stand-in as well, or count messages."""
    found = mutant.search()
    assert found.exhausted
    assert found.fault == ""


@pytest.mark.parametrize("guard", Guards._fields)
def test_every_guard_is_in_the_tables(guard: str) -> None:
    """A guard nobody removes is a guard nobody has tested."""
    assert any(guard in mutant.without.split() for mutant in CAUGHT + SPARED)


@pytest.mark.parametrize("guard", ["segment", "terminal"])
def test_a_cost_guard_spares_an_acquire(guard: str) -> None:
    """Without it a duplicate takes the lease and loads the state for nothing."""
    for protocol, expected in ((Protocol("II", Budget(duplicate=1)), False), (_without(guard), True)):
        assert _acquires_for_nothing(protocol) is expected


def test_a_counter_example_reads_as_a_story() -> None:
    """The trace of V4: the probe said no, and then the request of the dead executor landed."""
    found = Mutant("settle", "P", Budget(crash=1)).search()
    assert found.trace == (
        "create > ingress publishes > deliver > acquire > intent > call > executor crashes when waiting > lease expires"
        " > deliver > acquire > probe says no > late request lands > call > tool answers"
    )


def test_a_search_that_is_cut_short_does_not_claim_to_have_seen_all() -> None:
    """A limit is for the machine's sake; its answer is not a proof."""
    assert not search(Protocol("II"), limit=100).exhausted


def test_a_wait_and_an_event_on_two_partitions_always_meet() -> None:
    """Subscribe is one script, and there is an outbox on either side."""
    assert search(EventByKey()) == Found(41)


@pytest.mark.parametrize(
    "model",
    [EventByKey(atomic=False), EventByKey(subscribe_outbox=False), EventByKey(delivery_outbox=False)],
    ids=["subscribe reads, then adds", "no subscribe outbox", "no delivery outbox"],
)
def test_an_event_by_key_is_lost_between_two_partitions(model: EventByKey) -> None:
    """The wait and the event both exist, and nobody will ever bring them together."""
    assert search(model).fault == "stuck"


def test_a_cancelled_parent_leaves_no_running_child() -> None:
    """A cancel that overtakes its create leaves a tombstone, and the child is born cancelled."""
    assert search(Child()) == Found(79)


def test_without_a_tombstone_a_child_outlives_the_cancel_that_came_first() -> None:
    """The cancel finds no child, the create comes later, and nobody asks again."""
    found = search(Child(tombstone=False))
    assert found.fault == "running child of a cancelled parent"
    assert found.trace == "cancel parent > relay cancel > relay create > create acked > cancel acked"


def test_the_table_can_be_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m tests.model` names each configuration and what was found in it."""
    monkeypatch.setattr("tests.model.__main__.SHORT", SHORT[:1])
    assert main([]) == 0
    assert "II: no faults" in capsys.readouterr().out


def _without(guard: str) -> Protocol:
    return Protocol("II", Budget(duplicate=1), guards=Guards(**{guard: False}))


def _acquires_for_nothing(protocol: Protocol) -> bool:
    """Whether any reachable acquire is by a message of an older segment, or after the end."""
    states, seen = [protocol.start()], {protocol.start()}
    for state in states:
        asked = [e.segment for e in state.executors if e.at == "asked"]
        for name, after, _ in protocol.moves(state):
            idle = state.record.status == "completed" or state.record.segment not in asked
            if name == "acquire" and idle:
                return True
            if after not in seen:
                seen.add(after)
                states.append(after)
    return False
