"""The composition root: settings, Redis, the webhook workers, in the order they need each other.

`python -m services.ably_dev.main`
"""

import ipaddress
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import msgspec

from services.ably_dev.access import Key, Keyring, parse_key
from services.ably_dev.app import build_app
from services.ably_dev.capability import parse as parse_capability
from services.ably_dev.deps import Deps, Timing
from services.ably_dev.errors import Refused
from services.ably_dev.faults import Board, Plan
from services.ably_dev.hub import Hub
from services.ably_dev.log import Log
from services.ably_dev.presence import Presence
from services.ably_dev.publishing import Publisher
from services.ably_dev.webhooks import rules
from services.ably_dev.webhooks.worker import Pace, Webhooks, Worker
from shared import http, logs
from shared.errors import BadRequest, SettingsError
from shared.redisdb.connect import connect
from shared.settings import DEV_ABLY_KEY, Settings
from shared.settings_load import load

_more_keys = msgspec.json.Decoder(dict[str, dict[str, list[str]]])


def now_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000


def keys_of(config: Settings) -> dict[str, Key]:
    """The keys by name; SettingsError when there is none, one is wrong, or the public one could be used from elsewhere."""
    if not config.ably_dev_key:
        raise SettingsError("ABLY_DEV_KEY is empty: choose appid.keyid:secret, or set INTENTION_MODE=local")
    if config.ably_dev_key == DEV_ABLY_KEY and not (config.local and is_loopback(config.ably_dev_host)):
        raise SettingsError(
            "ABLY_DEV_KEY is the public development key, which everybody knows: it is accepted in local mode on loopback only. "
            "Choose one of your own, appid.keyid:secret"
        )
    found = [parse_key(str(config.ably_dev_key))]
    try:
        more = _more_keys.decode(str(config.ably_dev_keys) or "{}")
        found += [
            parse_key(text, parse_capability(msgspec.json.encode(permitted).decode())) for text, permitted in more.items()
        ]
    except (msgspec.DecodeError, Refused) as error:  # its text quotes no key: those are names in the map
        raise SettingsError(
            f'ABLY_DEV_KEYS is not usable: write {{"app.key:secret": {{"channel": ["publish"]}}}} ({type(error).__name__})'
        ) from None
    return {key.name: key for key in found}


def is_loopback(host: str) -> bool:
    """Whether nobody outside of this machine reaches the host."""
    found = socket.getaddrinfo(host, None) if host else []
    addresses = {str(info[4][0]) for info in found}
    return bool(addresses) and all(ipaddress.ip_address(address).is_loopback for address in addresses)


def check_host(config: Settings) -> None:
    """SettingsError unless the server stays on this machine, or is allowed not to."""
    if not config.ably_dev_allow_public and not is_loopback(config.ably_dev_host):
        raise SettingsError(
            f"ABLY_DEV_HOST={config.ably_dev_host} is not loopback, and this server is not made for the internet: "
            "set ABLY_DEV_ALLOW_PUBLIC=true if the network is closed."
        )


def plan_of(config: Settings) -> Plan:
    """The faults of ABLY_DEV_FAULTS; SettingsError when they make no sense."""
    try:
        plan = http.decode(msgspec.json.Decoder(Plan), config.ably_dev_faults.encode()) if config.ably_dev_faults else Plan()
        Board(plan)
    except BadRequest as error:
        raise SettingsError(f"ABLY_DEV_FAULTS is not usable: {error.message}") from error
    return plan


@asynccontextmanager
async def running(config: Settings, timing: Timing = Timing(), pace: Pace = Pace()) -> AsyncIterator[Deps]:  # noqa: B008
    """The parts, connected and at work; closed in reverse."""
    keys = keys_of(config)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(config.redis_url))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        store, hub, faults = Log(redis), Hub(), Board(plan_of(config))
        found = rules.parse(str(config.ably_dev_rules), keys)
        workers = [_worker(rule, keys, log=store, http=client, faults=faults, pace=pace) for rule in found]
        hooks = Webhooks(workers)
        hooks.start()
        stack.push_async_callback(hooks.close)
        stack.callback(hub.close)
        yield Deps(
            keyring=Keyring(keys),
            log=store,
            hub=hub,
            presence=Presence(),
            publisher=Publisher(log=store, hub=hub, hooks=hooks, faults=faults, now_ms=now_ms),
            faults=faults,
            timing=timing,
            now_ms=now_ms,
            public=config.ably_dev_key == DEV_ABLY_KEY,
        )


def _worker(
    rule: rules.Rule, keys: Mapping[str, Key], *, log: Log, http: httpx.AsyncClient, faults: Board, pace: Pace
) -> Worker:
    key = keys.get(rule.target.signing_key_id or "")
    return Worker(rule, key, log=log, http=http, faults=faults, pace=pace, now_ms=now_ms)


@asynccontextmanager
async def announced(config: Settings) -> AsyncIterator[Deps]:
    """`running`, and said so on the terminal."""
    async with running(config) as parts:
        if config.ably_dev_key == DEV_ABLY_KEY:  # another key is a secret: a log is no place for it
            sys.stdout.write(
                f"ably_dev: endpoint={config.ably_dev_host}:{config.ably_dev_port}/ tls=False key={DEV_ABLY_KEY}\n"
            )
            sys.stdout.flush()
        yield parts


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    try:
        config = load(os.environ)
        check_host(config)
        rules.parse(str(config.ably_dev_rules), keys_of(config))
        plan_of(config)
        logs.configure(service="ably_dev", format=config.log_format, level=config.log_level)
        app = build_app(lambda: announced(config))
        host, port = config.ably_dev_host, config.ably_dev_port
        http.serve(app, host=host, port=port, name="ably_dev", port_setting="ABLY_DEV_PORT", ws="websockets-sansio")
    except SettingsError as error:
        http.stop(error)


if __name__ == "__main__":
    main()
