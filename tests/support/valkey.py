"""The embedded Valkey as a process of the tests: started as `make run` starts it, killed for real."""

import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

from shared.local.valkey import command

START_S = 20.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """One server with its data in `folder`; what it answered survives `kill` and `start`."""

    def __init__(self, folder: Path, *, cluster: bool = False) -> None:
        """Nothing runs before `start`. `cluster`: one node that has all slots, and takes no command over several of them."""
        self._folder = folder
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Listening when this returns. Another process may take a port that was free a moment ago: then another is tried."""
        for _ in range(5):
            self.port = self.port or free_port()
            with (self._folder / "valkey.log").open("ab") as log:
                more = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())] if self._cluster else []
                self._process = subprocess.Popen(
                    [*command(port=self.port, folder=self._folder), *more], stdout=log, stderr=subprocess.STDOUT
                )
            if self._answers(self._process):
                if self._cluster:
                    self._take_all_slots()
                return
            self.kill()
            self.port = 0
        raise AssertionError(f"Valkey does not start: {(self._folder / 'valkey.log').read_text()[-2000:]}")

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_S
        with redis.Redis(port=self.port) as client:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    return bool(client.info("server")["process_id"] == process.pid)  # not somebody else's on that port
                except redis.ConnectionError:
                    time.sleep(0.01)
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def _take_all_slots(self) -> None:
        deadline = time.monotonic() + START_S
        with redis.Redis(port=self.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                assert time.monotonic() < deadline, "the cluster of one node does not begin"
                time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed on the way out."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
