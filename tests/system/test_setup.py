"""`intention setup` beside a running system: asked on a terminal, or told by the environment; checked; written whole or not."""

import asyncio
import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from dotenv import dotenv_values

from shared.settings import DEV_ABLY_KEY, DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN
from shared.settings_load import load
from tests.services.engine.scripted_model import KEY, says, scripted
from tests.support.terminal import COLUMNS, Terminal
from tests.system.command_line import ASKED, around, files_in, run, terminal, without_settings
from tests.system.harness import System, free_ports

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

BEFORE = """\
# mine
LOG_LEVEL=debug
UPSTASH_QSTASH_TOKEN="your_token_here"  # Can be same as QSTASH_TOKEN
"""


def told(system: System) -> dict[str, str]:
    """Everything setup asks for, but for what it makes itself."""
    return {
        **without_settings(system),
        **{name: system.environ[name] for name in ("QSTASH_URL", "REDIS_URL", "EXECUTOR_URL", "RESUME_URL")},
        "QSTASH_TOKEN": DEV_TOKEN,
        "QSTASH_CURRENT_SIGNING_KEY": DEV_CURRENT_KEY,
        "QSTASH_NEXT_SIGNING_KEY": DEV_NEXT_KEY,
    }


def answer(screen: Terminal, *answers: tuple[str, str]) -> None:
    """Wait for each prompt, and type."""
    for prompt, text in answers:
        screen.expect(prompt)
        screen.type(text)


async def test_a_person_is_led_through_and_the_curl_that_is_printed_works(system: System, tmp_path: Path) -> None:
    """What is wrong is told and asked again; no secret is on the screen; the file keeps what was in it."""
    (tmp_path / ".env").write_text(BEFORE)
    url = system.environ

    def talk() -> str:
        with terminal("setup", cwd=tmp_path, environ=without_settings(system)) as screen:
            answer(screen, ("QSTASH_URL:", "qstash.example"))
            screen.expect("needs a scheme and a host")
            answer(screen, ("QSTASH_URL:", f"{url['QSTASH_URL']}/v2/publish/"))
            screen.expect("give the base only")
            answer(screen, ("QSTASH_URL:", url["QSTASH_URL"]), ("QSTASH_TOKEN:", "wrong"))
            screen.expect("QStash refuses QSTASH_TOKEN (401")
            answer(screen, ("QSTASH_TOKEN:", f'QSTASH_TOKEN="{DEV_TOKEN}"'))
            answer(screen, ("UPSTASH_QSTASH_TOKEN [the same]", ""), ("QSTASH_CURRENT_SIGNING_KEY [", DEV_NEXT_KEY))
            screen.expect("it is QStash's")
            answer(screen, ("QSTASH_CURRENT_SIGNING_KEY [as QStash says", ""), ("QSTASH_NEXT_SIGNING_KEY [as QStash says", ""))
            answer(screen, ("REDIS_URL [redis://127.0.0.1:6390/0]", "redis://127.0.0.1:9/0"))
            screen.expect("nothing listens there")
            answer(screen, ("Keep it all the same? [y/N]", "n"), ("REDIS_URL [", url["REDIS_URL"]))
            screen.expect("noeviction")
            answer(screen, ("EXECUTOR_URL [", url["EXECUTOR_URL"]), ("RESUME_URL [", "http://127.0.0.1:9"))
            screen.expect("nothing listens there")
            answer(screen, ("Keep it all the same? [Y/n]", "n"), ("RESUME_URL [", url["RESUME_URL"]))
            answer(screen, ("INTERNAL_SIGNING_KEY [a random one]", ""), ("API_KEYS [a random one]", ""))
            answer(screen, ("ABLY_API_KEY [none]", "local.dev"))
            screen.expect("it has the form appid.keyid:secret")
            answer(screen, ("ABLY_API_KEY [none]", "local.dev:not-the-secret-of-it"))
            screen.expect("Ably refuses ABLY_API_KEY")
            answer(screen, ("ABLY_API_KEY [none]", DEV_ABLY_KEY), ("LLM_API_KEY [none]", ""), ("MCP_SERVERS [none]", ""))
            answer(screen, ("Write this to .env? [Y/n]", "y"))
            assert screen.end() == 0
            return screen.screen

    shown = await asyncio.to_thread(talk)
    text = (tmp_path / ".env").read_text()
    found = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}

    assert text.startswith(BEFORE.replace("your_token_here", DEV_TOKEN))
    assert (tmp_path / ".env.bak").read_text() == BEFORE
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (".env", ".env.bak")} == {0o600}
    assert set(found) == {*ASKED, "LOG_LEVEL"}
    assert found["LLM_API_KEY"] == found["MCP_SERVERS"] == ""
    assert load(found | {"INTENTION_MODE": "local"}).token == DEV_TOKEN
    for name in ("QSTASH_TOKEN", "QSTASH_NEXT_SIGNING_KEY", "INTERNAL_SIGNING_KEY", "API_KEYS", "ABLY_API_KEY"):
        assert found[name].rpartition(":")[2] not in shown, name
    assert max(map(len, shown[: shown.index("What will stand there")].splitlines())) <= COLUMNS + 20  # colours count here
    await the_printed_curl_works(system, tmp_path, shown)


