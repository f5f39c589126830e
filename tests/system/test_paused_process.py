"""A process that is frozen between its intent and its call wakes up as nobody: what it would send, it does not send."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.system.harness import System, free_ports, until

pytestmark = pytest.mark.system


@asynccontextmanager
async def switch(port: int) -> AsyncIterator[list[int]]:
    """A TCP forwarder on `port` to the last port in the list it yields: one public address for two executors."""
    targets: list[int] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", targets[-1])
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield targets
    finally:
        server.close()


@asynccontextmanager
async def full_backlog(port: int) -> AsyncIterator[None]:
    """A listener that completes no handshake: who connects hangs between deciding to call and sending anything."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.settimeout(0)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    try:
        yield
    finally:
        for one in (*fillers, listener):
            one.close()


async def test_an_executor_stopped_between_intent_and_call_sends_nothing_when_it_continues(tmp_path: Path) -> None:
    """SIGSTOP for 15 s, longer than the lease; another executor takes over and finishes; SIGCONT: every effect once."""
    public, frozen_port, other_port, hole = free_ports(4)
    async with (
        switch(public) as targets,
        full_backlog(hole),
        System(tmp_path, EXECUTOR_URL=f"http://127.0.0.1:{public}") as system,
    ):
        module = "services.step_executor.main"
        nowhere = f"http://127.0.0.1:{hole}"
        frozen = system.add("frozen", module, port=frozen_port, EXECUTOR_PORT=str(frozen_port), TOWN_URL=nowhere)
        system.add("other", module, port=other_port, EXECUTOR_PORT=str(other_port))
        await asyncio.gather(system.start("frozen"), system.start("other"))
        targets.append(frozen_port)
        steps = [
            {"name": "job", "tool": "do_work", "args": {"label": "once"}},
            {"name": "letter", "tool": "post_letter", "args": {"to": "Ann", "text": "once"}, "needs": ["job"]},
        ]
        execution = await system.run_plan(steps)

        async def intended() -> bool:
            return any(line["event"] == "step.intended" for line in await system.history(execution))

        await until(intended, within=20, describe="the first intent is recorded")
        frozen.signal(signal.SIGSTOP)
        targets.append(other_port)
        stopped_at = asyncio.get_running_loop().time()
        found = await system.ended(execution, within=60)
        left = 15 - (asyncio.get_running_loop().time() - stopped_at)
        await asyncio.sleep(max(0.0, left))  # the frozen process must be frozen for 15 s: what it does then is the question
        frozen.signal(signal.SIGCONT)

        async def gave_up() -> bool:
            return bool(system.events("frozen", "segment.lost"))

        await until(gave_up, within=30, describe="the frozen executor learns that it lost the execution")
        assert found["status"] == "COMPLETED"
        assert await system.effects(execution) == {"job": 1, "letter": 1}
