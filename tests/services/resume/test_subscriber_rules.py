"""What is decided without a client: when to replace one, from where something may be missing, which channels there are."""

import msgspec
import pytest

from services.resume.subscriber.channels import capability, names
from services.resume.subscriber.health import PATIENCE_MS, Health
from services.resume.subscriber.judging import Channel, Pace, View, pace_of, pause_s, why_replace
from services.resume.subscriber.progress import Mail, Progress
from shared.ably import MESH
from shared.errors import SettingsError
from shared.settings_load import load

PACE = pace_of(load({"INTENTION_MODE": "local"}))
ATTACHED = {MESH: Channel("attached")}
UP = View(connection="connected", channels=ATTACHED)


def but(**changes: object) -> View:
    """A client that is up but for this."""
    return msgspec.structs.replace(UP, **changes)


@pytest.mark.parametrize(
    "view",
    [
        UP,
        but(connection="disconnected", down_s=29.0),
        but(connection="disconnected", code=40142, down_s=7.0),
        but(channels={MESH: Channel("attaching")}, down_s=29.0),
        but(unanswered=1),
        but(channels={**ATTACHED, "mesh:resume:acme": Channel("failed", 40160)}),
    ],
    ids=["up", "soon", "token being renewed", "attaching", "one ping", "a channel that the key may not hear"],
)
def test_a_client_that_may_come_back_by_itself_stays(view: View) -> None:
    """A new client costs a catch-up of every channel."""
    assert why_replace(view, PACE) == ""


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (but(connection="failed", code=50000), "the connection is failed (50000)"),
        (but(connection="closed"), "the connection is closed (0)"),
        (but(connection="suspended", code=80002), "the connection is suspended (80002)"),
        (but(channels={MESH: Channel("failed", 90000)}), "a channel has failed: mesh:resume (90000)"),
        (but(deaf=True), "the socket is closed, and the client says that it is connected"),
        (but(unanswered=2), "2 pings in a row were not answered"),
        (but(connection="disconnected", code=40142, down_s=8.0), "its token is refused (40142), and it asks for no other"),
        (but(connection="connecting", code=50003, down_s=30.0), "connecting for 30 s (50003)"),
        (but(channels={MESH: Channel("suspended")}, down_s=30.0), "not attached for 30 s: mesh:resume"),
        (but(channels={MESH: Channel("failed", 40160)}, down_s=30.0), "not attached for 30 s: mesh:resume"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_client_that_will_not_come_back_is_replaced(view: View, why: str) -> None:
    """And the log says why."""
    assert why_replace(view, PACE) == why


def test_everything_follows_from_the_interval_of_pings() -> None:
    """The default is the one that the documentation states."""
    assert Pace(ping_s=10, answer_s=4, retry_s=2, lost_s=30, pause_s=1, pause_most_s=10) == PACE


def test_the_pause_grows_is_jittered_and_has_an_end() -> None:
    """Replicas do not come back in step, and a server that is away is not besieged."""
    assert [pause_s(before, 1.0, PACE) for before in range(6)] == [1, 2, 4, 8, 10, 10]
    assert pause_s(3, 0.0, PACE) == 4
    assert pause_s(10_000, 1.0, PACE) == 10


# from where something may be missing


def mail(number: int, at_ms: int, channel: str = "a") -> Mail:
    """A message of that time."""
    return Mail(channel=channel, id=f"m{number}", at_ms=at_ms)


def test_an_id_counts_once_a_channel_for_as_long_as_it_is_remembered() -> None:
    """Live and from history; what is older is for the door to recognise."""
    progress = Progress({}, now_ms=0, remembered=2)
    assert [progress.admit(mail(1, 1)), progress.admit(mail(1, 1)), progress.admit(mail(1, 1, "b"))] == [True, False, True]
    assert [progress.admit(mail(2, 2)), progress.admit(mail(1, 1))] == [True, True]


def test_a_position_is_the_earliest_that_waits_or_the_latest_handled() -> None:
    """Each channel has its own: a busy one must not hide what a deaf one misses."""
    progress = Progress({"b": 50}, now_ms=100)
    assert (progress.position("a"), progress.position("b")) == (100, 50)
    for number, at_ms in ((1, 200), (2, 300), (3, 400)):
        progress.admit(mail(number, at_ms))
    progress.handled(mail(2, 300))
    assert progress.position("a") == 200
    progress.handled(mail(1, 200))
    progress.handled(mail(3, 400))
    assert (progress.position("a"), progress.position("b")) == (400, 50)


def test_what_may_be_missing_stays_owed_until_it_was_read_to_the_end() -> None:
    """Later messages do not move the position over the gap."""
    progress = Progress({"a": 100}, now_ms=0)
    progress.missed("a")
    debt = progress.debts()["a"]
    progress.admit(mail(1, 900))
    progress.handled(mail(1, 900))
    assert (debt.from_ms, progress.position("a")) == (100, 100)
    progress.read("a", debt, 500)
    assert progress.position("a") == 500, "a catch-up that breaks off goes on from there"
    progress.settle("a", debt)
    assert (progress.debts(), progress.position("a")) == ({}, 900)


def test_a_gap_during_a_catch_up_is_not_settled_by_it() -> None:
    """It had read past that place already, perhaps."""
    progress = Progress({"a": 100}, now_ms=0)
    progress.missed("a")
    debt = progress.debts()["a"]
    progress.missed("a")
    progress.read("a", debt, 500)
    progress.settle("a", debt)
    assert progress.debts()["a"].from_ms == 100


def test_what_was_dropped_is_owed_and_counts_as_new_when_it_comes_again() -> None:
    """There was no room for it."""
    progress = Progress({}, now_ms=900)
    progress.admit(mail(1, 500))
    progress.dropped(mail(1, 500))
    assert progress.debts()["a"].from_ms == 500
    assert progress.admit(mail(1, 500))


# channels and health


def test_the_channels_are_the_engines_the_tenants_and_the_narrow_ones() -> None:
    """And its token may do two things on these, nothing anywhere else."""
    found = names(
        load(
            {
                "INTENTION_MODE": "local",
                "API_KEYS": "acme:0123456789abcdef,acme:another-key-of-acme",
                "ABLY_EVENT_CHANNELS": "acme:payment, acme:order.paid",
            }
        )
    )
    assert found == (MESH, f"{MESH}:acme", f"{MESH}:local", f"{MESH}:acme:payment", f"{MESH}:acme:order.paid")
    assert capability(found) == dict.fromkeys(found, ("subscribe", "history"))


@pytest.mark.parametrize("pairs", ["acme", "acme:", ":paid", "acme:a b", "Acme:paid", "nobody:paid", "acme:paid;"])
def test_a_pair_that_names_no_channel_stops_the_start(pairs: str) -> None:
    """A typo is found at once, not when the event does not come."""
    with pytest.raises(SettingsError, match="ABLY_EVENT_CHANNELS"):
        load({"INTENTION_MODE": "local", "API_KEYS": "acme:0123456789abcdef", "ABLY_EVENT_CHANNELS": pairs})


def test_health_is_bad_after_a_minute_without_a_connection() -> None:
    """From the start, or from the loss; a connection mends it at once."""
    health = Health((MESH,), began_ms=1_000)
    assert (health.ok(1_000 + PATIENCE_MS), health.ok(1_001 + PATIENCE_MS)) == (True, False)
    health.look(UP, 100_000)
    assert health.ok(500_000)
    for now in (500_000, 550_000):
        health.look(but(connection="disconnected"), now)
    assert (health.ok(500_000 + PATIENCE_MS), health.ok(500_001 + PATIENCE_MS)) == (True, False)


def test_the_report_shows_what_an_operator_asks_for() -> None:
    """States, counts and the latest rebuild; times as people write them."""
    health = Health((MESH, "mesh:resume:acme"), began_ms=0)
    health.look(but(channels={MESH: Channel("attached", 90003)}), 1_700_000_000_000)
    health.rebuilt("two pings", 1_700_000_001_000)
    report = health.report(waiting=3, behind=(MESH,))
    assert report["channels"] == {MESH: "attached", "mesh:resume:acme": "initialized"}
    assert report["lastRebuild"] == {"why": "two pings", "at": "2023-11-14T22:13:21.000+00:00"}
    assert (report["rebuilds"], report["waiting"], report["behind"]) == (1, 3, [MESH])
    assert (report["connected"], report["since"]) == (True, "2023-11-14T22:13:20.000+00:00")
    assert report["counts"]["catchUps"] == 0