async def the_printed_curl_works(system: System, folder: Path, shown: str) -> None:
    """Ingress knows the key once it is started with the file."""
    [port] = free_ports(1)
    keys = dotenv_values(folder / ".env")["API_KEYS"] or ""
    with_keys = system.add(
        "ingress_with_keys",
        "services.ingress.main",
        port=port,
        INGRESS_PORT=str(port),
        API_KEYS=keys,
        TRUSTED_CALLERS="::1/128",
    )
    with_keys.start()
    await with_keys.until_ready(system.client)
    command = shown[shown.index("(. ./.env") :].rstrip()
    command = command.replace(str(system.ports["ingress"]), str(port)).replace("curl", "curl -s -o answer -w '%{http_code}'", 1)
    environ = {"PATH": os.environ["PATH"]}
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=20, check=True
    )
    with_keys.stop()
    assert done.stdout == "202", (folder / "answer").read_text()


async def test_ctrl_c_writes_nothing(system: System, tmp_path: Path) -> None:
    """Neither in the middle nor at the last question."""
    (tmp_path / ".env").write_text(BEFORE)

    def talk() -> None:
        with terminal("setup", cwd=tmp_path, environ=told(system)) as screen:
            answer(screen, ("QSTASH_URL [", ""))
            screen.expect("QSTASH_TOKEN [keep ...")
            assert screen.interrupt() == 130
            assert "Stopped. .env is as it was." in screen.screen
        with terminal("setup", cwd=tmp_path, environ=told(system)) as screen:
            answer(screen, *((f"{name} [", "") for name in ASKED))
            screen.expect("Write this to .env?")
            assert screen.interrupt() == 130

    await asyncio.to_thread(talk)

    assert (tmp_path / ".env").read_text() == BEFORE
    assert files_in(tmp_path) == [".env"]


async def test_told_by_the_environment_it_asks_nothing_and_a_second_run_changes_nothing(system: System, tmp_path: Path) -> None:
    """Generated keys are kept, not generated again."""
    first = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system))
    assert first.code == 0, first.out + first.err
    before = (tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns
    second = await run("setup", "--non-interactive", cwd=tmp_path, environ=without_settings(system))

    assert second.code == 0, second.out + second.err
    assert "nothing was changed" in second.out
    assert ((tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns) == before
    assert not (tmp_path / ".env.bak").exists()
    healthy = await run("doctor", cwd=tmp_path, environ=without_settings(system))
    assert "FAIL  internal key" in healthy.out  # the running services do not have the new key yet: the one thing to find
    assert [line[6:20].strip() for line in healthy.out.splitlines() if line.startswith("FAIL")] == ["internal key"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("QSTASH_URL", "http://127.0.0.1:9", "nothing listens there"),
        ("QSTASH_TOKEN", "wrong", "QStash refuses QSTASH_TOKEN (401"),
        ("UPSTASH_QSTASH_TOKEN", "wrong", "QStash refuses UPSTASH_QSTASH_TOKEN (401"),
        ("QSTASH_CURRENT_SIGNING_KEY", "sig_of_somebody_else", "it is none of QStash's keys"),
        ("REDIS_URL", "redis://127.0.0.1:9/0", "nothing listens there"),
        ("REDIS_URL", "https://h.upstash.io", "begins with redis://"),
        ("EXECUTOR_URL", "http://127.0.0.1:3001/api/engine/execute-step", "give the base only"),
        ("INTERNAL_SIGNING_KEY", "short", "at least 16 characters"),
        ("API_KEYS", "no-tenant", "write tenant:key"),
        ("ABLY_API_KEY", "local.dev", "it has the form appid.keyid:secret"),
        ("ABLY_API_KEY", "local.dev:not-the-secret-of-it", "Ably refuses ABLY_API_KEY (401/40144"),
        ("ABLY_URL", "http://127.0.0.1:9", "nothing listens there"),
        ("INTENTION_MOD", "local", "did you mean INTENTION_MODE"),
    ],
)
async def test_a_value_that_does_not_work_stops_it_with_a_reason(
    system: System, tmp_path: Path, name: str, value: str, says: str
) -> None:
    """Nobody is there to be asked again, so nothing is written."""
    (tmp_path / ".env").write_text(BEFORE)
    ably = {"ABLY_API_KEY": DEV_ABLY_KEY} if name == "ABLY_URL" else {}  # without a key nobody asks an Ably
    done = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system) | ably | {name: value})

    assert done.code == 1
    assert says in " ".join((done.out + done.err).split())
    assert files_in(tmp_path) == [".env"]
    assert (tmp_path / ".env").read_text() == BEFORE


