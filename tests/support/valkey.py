"""The embedded Valkey as a process of the tests: started as `make run` starts it, killed for real."""

import signal
import socket
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import redis

from shared.local.valkey import command

START_S = 20.0
ALL_SLOTS = (0, 16_383)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """One server with its data in `folder`; what it answered survives `kill` and `start`."""

    def __init__(self, folder: Path, *, cluster: bool = False, slots: tuple[int, int] = ALL_SLOTS, whole: bool = True) -> None:
        """Nothing runs before `start`. `cluster`: a node that takes no command over several slots. It has `slots`."""
        self._folder = folder
        self._cluster = cluster
        self._slots = slots
        self._whole = "yes" if whole else "no"
        self.bus_port = 0
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
                self.bus_port = free_port() if self._cluster else 0
                more = self._of_cluster() if self._cluster else []
                self._process = subprocess.Popen(
                    [*command(port=self.port, folder=self._folder), *more], stdout=log, stderr=subprocess.STDOUT
                )
            if self._answers(self._process):
                if self._cluster:
                    self._take_slots()
                return
            self.kill()
            self.port = 0
        raise AssertionError(f"Valkey does not start: {(self._folder / 'valkey.log').read_text()[-2000:]}")

    def _of_cluster(self) -> list[str]:
        needs = ["--cluster-require-full-coverage", self._whole]
        return ["--cluster-enabled", "yes", "--cluster-port", str(self.bus_port), *needs]

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

    def _take_slots(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", *self._slots)
        if self._slots == ALL_SLOTS:
            self.until_whole(nodes=1)

    def has(self, slot: int) -> bool:
        """Whether it got that slot at its start."""
        first, last = self._slots
        return first <= slot <= last

    def meet(self, other: "Valkey") -> None:
        """Be of one cluster with another node."""
        with redis.Redis(port=self.port) as client:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus_port)

    def until_whole(self, *, nodes: int) -> None:
        """Wait until this node knows of so many, and of every slot whose it is."""
        deadline = time.monotonic() + START_S
        with redis.Redis(port=self.port) as client:
            while True:
                info = client.execute_command("CLUSTER", "INFO")
                if b"cluster_state:ok" in info and f"cluster_size:{nodes}\r".encode() in info:
                    return
                assert time.monotonic() < deadline, f"the cluster of {nodes} does not begin: {info}"
                time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed on the way out."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cluster:
    """Several nodes that have a part of the slots each."""

    def __init__(self, folder: Path, *, nodes: int, whole: bool = True) -> None:
        """Nothing runs before `start`. Unless it must be `whole`, it goes on without a node that is away."""
        cuts = [ALL_SLOTS[1] * number // nodes for number in range(nodes + 1)]
        parts = [(first + (first > 0), last) for first, last in pairwise(cuts)]
        self.nodes = [
            Valkey(folder / f"node{number}", cluster=True, slots=part, whole=whole) for number, part in enumerate(parts)
        ]
        for number in range(nodes):
            (folder / f"node{number}").mkdir()

    @property
    def url(self) -> str:
        """Where one of them listens."""
        return self.nodes[0].url

    def start(self) -> None:
        """One cluster when this returns."""
        for node in self.nodes:
            node.start()
        for node in self.nodes[1:]:
            self.nodes[0].meet(node)
        for node in self.nodes:
            node.until_whole(nodes=len(self.nodes))

    def move_slot(self, key: str) -> None:
        """Give the slot of a key that is not there to another node. Both know at once, and no client does."""
        clients = [redis.Redis(port=node.port) for node in self.nodes]
        slot = clients[0].execute_command("CLUSTER", "KEYSLOT", key)  # type: ignore[no-untyped-call] # redis-py\'s
        has = next(number for number, node in enumerate(self.nodes) if node.has(slot))
        takes = (has + 1) % len(clients)
        name = clients[takes].execute_command("CLUSTER", "MYID")  # type: ignore[no-untyped-call] # redis-py\'s
        for number in (takes, has):
            clients[number].execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)  # type: ignore[no-untyped-call] # redis-py\'s
        for client in clients:
            client.close()

    def kill(self) -> None:
        """SIGKILL, all of them."""
        for node in self.nodes:
            node.kill()
