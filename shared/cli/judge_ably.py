"""Verdicts on the second channel. Pure: facts in, findings out; each failure says what to do."""

from typing import Any, Final

import msgspec

from shared.cli.findings import Finding
from shared.cli.judge import clock, is_loopback
from shared.cli.reach import Said
from shared.cli.reach_ably import AblyFacts
from shared.settings import Settings

WANTED: Final = "publish, subscribe and history on mesh:resume, mesh:resume:* and execution:*"
_DASHBOARD: Final = "Ably's dashboard (https://ably.com/accounts, your app, API Keys)"
_NOT_PERMITTED: Final = 40160
_CLOCKS: Final = frozenset({40104, 40142})
"""Codes of a token whose time is over, or has not come."""


def absent() -> Finding:
    """There is no key."""
    message = (
        "ABLY_API_KEY is empty: there is no second channel. What QStash does not take waits for the watchdog, and nobody can "
        "follow an execution's progress on Ably"
    )
    remedy = "`intention setup` asks for it; without it everything works that does not need it"
    return Finding(check="ably", status="warn", message=message, remedy=remedy)


def code_of(said: Said) -> int:
    """Ably's own number of an error; 0 without one."""
    try:
        found: Any = msgspec.json.decode(said.body)
        return int(found["error"]["code"])
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return 0


def reached(base: str, said: Said) -> Finding:
    """Whether an Ably answers there."""
    if said.error:
        start = "start it (`make run`), or correct ABLY_URL" if is_loopback(base) else "correct ABLY_URL, or the network"
        return Finding(check="ably", status="fail", message=f"{base}: {said.error}", remedy=start, away=True)
    if said.offset_s is None:
        message = f"{base}/time answers {said.status}, but not as Ably does"
        remedy = "ABLY_URL stays empty for the hosted Ably; it names another server, such as ably_dev"
        return Finding(check="ably", status="fail", message=message, remedy=remedy)
    return Finding(check="ably", status="ok", message=f"{base} answers")


def key(said: Said) -> Finding:
    """Whether the key is one, and may read the engine's own channel."""
    check, code = "ably key", code_of(said)
    if said.status == 200:
        return Finding(check=check, status="ok", message="Ably takes it, and it may read mesh:resume")
    if said.error or said.status >= 500:
        message = f"Ably does not say: {said.error or f'{said.status} {said.told}'}"
        return Finding(check=check, status="fail", message=message, remedy="try again; status.ably.com", away=True)
    if code == _NOT_PERMITTED:
        return _narrow(check, "the key may not read mesh:resume: after a lost connection events would be missed")
    if code in _CLOCKS:
        message = f"Ably holds a fresh token for expired ({code}): the clocks differ"
        return Finding(check=check, status="fail", message=message, remedy="let this machine run NTP")
    message = f"Ably refuses ABLY_API_KEY ({said.status}/{code}: {said.told})"
    return Finding(check=check, status="fail", message=message, remedy=f"copy the whole key again: {_DASHBOARD}")


def everything(facts: AblyFacts, *, leeway_s: int) -> list[Finding]:
    """What the engine does with it, in the order in which one thing needs the other."""
    found = [reached(facts.base, facts.clock)]
    if found[0].status != "ok":
        return found
    found += [clock("ably clock", facts.clock.offset_s, leeway_s=leeway_s), key(facts.key)]
    if found[-1].status != "ok":
        return found
    return [*found, _published(facts.published), _progress(facts.told, facts.followed), _round_trip(facts)]


def _published(said: Said) -> Finding:
    check = "ably publish"
    if 200 <= said.status < 300:
        return Finding(check=check, status="ok", message="the key may publish on mesh:resume")
    if code_of(said) == _NOT_PERMITTED:
        return _narrow(check, "the key may not publish on mesh:resume: what QStash does not take would be hinted at to nobody")
    return _trouble(check, said)


def _progress(told: Said, followed: Said) -> Finding:
    check = "ably progress"
    if 200 <= told.status < 300 and followed.status == 200:
        return Finding(check=check, status="ok", message="the key may tell progress on execution:*, and let readers follow it")
    if _NOT_PERMITTED in {code_of(told), code_of(followed)}:
        lacks = "publish" if code_of(told) == _NOT_PERMITTED else "subscribe and history"
        found = _narrow(check, f"the key lacks {lacks} on execution:*: progress is told to nobody")
        return msgspec.structs.replace(found, status="warn")
    return _trouble(check, told if not 200 <= told.status < 300 else followed)