async def test_there_may_be_no_second_channel(system: System, tmp_path: Path) -> None:
    """Nothing given is none; a key is checked and kept; `none` takes it out again."""
    environ = told(system)
    for given, kept in (
        ({}, ""),
        ({"ABLY_API_KEY": DEV_ABLY_KEY}, DEV_ABLY_KEY),
        ({}, DEV_ABLY_KEY),
        ({"ABLY_API_KEY": "none"}, ""),
    ):
        done = await run("setup", "--non-interactive", cwd=tmp_path, environ=environ | given)
        assert done.code == 0, done.out + done.err
        assert dotenv_values(tmp_path / ".env")["ABLY_API_KEY"] == kept
        assert DEV_ABLY_KEY.partition(":")[2] not in done.out


async def test_a_model_and_servers_of_tools_are_checked_like_all_else(system: System, tmp_path: Path) -> None:
    """Key, endpoint and name; without a key nobody asks for the others; what is wrong writes nothing."""
    async with scripted(says("ok")) as (url, script):
        model = {"LLM_API_KEY": KEY, "LLM_BASE_URL": url, "LLM_MODEL": "small"}
        done = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system) | model)
        assert done.code == 0, done.out + done.err
        assert dotenv_values(tmp_path / ".env").items() >= model.items()
        assert set(script.keys) == {f"Bearer {KEY}"}
        assert KEY not in done.out + done.err
    done = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system))
    assert (done.code, "nothing listens there" in done.out) == (1, True)
    done = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system) | {"LLM_API_KEY": "none"})
    assert done.code == 0, done.out + done.err
    done = await run("setup", "--non-interactive", cwd=tmp_path, environ=told(system) | {"MCP_SERVERS": "nowhere.toml"})
    assert (done.code, "MCP_SERVERS=nowhere.toml cannot be read" in done.out) == (1, True)


async def test_an_executor_that_is_not_there_yet_is_only_a_warning(system: System, tmp_path: Path) -> None:
    """It starts from the very file that is written here."""
    done = await run("setup", "--non-interactive", "--executor-url", "http://127.0.0.1:9", cwd=tmp_path, environ=told(system))

    assert done.code == 0, done.out + done.err
    assert "warn  executor" in done.out
    assert dotenv_values(tmp_path / ".env")["EXECUTOR_URL"] == "http://127.0.0.1:9"
    assert "EXECUTOR_URL is set to something else in this shell" in " ".join(done.out.split())


async def test_a_hosted_qstash_gets_no_loopback_address_and_no_public_key(system: System, tmp_path: Path) -> None:
    """Both would be found out in production only."""
    environ = told(system) | {"QSTASH_URL": "https://qstash-us-east-1.upstash.io"}
    done = await run("setup", "--non-interactive", "--no-check", cwd=tmp_path, environ=environ)
    said = " ".join(done.out.split())

    assert done.code == 1
    assert "cannot reach" in said
    assert "public development key" in said
    assert not (tmp_path / ".env").exists()


async def test_a_clock_that_is_off_is_told(system: System, tmp_path: Path) -> None:
    """By the Date header of a real answer: here an executor's stand-in that lives an hour ago."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 15\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + b'{"status":"ok"}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done = await run("doctor", cwd=tmp_path, environ=around(system) | {"EXECUTOR_URL": url})
    assert "warn  executor clock" in done.out
    assert "behind this machine's; above JWT_LEEWAY_S=30" in " ".join(done.out.split())
