"""The history of one execution while it grows: the live stream of ingress, read beside whoever draws it."""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import click

from shared.cli.api import Api, Failed
from shared.client.messages import Decoder

SILENCE_S: Final = 60.0
"""The stream's heartbeats are closer together; after this it is taken for dead."""
AGAIN_S: Final = 0.5
POLL_S: Final = 0.3
PAGE: Final = 500
_STREAMLESS: Final = (404, 429)
"""An older ingress has no stream, and one has no place for another reader: both have the history."""


class Feed:
    """Lines of a history as they come, each once. Reads in a thread of its own, which ends with the process at the latest."""

    def __init__(self, api: Api, execution: str) -> None:
        """Starts it."""
        self._api = api
        self._path = f"/api/executions/{execution}"
        self._found: queue.SimpleQueue[dict[str, Any] | click.ClickException | None] = queue.SimpleQueue()
        self._cursor = ""
        """Where the stream goes on."""
        self._told = ""
        """The last line that was told."""
        self.ended = False
        """Everything up to its end was told."""
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, within_s: float) -> list[dict[str, Any]]:
        """What came, waiting for the first of it; Failed if there is nothing to follow."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(queue.Empty):
            item = self._found.get(timeout=max(0.0, within_s))
            while True:
                if isinstance(item, click.ClickException):
                    raise item
                if item is None:
                    self.ended = True
                    return found
                found.append(item)
                item = self._found.get_nowait()
        return found

    def _run(self) -> None:
        try:
            self._follow()
        except click.ClickException as error:
            self._found.put(error)
        except Exception as error:  # noqa: BLE001 - the thread's own end would be seen by nobody
            self._found.put(Failed(f"the events cannot be followed: {error}"))
        else:
            self._found.put(None)

    def _follow(self) -> None:
        over = False
        while not over:
            try:
                over = self._stream()
            except Failed as error:
                over = self._without(error)
            if not over:
                time.sleep(AGAIN_S)  # whoever waits has a deadline of its own, or is a person

    def _without(self, error: Failed) -> bool:
        """What an error of the stream leaves: the history, or the next try."""
        try:
            if error.status in _STREAMLESS and self._is_there():
                return self._poll()
        except Failed as another:
            error = another
        if not error.passing:
            raise error
        return False

    def _stream(self) -> bool:
        """Whether it came to the end; False where the stream ended before, or must be begun anew."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._cursor} if self._cursor else {})
        with self._api.stream(f"{self._path}/events", headers=headers, read_s=SILENCE_S) as answer:
            decoder = Decoder()
            for part in answer.iter_bytes():
                for sent in decoder.feed(part):
                    if sent.event == "end":
                        return True
                    if sent.event == "reset":
                        self._cursor = ""
                        return False
                    if not sent.event:
                        self._tell([sent.data])
        return False

    def _is_there(self) -> bool:
        """Whether only the stream is missing; Failed if the execution is."""
        self._api.ask("GET", self._path, params={"limit": "1"})
        return True

    def _poll(self) -> bool:
        while True:
            over = self._api.ask("GET", self._path, params={"limit": "1"})["endedAt"] is not None
            lines = self._page()
            while lines:
                self._tell(lines)
                lines = self._page()
            if over:
                return True
            time.sleep(POLL_S)

    def _page(self) -> list[dict[str, Any]]:
        params = {"limit": str(PAGE)} | ({"after": self._cursor} if self._cursor else {})
        found: list[dict[str, Any]] = self._api.ask("GET", f"{self._path}/history", params=params)["history"]
        return found

    def _tell(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            self._cursor = line["id"]
            if _place(line["id"]) > _place(self._told):
                self._told = line["id"]
                self._found.put(line)


def _place(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split("-")) if line else ()
