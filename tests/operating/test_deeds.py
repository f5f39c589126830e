"""What an action becomes: a signal, a reopening, or a refusal with the place."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from shared.actions import MAX_OUTPUT_BYTES, ToReopen, ToSignal, actor_of, check_input, deed_of, name_of
from shared.api.bodies import (
    ACTIONS,
    Action,
    Approve,
    Cancel,
    Compensate,
    Confirm,
    Edit,
    Pause,
    Reject,
    Resume,
    Retry,
    Settle,
    Skip,
)
from shared.errors import BadRequest, Conflict, TooLarge, Unprocessable
from shared.machine.accept import Problem
from shared.machine.signals import TAKEN
from shared.machine.state import Hold, Notes, Region, Signal
from shared.machine.status import TERMINAL, Cause, Reason, Status
from shared.redisdb.snapshots import Snapshot
from tests.machine.support import NOW, blueprint, execution
from tests.operating.support import PLAN, snapshot

BY = "acme/anna"


def asking() -> Snapshot:
    """Its second step waits for approval."""
    found = snapshot(cells="dw.")
    found.execution.holds[1] = Hold(kind=Reason.APPROVAL, since_ms=NOW, args={"q": 1}, args_hash="h")
    return found


def paused() -> Snapshot:
    """By somebody else."""
    found = snapshot(Status.PAUSED, "dr.")
    found.execution.grow(Notes(paused="acme/ben"))
    return found


def unconfirmed() -> Snapshot:
    """Its plan waits for a yes."""
    found = snapshot(Status.AWAITING_CONFIRMATION, "rr.")
    found.execution.grow(Notes(unconfirmed=True))
    return found


FITTING: list[tuple[Snapshot, Action]] = [
    (snapshot(cells="dr."), Cancel(undo=False)),
    (snapshot(cells="dr."), Compensate()),
    (snapshot(cells="dr."), Pause()),
    (paused(), Resume()),
    (snapshot(cells="db."), Retry(step="b")),
    (snapshot(cells="dr."), Skip(step="b", output=1)),
    (snapshot(cells="dr."), Edit(step="b", args={})),
    (asking(), Approve(step="b", args_hash="h")),
    (asking(), Reject(step="b")),
    (unconfirmed(), Confirm(plan_hash=unconfirmed().execution.header.plan)),
    (unconfirmed(), Reject()),
    (snapshot(cells="du."), Settle(step="b", happened=True)),
]


@pytest.mark.parametrize(("found", "action"), FITTING, ids=lambda one: name_of(one) if not isinstance(one, Snapshot) else "")
def test_what_fits_becomes_the_signal_that_the_machine_takes(found: Snapshot, action: Action) -> None:
    """It names who acts; asking changes nothing."""
    before = bytes(found.execution.cells)
    deed = deed_of(found, action, BY)
    assert isinstance(deed, ToSignal)
    assert deed.kind in TAKEN
    assert deed.payload["actor"] == BY
    assert "version" not in deed.payload
    assert deed.will
    assert bytes(found.execution.cells) == before


def test_every_action_is_tried() -> None:
    """None is forgotten above."""
    assert {name_of(action) for _, action in FITTING} == set(ACTIONS)


MISFITS: list[tuple[Snapshot, Action, str]] = [
    (snapshot(cells="dr.", head={"phase": "undo"}), Cancel(), "being undone"),
    (paused(), Pause(), "paused already"),
    (snapshot(cells="dr."), Resume(), "not paused"),
    (snapshot(cells="dr."), Retry(step="b"), "waits for no next attempt"),
    (snapshot(cells="di."), Skip(step="b"), "INTENDED"),
    (snapshot(cells="dd."), Edit(step="b", args={}), "DONE"),
    (asking(), Approve(step="b", args_hash="other"), "other arguments"),
    (snapshot(cells="dr."), Reject(step="b"), "does not wait for that"),
    (snapshot(cells="dr."), Reject(), "does not wait to be confirmed"),
    (unconfirmed(), Confirm(plan_hash="another"), "another plan"),
    (snapshot(cells="dr."), Settle(step="b", happened=True), "not unknown"),
    (snapshot(cells="dr."), Skip(step="zz"), "no step 'zz'"),
]


@pytest.mark.parametrize(("found", "action", "says"), MISFITS, ids=[name_of(action) for _, action, _ in MISFITS])
def test_what_the_machine_would_find_moot_is_refused_with_the_place(found: Snapshot, action: Action, says: str) -> None:
    """In the machine's own words."""
    with pytest.raises(Conflict, match=says) as caught:
        deed_of(found, action, BY)
    assert caught.value.error_code == "moot"
    assert caught.value.details["status"] == found.execution.header.status


def over(status: Status, cells: str) -> Snapshot:
    """One that ended."""
    return snapshot(status, cells, head={"cause": Cause.FAILED if status is Status.FAILED else Cause.NONE}, due_ms=None)


REMEDIES: list[tuple[Snapshot, Action, str]] = [
    (asking(), Approve(step="b", args_hash="other"), "GET /api/approvals lists what is asked, each with its argsHash"),
    (asking(), Reject(step="a"), "GET /api/approvals lists what is asked"),
    (unconfirmed(), Confirm(plan_hash="another"), "/why has the planHash"),
    (snapshot(cells="dr."), Approve(step="zz", args_hash="h"), "no step 'zz': its first steps are a, b"),
    (over(Status.COMPLETED, "dd."), Retry(step="b"), "nowhere: `restart` runs its plan anew, `fork` does from a step on"),
    (over(Status.COMPLETED, "dd."), Skip(step="b"), "`restart`"),
    (over(Status.FAILED, "df."), Retry(step="zz"), "no step 'zz': its first steps are a, b"),
]


