"""How the watchdog paces itself, without a watchdog: the window, the backlog, the lag, and whether an executor is there."""

from hypothesis import given
from hypothesis import strategies as st

from shared.backlog import Backlog
from shared.executor_client import FAILURES, PROBE_EVERY_S, Reach
from shared.lag import FREE_MS, MOST_MS, PATIENCE, Lag, late_ms
from shared.window import FIRST, HARDLY, PATIENCE_S, Window


def sent(window: Window, count: int, at_s: float = 0) -> list[str]:
    """So many are under way, as far as there is room."""
    names = [f"{at_s}/{number}" for number in range(min(count, window.room))]
    for name in names:
        window.sent(name, at_s)
    return names


class TestWindow:
    """What comes of re-sends opens it; a standstill closes it to one."""

    def test_it_begins_small_and_never_passes_its_most(self) -> None:
        """A rate of less is a window of less."""
        assert (Window(200).room, Window(5).room, Window(0).room) == (FIRST, 5, 0)
        window = Window(20)
        for number in range(50):
            window.sent(str(number), 0)
            window.answered(str(number))
        assert window.room == window.size == 20

    def test_what_comes_of_them_doubles_it_each_round(self) -> None:
        """As a sender's slow start."""
        window = Window(200)
        for size in (16, 32, 64, 128, 200, 200):
            assert window.room == size
            window.learn(dict.fromkeys(sent(window, 999), True), 1)

    def test_a_standstill_halves_it_once_a_round_down_to_one(self) -> None:
        """And one is always tried, so that it opens again by itself."""
        window, now = Window(200), 0.0
        for size in (16, 8, 4, 2, 1, 1):
            names = sent(window, 999, now)
            assert len(names) == size
            now += PATIENCE_S
            window.learn(dict.fromkeys(names, False), now)
        [last] = sent(window, 9, now)
        window.learn({last: True}, now)
        assert window.size == 2

    def test_what_may_still_move_is_waited_for(self) -> None:
        """It takes room, and is no loss yet."""
        window = Window(200)
        names = sent(window, 10)
        window.learn(dict.fromkeys(names, False), PATIENCE_S - 0.1)
        assert (window.size, window.room, window.waiting) == (FIRST, FIRST - 10, names)

    def test_losses_one_by_one_do_not_close_it(self) -> None:
        """Half of all messages lost is bad luck: what is not lost gets through."""
        window = Window(200)
        names = sent(window, 16)
        window.learn({name: number % (HARDLY + 1) == 0 for number, name in enumerate(names)}, PATIENCE_S)
        assert window.size == FIRST + 2

    def test_one_that_is_sent_once_more_had_come_to_nothing(self) -> None:
        """Though nobody asked in between."""
        window = Window(200)
        for _ in range(2):
            window.sent("one", 0)
        window.learn({}, 0)
        assert window.size == FIRST // 2

    def test_what_was_not_sent_after_all_takes_no_room(self) -> None:
        """Another watchdog was first."""
        window = Window(200)
        window.sent("one", 0)
        window.withdrawn("one")
        assert window.room == FIRST


class TestBacklog:
    """Tenants in turn, bounded."""

    def test_tenants_take_turns_and_each_keeps_its_order(self) -> None:
        """The one that was just served goes behind all others."""
        found = Backlog(9)
        found.add("whale", ["w1", "w2", "w3"])
        found.add("small", ["s1"])
        found.add("other", ["o1", "o2"])
        assert [found.take() for _ in range(7)] == ["w1", "s1", "o1", "w2", "o2", "w3", None]

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 30), max_size=20))), st.integers(1, 9))
    def test_it_holds_so_many_of_each_and_each_once(self, adds: list[tuple[str, list[int]]], each: int) -> None:
        """However often they are seen."""
        found = Backlog(each)
        for tenant, numbers in adds:
            found.add(tenant, [f"{tenant}{number}" for number in numbers])
        assert len(found) <= 3 * each
        taken = []
        while one := found.take():
            taken.append(one)
        assert len(taken) == len(set(taken))
        assert len(found) == 0

    def test_what_was_taken_may_come_back_and_all_can_be_forgotten(self) -> None:
        """It is overdue again."""
        found = Backlog(2)
        found.add("a", ["1"])
        assert found.take() == "1"
        found.add("a", ["1"])
        found.clear()
        assert (found.take(), len(found)) == (None, 0)


class TestLag:
    """Smoothed; told once."""

    def test_it_follows_slowly_and_never_below_nothing(self) -> None:
        """One odd delivery says little."""
        lag = Lag()
        assert lag.take() is None
        lag.add(-5)
        assert lag.take() == 0
        assert lag.take() is None
        lag.add(8_000)
        assert lag.take() == 1_000

    def test_what_is_late_depends_on_how_long_others_take(self) -> None:
        """Four times as long; two seconds are in the due time already."""
        assert [late_ms(ms) for ms in (0, 500, 501, 10_000)] == [0, 0, 4, 38_000]
        assert late_ms(10**9) == PATIENCE * MOST_MS - FREE_MS


class TestReach:
    """A few failures in a row, then a probe a second."""

    def test_failures_in_a_row_leave_one_probe_a_second(self) -> None:
        """One good answer is enough to be there again."""
        reach = Reach()
        for now in range(FAILURES):
            assert reach.may_call(now)
            reach.ended(now, well=False)
        away = FAILURES - 1
        asked = [reach.may_call(away + at / 4) for at in range(1, 10)]
        assert [at for at, may in enumerate(asked, 1) if may] == [4, 8]
        assert PROBE_EVERY_S == 1
        reach.ended(away + 3, well=True)
        assert reach.there
        assert all(reach.may_call(away + 3) for _ in range(9))

    def test_one_failure_now_and_then_is_none(self) -> None:
        """They must come in a row."""
        reach = Reach()
        for now in range(20):
            reach.ended(now, well=now % FAILURES == 0)
        assert reach.there
