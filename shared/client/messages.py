"""What a stream of server-sent events says. Pure: bytes in, events out, whoever reads them from where."""

from typing import Any

import msgspec


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `event` is empty for the usual kind; `id` is where a reader goes on from."""

    id: str
    event: str
    data: Any


class Decoder:
    """The events that the bytes of one connection are; comments and unfinished ones are none."""

    def __init__(self) -> None:
        self.place = ""
        """Behind which a reader goes on: a block may say that with nothing to tell."""
        self._rest = b""
        self._last, self._event = "", ""
        self._data: list[str] = []

    def feed(self, part: bytes) -> list[Sent]:
        """What is whole now. Only what the protocol calls an end of line is one: text may hold others (U+2028)."""
        *whole, self._rest = (self._rest + part).split(b"\n")
        return [sent for line in whole if (sent := self._line(line.removesuffix(b"\r").decode())) is not None]

    def _line(self, line: str) -> Sent | None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            return self._ended()
        if name == "id" and "\0" not in value:
            self._last = value
        elif name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        return None

    def _ended(self) -> Sent | None:
        self.place = self._last
        event, data = self._event, self._data
        self._event, self._data = "", []
        if not data:
            return None
        return Sent(id=self._last, event=event, data=msgspec.json.decode("\n".join(data)))