@pytest.mark.parametrize(("found", "action", "says"), REMEDIES, ids=range(len(REMEDIES)))
def test_a_refusal_says_where_to_look_or_what_to_do_instead(found: Snapshot, action: Action, says: str) -> None:
    """Whoever acted without looking learns where to."""
    with pytest.raises(Conflict) as caught:
        deed_of(found, action, BY)
    assert caught.value.error_code == "moot"
    assert says in caught.value.message


def test_what_arrived_and_was_not_seen_yet_counts() -> None:
    """A resume right behind a pause fits, and a second pause does not."""
    found = snapshot(cells="dr.", unseen=(Signal(position=1, kind="pause", payload={"actor": "acme/ben"}),))
    assert isinstance(deed_of(found, Resume(), BY), ToSignal)
    with pytest.raises(Conflict, match="paused already"):
        deed_of(found, Pause(), BY)


def test_while_an_invocation_has_it_the_answer_says_so() -> None:
    """It looks before it goes on."""
    deed = deed_of(snapshot(Status.EXECUTING, "di.", lease_until_ms=NOW + 1), Pause(), BY)
    assert deed.will.endswith("once the running invocation looks")


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.FAILED])
def test_a_version_that_has_moved_on_is_refused(status: Status) -> None:
    """And the one that there is now is told."""
    with pytest.raises(Conflict) as caught:
        deed_of(snapshot(status, "db.", head={"cause": Cause.FAILED}), Retry(step="b", version=4), BY)
    assert (caught.value.error_code, caught.value.details["version"]) == ("version_conflict", 5)


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_what_is_over_is_acted_upon_only_with_the_version_that_was_seen(name: str, status: Status) -> None:
    """And only by what can leave it: of what cannot, no version is asked for."""
    said = {"step": "b", "args": {}, "args_hash": "h", "happened": True, "plan_hash": PLAN.hash}
    kind = ACTIONS[name]
    fields = {one: said[one] for one in kind.__struct_fields__ if one in said}
    found = snapshot(status, "df.", head={"cause": Cause.FAILED}, due_ms=None)
    blind, seeing = outcome(found, kind(**fields)), outcome(found, kind(**fields, version=5))
    assert (blind, seeing) in {("moot", "moot"), ("version_required", status)}
    assert seeing == "moot" or name in {"retry", "skip", "edit", "settle", "compensate"}


def outcome(found: Snapshot, action: Action) -> str:
    """The status that is left, or the code of the refusal."""
    try:
        deed = deed_of(found, action, BY)
    except (Conflict, Unprocessable) as error:
        return error.error_code
    assert isinstance(deed, ToReopen)
    return deed.origin


class OneTool:
    """A registry that knows `idem(q)`."""

    def get(self, name: str, version: str = "") -> Any:
        """See `shared.actions.Schemas`."""
        assert version == "1"
        return self if name == "idem" else None

    def check_args(self, name: str, args: Mapping[str, Any], place: str, version: str = "") -> Iterator[Problem]:
        """Only `q`, of the version that was pinned."""
        assert version == "1"
        for one in args:
            if one != "q":
                yield Problem(f"{place}.{one}", f"{name} takes no such argument")


@pytest.mark.parametrize(
    ("action", "error", "says"),
    [
        (Edit(step="b", args={"x": 1}), Unprocessable, r"\$\.args\.x"),
        (Approve(step="b", args_hash="h", args={"x": 1}), Unprocessable, r"\$\.args\.x"),
        (Edit(step="b", args={"q": "${a.n}"}), Unprocessable, "references are not"),
        (Edit(step="b", args={"q": "${}"}), Unprocessable, r"\$\.args\.q"),
        (Edit(step="a", args={}), Unprocessable, "no tool pure"),
        (Skip(step="b", output="x" * MAX_OUTPUT_BYTES), TooLarge, r"\$\.output"),
        (Settle(step="b", happened=True, output="x" * MAX_OUTPUT_BYTES), TooLarge, r"\$\.output"),
    ],
)
def test_bad_input_is_refused_before_anything_else(action: Action, error: type[BadRequest], says: str) -> None:
    """By the tool's own schema, and by what can be kept."""
    with pytest.raises(error, match=says):
        check_input(action, execution(PLAN), OneTool())


@pytest.mark.parametrize(
    "action", [Edit(step="b", args={"q": 1}), Skip(step="b", output="x"), Pause(), Edit(step="zz", args={})]
)
def test_good_input_passes(action: Action) -> None:
    """Whether the step is there is another question."""
    check_input(action, execution(PLAN), OneTool())


def test_an_item_of_a_map_is_checked_by_its_tool() -> None:
    """Its name has the item's number."""
    x = execution(blueprint("b idem"), "w." + "rr..")
    x.grow(Notes(maps=(Region(0, 2, 2),)))
    with pytest.raises(Unprocessable):
        check_input(Edit(step="b.1", args={"x": 1}), x, OneTool())


@pytest.mark.parametrize(("person", "actor"), [("", "acme"), ("anna", "acme/anna")])
def test_the_history_names_the_tenant_first(person: str, actor: str) -> None:
    """The key is proof of the tenant; the person is what the caller says."""
    assert actor_of("acme", person) == actor


@pytest.mark.parametrize("person", ["a\nb", "x" * 101, "\x1b[31m"])
def test_a_name_that_could_mislead_is_refused(person: str) -> None:
    """It ends in logs and on terminals."""
    with pytest.raises(BadRequest, match="printable"):
        actor_of("acme", person)


def test_unknown_fields_are_refused() -> None:
    """A misspelt `undo` must not undo."""
    with pytest.raises(msgspec.ValidationError, match="undoo"):
        msgspec.json.decode(b'{"undoo": false}', type=Cancel)
