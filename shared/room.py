"""How much is at work at once, and that whoever comes while it is full is told so: nobody waits for a seat."""

from typing import Final, NoReturn

from shared.errors import BUSY, Unavailable
from shared.pacing import Sparing

AGAIN_S: Final = 1
"""When to come again. A full room is through with all that is in it after about as long (docs/performance.md)."""


class Room:
    """For `most` requests of one kind."""

    __slots__ = ("_say", "at_work", "kind", "most", "refused")

    def __init__(self, kind: str, most: int, say: Sparing) -> None:
        """`say` logs refusals, sparingly."""
        self.kind, self.most, self._say = kind, most, say
        self.at_work = self.refused = 0
        """Now; and since the beginning."""

    def refuse(self) -> NoReturn:
        """Unavailable (`busy`)."""
        self.refused += 1
        self._say.say("request.refused", kind=self.kind, at_work=self.at_work)
        raise Unavailable(
            f"as many requests as may be ({self.most}) are at work here: nothing was done for this one, send it again in "
            f"{AGAIN_S} s",
            code=BUSY,
            retryAfter=AGAIN_S,
        )


class Seat:
    """One request's seat in a room: taken when its work begins, given back when that has ended, however it ended."""

    __slots__ = ("_room", "_taken")

    def __init__(self, room: Room) -> None:
        """Nothing is taken yet."""
        self._room, self._taken = room, False

    def look(self) -> None:
        """Unavailable (`busy`) if there is none to take."""
        if self._room.at_work >= self._room.most:
            self._room.refuse()

    def take(self) -> None:
        """Unavailable (`busy`) if there is none. Once taken, it is not taken again."""
        if not self._taken:
            self.look()
            self._room.at_work += 1
            self._taken = True

    def leave(self) -> None:
        """If it was taken."""
        if self._taken:
            self._room.at_work -= 1
            self._taken = False
