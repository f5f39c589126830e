"""`intention doctor` beside a running system: all well, and each thing that may be wrong, named with what to do."""

import asyncio
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from shared.settings import DEV_CURRENT_KEY, DEV_TOKEN, LOCAL_INTERNAL_KEY
from shared.signing import INTERNAL_ISSUER, sign_call
from tests.support.terminal import COLUMNS
from tests.support.valkey import Valkey
from tests.system.command_line import Done, around, run, terminal
from tests.system.harness import System, free_ports

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator[Valkey]:
    """A Redis that the services do not use."""
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.kill()


async def doctor(system: System, folder: Path, *arguments: str, **settings: str) -> Done:
    """`doctor --json` with other settings than the services have."""
    return await run("doctor", "--json", *arguments, cwd=folder, environ=around(system) | settings)


async def test_all_well(system: System, tmp_path: Path) -> None:
    """Every check is there, the message made the round trip, and the exit code says so."""
    done = await doctor(system, tmp_path)

    assert done.code == 0, done.out
    found = json.loads(done.out)
    assert found["ok"] is True
    assert {one["check"] for one in found["checks"] if one["status"] != "ok"} <= {
        "ably subscriber",  # it may be connecting yet
        "ably webhook",  # signed with the key that publishes, as it is here
    }
    assert [one["check"] for one in found["checks"]] == [
        "settings", "redis", "redis version", "redis eviction", "redis disk", "redis layout", "redis write", "redis clock",
        "qstash token", "qstash keys", "executor", "resume", "ingress", "qstash clock", "executor clock", "internal key",
        "ably", "ably clock", "ably key", "ably publish", "ably progress", "ably round trip", "ably subscriber", "ably webhook",
        "round trip",
    ]  # fmt: skip
    assert "signature verified with the current key" in done.check("round trip")["message"]


