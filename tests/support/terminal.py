"""A program on a pseudo-terminal of 80 columns, as a person meets it: what is on the screen, and what is typed."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS = 80


class Terminal:
    """One program. Use as a context manager; it ends with the block."""

    def __init__(self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Starts it at once."""
        self._own, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))

        def take_the_terminal() -> None:  # so that Ctrl-C is a signal, and hidden input goes to this terminal
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # ignored in what a shell runs in the background, and so in its children

        self._process = subprocess.Popen(  # two system calls and no lock in the child, so threads do not matter
            command,
            cwd=cwd,
            env=dict(environ),
            stdin=child,
            stdout=child,
            stderr=child,
            preexec_fn=take_the_terminal,  # noqa: PLW1509
        )
        os.close(child)
        self.screen = ""
        self._read_to = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        os.close(self._own)

    def expect(self, text: str, *, within: float = 15.0) -> str:
        """Wait until the text appears behind what was expected before; what stood before it."""
        deadline = time.monotonic() + within
        while (place := self.screen.find(text, self._read_to)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not appear within {within} s; the screen ends: {self.screen[-1500:]}"
            assert self._more(left), f"it ended before {text!r} appeared; the screen ends: {self.screen[-1500:]}"
        before = self.screen[self._read_to : place]
        self._read_to = place + len(text)
        return before

    def _more(self, within: float) -> bool:
        ready, _, _ = select.select([self._own], [], [], within)
        if not ready:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:  # the other side is closed
            return False
        self.screen += data.decode("utf8", "replace").replace("\r\n", "\n")
        return bool(data)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._own, text.encode() + b"\n")

    def interrupt(self, *, within: float = 30.0) -> int:
        """Ctrl-C, and again while nothing happens, as patient people do; the exit code.

        Once is not always enough: a signal that comes between Python's look at its signals and the read is kept until a key.
        A second one while a process ends would end it by that signal: on a busy machine that takes a while.
        """
        deadline = time.monotonic() + within
        os.write(self._own, b"\x03")
        while not self._is_over(time.monotonic() + 4):
            assert time.monotonic() < deadline, f"it does not end; the screen ends: {self.screen[-1500:]}"
            os.write(self._own, b"\x03")
        return self._process.wait(10)

    def end(self, *, within: float = 15.0) -> int:
        """Wait for the end; the exit code."""
        assert self._is_over(time.monotonic() + within), f"it does not end; the screen ends: {self.screen[-1500:]}"
        return self._process.wait(10)

    def _is_over(self, deadline: float) -> bool:
        while self._more(max(0.0, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                return False
        return True