def _round_trip(facts: AblyFacts) -> Finding:
    check, said = "ably round trip", facts.listened
    if facts.arrived_ms is not None:
        return Finding(
            check=check, status="ok", message=f"published, and heard on a connection after {facts.arrived_ms:.0f} ms"
        )
    if code_of(said) == _NOT_PERMITTED:
        return _narrow(check, "the key may not subscribe to mesh:resume: the resume service hears nothing")
    if said.error:
        message = f"no realtime connection: {said.error}"
        remedy = "a firewall or proxy that stops websockets? Ably's webhook to POST {resume}/api/mesh/resume needs none"
        return Finding(check=check, status="fail", message=message, remedy=remedy)
    if said.status != 200:
        return _trouble(check, said)
    if not 200 <= facts.published.status < 300:
        return Finding(check=check, status="skip", message="not tried: nothing could be published")
    remedy = "the watchdog is the guarantee meanwhile; status.ably.com, or the faults of ably_dev (GET /dev/faults)"
    return Finding(check=check, status="fail", message="what was published did not come to a connection", remedy=remedy)


def _narrow(check: str, message: str) -> Finding:
    return Finding(check=check, status="fail", message=message, remedy=f"let the key do {WANTED}: {_DASHBOARD}")


def _trouble(check: str, said: Said) -> Finding:
    message = said.error or f"Ably answers {said.status}/{code_of(said)}: {said.told}"
    return Finding(check=check, status="fail", message=message, remedy="status.ably.com; is a limit of the account used up?")


class _Mesh(msgspec.Struct, rename="camel"):
    configured: bool
    connected: bool = False
    state: str = ""
    channels: dict[str, str] = {}


def subscriber(url: str, said: Said) -> Finding:
    """How the resume service's connection is."""
    check = "ably subscriber"
    if said.error:
        return Finding(check=check, status="skip", message="not looked at: the resume service does not answer")
    if said.status == 404:
        message = f"{url} is not there (404): this resume service does not say how its connection to Ably is"
        return Finding(check=check, status="warn", message=message, remedy="deploy this release of the resume service")
    try:
        found = msgspec.json.decode(said.body, type=_Mesh)
    except msgspec.DecodeError:
        message = f"{url} answers {said.status}, but not as the resume service does"
        return Finding(check=check, status="fail", message=message, remedy="correct RESUME_URL")
    return _subscribed(check, found, said.status)


def _subscribed(check: str, found: _Mesh, status: int) -> Finding:
    if not found.configured:
        message = "the resume service runs without ABLY_API_KEY, and hears nothing"
        return Finding(check=check, status="fail", message=message, remedy="give it the same ABLY_API_KEY, and restart it")
    deaf = [f"{name} is {state}" for name, state in found.channels.items() if state != "attached"]
    if found.connected and not deaf:
        return Finding(check=check, status="ok", message=f"the resume service listens on {len(found.channels)} channels")
    message = f"the resume service does not hear everything: connection {found.state}; {', '.join(deaf) or 'no channel'}"
    remedy = "it tries again by itself; a channel with 40160 is one that its key may not read; its log says more"
    return Finding(check=check, status="fail" if status >= 500 else "warn", message=message, remedy=remedy)


def webhook(settings: Settings) -> list[Finding]:
    """What is odd about the settings of Ably's webhooks; nothing where there are none."""
    signed = [one.strip() for one in settings.ably_webhook_keys.split(",") if one.strip()]
    if not signed and not settings.ably_webhook_secret:
        return []
    check = "ably webhook"
    if is_loopback(settings.resume_url) and not is_loopback(settings.ably_url or "https://ably.example"):
        message = f"Ably cannot reach RESUME_URL {settings.resume_url}, which is this machine only"
        return [Finding(check=check, status="fail", message=message, remedy="give the public address, or that of a tunnel")]
    found = []
    if settings.ably_api_key and settings.ably_api_key.strip() in signed:
        message = "ABLY_WEBHOOK_KEYS holds ABLY_API_KEY: who can sign webhooks can publish, and who rotates one rotates both"
        remedy = "sign with a key of its own that may do nothing, such as subscribe on mesh:none"
        found.append(Finding(check=check, status="warn", message=message, remedy=remedy))
    if settings.ably_webhook_secret and settings.resume_url.startswith("http://") and not is_loopback(settings.resume_url):
        message = "RESUME_URL is plain http: the internet reads ABLY_WEBHOOK_SECRET"
        found.append(Finding(check=check, status="warn", message=message, remedy="give an https:// address"))
    ways = [word for word, there in (("signed batches", signed), ("X-Mesh-Secret", settings.ably_webhook_secret)) if there]
    return found or [Finding(check=check, status="ok", message=f"{settings.resume_url} takes {' and '.join(ways)}")]