async def test_on_a_terminal_every_line_fits_and_a_remedy_stands_below_its_failure(system: System, tmp_path: Path) -> None:
    """80 columns."""
    environ = around(system) | {"QSTASH_TOKEN": "wrong", "RESUME_URL": "http://127.0.0.1:9"}

    def look() -> tuple[int, list[str]]:
        with terminal("doctor", cwd=tmp_path, environ=environ) as screen:
            return screen.end(within=30), screen.screen.splitlines()

    code, lines = await asyncio.to_thread(look)
    plain = [
        line.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[32m", "") for line in lines
    ]

    assert code == 1
    assert max(map(len, plain)) <= COLUMNS
    failed = next(number for number, line in enumerate(plain) if line.startswith("FAIL  resume"))
    assert plain[failed + 1].startswith("      -> start it")
    assert any(line.startswith("ok    redis layout") for line in plain)
    assert "\x1b[31m" in lines[failed]


async def test_a_wrong_token_is_told_apart_from_everything_that_follows(system: System, tmp_path: Path) -> None:
    """QStash's own words stand with it."""
    done = await doctor(system, tmp_path, QSTASH_TOKEN="wrong")

    assert done.code == 1
    assert done.failed() == ["qstash token", "round trip"]
    assert "401" in done.check("qstash token")["message"]
    assert done.check("round trip")["remedy"] == "correct QSTASH_TOKEN first"


@pytest.mark.parametrize(
    ("current", "following", "status", "says"),
    [
        ("sig_other", "sig_another", "fail", "neither"),
        ("sig_before", DEV_CURRENT_KEY, "warn", "has rotated"),
        (DEV_CURRENT_KEY, DEV_CURRENT_KEY, "warn", "equals the current key"),
        (DEV_CURRENT_KEY, "", "ok", ""),
    ],
    ids=["strange keys", "rotated since", "no second key", "left to local mode"],
)
async def test_signing_keys_are_compared_with_qstashs(
    system: System, tmp_path: Path, current: str, following: str, status: str, says: str
) -> None:
    """What a rotation would do is told before it happens."""
    done = await doctor(system, tmp_path, QSTASH_CURRENT_SIGNING_KEY=current, QSTASH_NEXT_SIGNING_KEY=following)
    found = done.check("qstash keys")

    assert found["status"] == status
    assert says in found["message"]
    assert done.code == (1 if status == "fail" else 0)


async def test_an_ably_that_refuses_the_key_or_is_away_is_found(system: System, tmp_path: Path) -> None:
    """Everything else is looked at all the same."""
    secret = "not-the-secret-of-it"
    done = await doctor(system, tmp_path, ABLY_API_KEY=f"local.dev:{secret}")
    assert done.failed() == ["ably key"]
    assert "401/40144" in done.check("ably key")["message"]
    assert secret not in done.out + done.err

    done = await doctor(system, tmp_path, ABLY_URL="http://127.0.0.1:9")
    assert done.failed() == ["ably"]
    assert done.check("round trip")["status"] == "ok"

    done = await doctor(system, tmp_path, ABLY_API_KEY="local.dev")
    assert done.failed() == ["settings"]
    assert "ABLY_API_KEY has not the form" in done.check("settings")["message"]


async def test_the_model_and_the_servers_of_tools_are_looked_at_where_there_are_any(system: System, tmp_path: Path) -> None:
    """Without them there is nothing to say; a wrong key of theirs is never shown."""
    file, key = tmp_path / "mcp.toml", "sk-never-shown-0815"
    file.write_text('[[server]]\nname = "away"\nurl = "http://127.0.0.1:9/mcp"\n')
    model = {"LLM_BASE_URL": "http://user:pass@127.0.0.1:9/v1", "LLM_MODEL": "small", "LLM_API_KEY": key}
    done = await doctor(system, tmp_path, MCP_SERVERS=str(file), **model)
    assert done.failed() == ["model", "mcp"]
    assert done.check("model")["message"] == "http://127.0.0.1:9/v1: nothing listens there"
    assert done.check("mcp")["message"].startswith("the MCP server away cannot be reached")
    assert not [secret for secret in (key, "pass@") if secret in done.out + done.err]

    file.write_text("[[server]]\n")
    done = await doctor(system, tmp_path, MCP_SERVERS=str(file))
    assert done.failed() == ["mcp"]
    assert str(file) in done.check("mcp")["message"]


async def test_without_ably_it_says_what_that_means(system: System, tmp_path: Path) -> None:
    """A deployment may do without."""
    production = {
        "INTENTION_MODE": "production",
        "QSTASH_TOKEN": "a-token",
        "QSTASH_CURRENT_SIGNING_KEY": "sig_of_a_deployment",
        "INTERNAL_SIGNING_KEY": "of-another-deployment",
        "EXECUTOR_URL": "http://127.0.0.1:9",
        "ABLY_WEBHOOK_KEYS": "",
    }
    found = (await doctor(system, tmp_path, "--wait", "1", **production)).check("ably")
    assert found["status"] == "warn"
    assert "no second channel" in found["message"]
    assert "intention setup" in found["remedy"]


async def test_an_executor_with_other_keys_than_its_callers_is_found(system: System, tmp_path: Path) -> None:
    """Our own services' calls would be refused."""
    done = await doctor(system, tmp_path, INTERNAL_SIGNING_KEY="of-another-deployment")

    assert done.failed() == ["internal key"]
    assert "INTERNAL_SIGNING_KEY" in done.check("internal key")["remedy"]


async def test_an_executor_that_refuses_qstashs_signature_is_found_by_the_round_trip(system: System, tmp_path: Path) -> None:
    """It runs with keys from before a rotation; QStash's log says 401, and the ping is left in no dead letters."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    keys = {"QSTASH_CURRENT_SIGNING_KEY": "sig_of_last_year", "QSTASH_NEXT_SIGNING_KEY": "sig_of_last_month"}
    stale = system.add("stale", "services.step_executor.main", port=port, EXECUTOR_PORT=str(port), EXECUTOR_URL=url, **keys)
    stale.start()
    await stale.until_ready(system.client)
    done = await doctor(system, tmp_path, EXECUTOR_URL=url)

    assert done.failed() == ["round trip"]
    assert "refuses QStash's signature (401)" in done.check("round trip")["message"]
    assert "signature.refused" in done.check("round trip")["remedy"]
    assert await dead_letters(system) == []
    stale.stop()


async def test_an_executor_that_knows_the_key_as_its_next_one_only_is_a_warning(system: System, tmp_path: Path) -> None:
    """It still verifies, until QStash rotates once more."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    keys = {"QSTASH_CURRENT_SIGNING_KEY": "sig_of_last_month", "QSTASH_NEXT_SIGNING_KEY": DEV_CURRENT_KEY}
    late = system.add("late", "services.step_executor.main", port=port, EXECUTOR_PORT=str(port), EXECUTOR_URL=url, **keys)
    late.start()
    await late.until_ready(system.client)
    done = await doctor(system, tmp_path, EXECUTOR_URL=url)

    assert done.code == 0
    assert done.check("round trip")["status"] == "warn"
    assert "signature verified with the next key" in done.check("round trip")["message"]
    late.stop()


async def test_an_executor_that_is_away_is_found_twice_and_not_waited_for(system: System, tmp_path: Path) -> None:
    """From here, and by QStash; the ping is left in no dead letters."""
    done = await doctor(system, tmp_path, "--wait", "30", EXECUTOR_URL="http://127.0.0.1:9")

    assert done.failed() == ["executor", "round trip"]
    assert "QStash cannot reach http://127.0.0.1:9" in done.check("round trip")["message"]
    assert await dead_letters(system) == []


async def dead_letters(system: System) -> list[str]:
    """What QStash gave up."""
    url = f"{system.processes['qstash_dev'].url}/v2/dlq"
    answer = await system.client.get(url, headers={"Authorization": f"Bearer {DEV_TOKEN}"})
    return [letter["url"] for letter in answer.json()["messages"]]


async def test_redis_away_is_said_once_and_the_rest_is_still_looked_at(system: System, tmp_path: Path) -> None:
    """No failure that only follows from it."""
    done = await doctor(system, tmp_path, REDIS_URL="redis://:secret-word@127.0.0.1:9/0")

    assert done.failed() == ["redis"]
    assert "nothing listens there" in done.check("redis")["message"]
    assert "secret-word" not in done.out + done.err
    assert done.check("round trip")["status"] == "skip"
    assert done.check("qstash token")["status"] == "ok"


async def test_an_evicting_redis_is_refused_and_one_the_executor_does_not_use_is_found(
    system: System, tmp_path: Path, other_redis: Valkey
) -> None:
    """Also its layout and what it keeps on disk."""
    with redis.Redis(port=other_redis.port) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendfsync", "everysec")
        client.set("ie:layout", 32)
    done = await doctor(system, tmp_path, REDIS_URL=other_redis.url)

    assert done.failed() == ["redis eviction", "redis layout", "round trip"]
    assert "allkeys-lru" in done.check("redis eviction")["message"]
    assert "noeviction" in done.check("redis eviction")["remedy"]
    assert done.check("redis disk")["status"] == "warn"
    assert "this Redis knows nothing of it" in done.check("round trip")["message"]
    with redis.Redis(port=other_redis.port) as client:
        assert client.keys() == [b"ie:layout"]


async def test_a_setting_that_is_wrong_is_named_before_anything_is_called(system: System, tmp_path: Path) -> None:
    """With the hint that the services give."""
    done = await doctor(system, tmp_path, QSTASH_TOKN="x")

    assert done.failed() == ["settings"]
    assert "did you mean QSTASH_TOKEN" in done.check("settings")["message"]


async def test_a_file_that_others_may_read_or_nobody_can_is_mentioned(system: System, tmp_path: Path) -> None:
    """A warning is no failure."""
    path = tmp_path / ".env"
    path.write_text("LOG_LEVEL=debug\nBROKEN='open\n")
    path.chmod(0o644)
    done = await doctor(system, tmp_path)

    assert done.code == 0
    messages = [one["message"] for one in json.loads(done.out)["checks"] if one["check"] == "env file"]
    assert "line 2" in messages[0]
    assert "mode 644" in messages[1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


async def test_the_ping_endpoint_takes_signed_calls_only_and_its_key_ends_by_itself(system: System, tmp_path: Path) -> None:
    """Without a signature nobody writes anything, and with one nobody chooses the key's form."""
    url = f"{system.processes['step_executor'].url}/api/engine/ping"
    assert (await system.client.post(url, json={"nonce": "0" * 32})).status_code == 401
    for body in (b'{"nonce": "../../ie:layout"}', b'{"nonce": "' + b"0" * 33 + b'"}', b"[]", b"\xff"):
        now = time.time()
        token = sign_call(issuer=INTERNAL_ISSUER, url=url, body=body, key=LOCAL_INTERNAL_KEY, now=now, jti="a-test")
        answer = await system.client.post(url, content=body, headers={"Intention-Signature": token})
        assert answer.status_code == 489
        assert answer.headers["Upstash-NonRetryable-Error"] == "true"

    await doctor(system, tmp_path)
    with redis.Redis(port=system.ports["valkey"]) as client:
        pings = list(client.scan_iter("ie:*:ping:*"))
        assert pings
        assert all(0 < int(client.ttl(key)) <= 120 for key in pings)
        assert not any(b"0" * 32 in key for key in pings)
