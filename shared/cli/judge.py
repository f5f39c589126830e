"""Verdicts on what was seen. Pure: facts in, findings out; each failure says what to do."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from shared.cli.findings import Finding, Status
from shared.cli.reach import Event, RedisFacts, Said, SigningKeys
from shared.redisdb import keys
from shared.redisdb.pings import Ping
from shared.settings import Settings

SKEW_S: Final = 5.0
LEAST_REDIS: Final = (7, 0)
STRICT_REDIS: Final = (7, 2)
_CONSOLE: Final = "the QStash console (https://console.upstash.com/qstash)"


def is_loopback(url: str) -> bool:
    """Whether only this machine reaches the URL."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def base_url(name: str, url: str) -> str:
    """What is wrong with a base URL; empty if nothing is."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        return f"{name}: the address is not readable; write https://host or http://host:port"
    if not whole:
        return f"{name}: it needs a scheme and a host, such as https://{parts.path.split('/')[0] or 'app.example'}"
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        base = f"{parts.scheme}://{parts.netloc}"
        return f"{name}: give the base only, {base}, without {url[len(base) :]!r}"
    if parts.username or parts.password:
        return f"{name}: leave the user and password out of the address"
    return ""


def one_word(name: str, value: str) -> str:
    """What is wrong with a token or key as text; empty if nothing is."""
    if not value:
        return f"{name}: it is empty, and it is needed"
    if re.search(r"\s", value):
        return f"{name}: there is a blank in it: copy it again, without"
    if re.fullmatch(r"your_.*_here", value):
        return f"{name}: {value} is the guide's placeholder: copy the real one from {_CONSOLE}"
    if not value.isprintable() or not value.isascii():
        return f"{name}: there is a character in it that no token has: copy it again"
    return ""


def token(base: str, said: Said, found: SigningKeys | None, name: str = "QSTASH_TOKEN") -> Finding:
    """Whether QStash takes the token."""
    check = "qstash token"
    if said.error:
        start = "start it (`make run`), or correct QSTASH_URL" if is_loopback(base) else "correct QSTASH_URL, or the network"
        return Finding(check=check, status="fail", message=f"{base}: {said.error}", remedy=start, away=True)
    if said.status in {401, 403}:
        remedy = f"copy the token of this region again: {_CONSOLE}, the eye beside Token"
        return Finding(check=check, status="fail", message=f"QStash refuses {name} ({said.status}: {said.told})", remedy=remedy)
    if found is None:
        message = f"{base}/v2/keys answers {said.status}, but not as QStash does"
        remedy = "QSTASH_URL must be the console's REST URL, such as https://qstash-us-east-1.upstash.io"
        return Finding(check=check, status="fail", message=message, remedy=remedy)
    return Finding(check=check, status="ok", message=f"{base} takes it")


def signing_keys(current: str, following: str, said: SigningKeys) -> Finding:
    """Our two keys against QStash's. What is signed with a key that we do not have is refused, always."""
    check, both = (
        "qstash keys",
        "set both keys as QStash has them: `intention setup` takes them over; then restart the services",
    )
    if said.current not in {current, following}:
        message = "QStash signs with a key that is neither QSTASH_CURRENT_SIGNING_KEY nor QSTASH_NEXT_SIGNING_KEY"
        return Finding(check=check, status="fail", message=message, remedy=both)
    if said.current == said.next:
        message = "QStash's next key equals its current one: the next rotation brings a key that nobody has yet"
        return Finding(check=check, status="warn", message=message, remedy="rotate once in the console, then run setup again")
    if current != said.current:
        message = "QStash has rotated its keys: it signs with our next key; after one more rotation every delivery is refused"
        return Finding(check=check, status="warn", message=message, remedy=both)
    if following != said.next:
        what = "is empty" if not following else "equals the current key" if following == current else "is not QStash's"
        message = f"QSTASH_NEXT_SIGNING_KEY {what}: the next rotation would refuse every delivery"
        return Finding(check=check, status="warn", message=message, remedy=both)
    return Finding(check=check, status="ok", message="both are QStash's; a rotation drops nothing")


def redis(facts: RedisFacts, *, strict: bool, where: str) -> list[Finding]:
    """Everything the engine needs of it. `where`: its address without the password."""
    if facts.error:
        away = "refuses" not in facts.error and "not usable" not in facts.error
        if not away:
            remedy = "correct REDIS_URL: redis://user:password@host:port/0, or rediss:// for TLS"
        elif is_loopback(where):
            remedy = "start it (`make run` starts one on this machine), or correct REDIS_URL"
        else:
            remedy = "correct REDIS_URL, or the network; rediss:// where the server wants TLS"
        return [Finding(check="redis", status="fail", message=f"{where}: {facts.error}", remedy=remedy, away=away)]
    return [
        Finding(check="redis", status="ok", message=f"{where} answers in {facts.took_ms:.1f} ms"),
        _version(facts, strict=strict),
        _eviction(facts),
        _disk(facts, strict=strict),
        _layout(facts),
        _writing(facts),
    ]


def _version(facts: RedisFacts, *, strict: bool) -> Finding:
    check, shown = "redis version", f"{facts.name} {facts.version}".strip()
    if not facts.speaks:
        return Finding(check=check, status="warn", message="it does not say its version", remedy="it must be 7 or newer")
    if facts.speaks < LEAST_REDIS:
        return Finding(check=check, status="fail", message=f"{shown} is too old", remedy="use Redis 7 or newer, or Valkey")
    if strict and facts.speaks < STRICT_REDIS:
        remedy = "use Redis 7.2 or newer, or Valkey; or DURABILITY=fast"
        return Finding(
            check=check, status="fail", message=f"{shown} has no WAITAOF, which DURABILITY=strict needs", remedy=remedy
        )
    also = f", speaks Redis {'.'.join(map(str, facts.speaks))}" if facts.name == "Valkey" else ""
    return Finding(check=check, status="ok", message=shown + also)


def _eviction(facts: RedisFacts) -> Finding:
    check = "redis eviction"
    if facts.policy is None:
        remedy = "look in its provider's console: eviction must be off"
        return Finding(check=check, status="warn", message="it hides its maxmemory-policy", remedy=remedy)
    if facts.policy != "noeviction":
        message = f"maxmemory-policy is {facts.policy}: it may throw executions away, and no service is ready on it"
        remedy = "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file or its provider's console"
        return Finding(check=check, status="fail", message=message, remedy=remedy)
    return Finding(check=check, status="ok", message="noeviction")


def _disk(facts: RedisFacts, *, strict: bool) -> Finding:
    check = "redis disk"
    if facts.append_only is None:
        remedy = "look in its provider's console: data must be on disk"
        return Finding(check=check, status="warn", message="it hides whether it writes to disk", remedy=remedy)
    if not facts.append_only:
        message = "appendonly is no: a restart of Redis loses what was accepted"
        return Finding(check=check, status="fail" if strict else "warn", message=message, remedy="CONFIG SET appendonly yes")
    if facts.fsync is None:
        return Finding(check=check, status="ok", message="append-only file; when it is synced is not shown")
    if facts.fsync == "always" or (facts.fsync == "everysec" and strict):
        return Finding(check=check, status="ok", message=f"append-only file, appendfsync {facts.fsync}")
    message = f"appendfsync {facts.fsync}: a lost machine may lose what was accepted in the last moments"
    remedy = "DURABILITY=strict waits for the disk where it matters, or CONFIG SET appendfsync always (docs/operations.md)"
    return Finding(check=check, status="warn", message=message, remedy=remedy)


def _layout(facts: RedisFacts) -> Finding:
    check = "redis layout"
    if facts.layout is None:
        return Finding(check=check, status="ok", message="empty; the first service to start lays it out")
    if facts.layout != str(keys.PARTITIONS):
        message = f"laid out for {facts.layout} partitions, this release needs {keys.PARTITIONS}"
        remedy = "use another Redis (or another database number in REDIS_URL), or the release that wrote it"
        return Finding(check=check, status="fail", message=message, remedy=remedy)
    return Finding(check=check, status="ok", message=f"{facts.layout} partitions")


def _writing(facts: RedisFacts) -> Finding:
    if facts.write_error:
        remedy = "the user in REDIS_URL must be allowed to write; a replica is no place to write; is its memory or disk full?"
        return Finding(check="redis write", status="fail", message=facts.write_error, remedy=remedy)
    return Finding(check="redis write", status="ok", message="written, read and deleted")


def service(check: str, url: str, said: Said, *, setting: str, start: str) -> Finding:
    """One of our services at its `/healthz` or `/readyz`."""
    if said.error:
        remedy = f"start it ({start}), or correct {setting}"
        return Finding(check=check, status="fail", message=f"{url}: {said.error}", remedy=remedy, away=True)
    if said.status == 503:
        return Finding(
            check=check,
            status="fail",
            message=f"{url} is not ready: {said.told}",
            remedy="mend what it names; its log says more",
        )
    if said.status != 200 or b'"status"' not in said.body:
        message = f"{url} answers {said.status}, but not as a service of this engine does"
        return Finding(
            check=check, status="fail", message=message, remedy=f"correct {setting}: another program or proxy is there"
        )
    return Finding(check=check, status="ok", message=f"{url} is {'ready' if url.endswith('/readyz') else 'there'}")


def reachable(name: str, url: str, qstash_url: str) -> str:
    """What is wrong with an address that QStash must reach; empty if nothing is."""
    if is_loopback(url) and not is_loopback(qstash_url):
        return (
            f"{name}: QStash ({urlsplit(qstash_url).hostname}) cannot reach {url}, which is this machine only: "
            "give the public address, or that of a tunnel"
        )
    return ""


def clock(check: str, offset_s: float | None, *, leeway_s: int) -> Finding:
    """Another clock against ours; `offset_s` is how far it is ahead."""
    if offset_s is None:
        return Finding(check=check, status="skip", message="it does not say its time")
    if abs(offset_s) <= SKEW_S:
        return Finding(check=check, status="ok", message="agrees with this machine's within seconds")
    much = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} this machine's"
    more = f"; above JWT_LEEWAY_S={leeway_s} signatures count as expired or not yet valid" if abs(offset_s) > leeway_s else ""
    return Finding(check=check, status="warn", message=f"its clock is {much}{more}", remedy="let both machines run NTP")


def direct(url: str, said: Said) -> Finding:
    """Whether the executor takes our own signature."""
    check = "internal key"
    if said.error:
        return Finding(check=check, status="skip", message="not tried: the executor does not answer")
    if said.status == 401:
        remedy = "give all services the same INTERNAL_SIGNING_KEY and EXECUTOR_URL, then restart them; its log names the reason"
        message = "the executor refuses a call signed with INTERNAL_SIGNING_KEY"
        return Finding(check=check, status="fail", message=message, remedy=remedy)
    if said.status == 404:
        remedy = "deploy this release of the step executor, or correct EXECUTOR_URL"
        return Finding(check=check, status="fail", message=f"{url} is not there (404)", remedy=remedy)
    if not 200 <= said.status < 300:
        message = f"the executor answers {said.status}: {said.told}"
        return Finding(check=check, status="fail", message=message, remedy="its log says more")
    return Finding(check=check, status="ok", message="the executor takes what our services sign")


def arrived(ping: Ping, took_ms: float, url: str) -> Finding:
    """The round trip came to its end."""
    how = f"signature verified with the {ping.signed_with} key"
    status: Status = "ok" if ping.signed_with == "current" else "warn"
    remedy = "" if status == "ok" else "the executor's keys are from before a rotation: set both again, and restart it"
    message = f"{took_ms:.0f} ms from publish to {url}; {how}"
    return Finding(check="round trip", status=status, message=message, remedy=remedy)


def not_published(said: Said) -> Finding:
    """QStash did not take the ping."""
    why = said.error or f"{said.status}: {said.told}"
    remedy = "the message says what QStash dislikes"
    if "loopback" in why:
        remedy = "EXECUTOR_URL must be an address that QStash reaches: the public one, or that of a tunnel"
    elif said.status == 429:
        remedy = "the plan's daily messages are used up, or too many came at once: wait, or enlarge the plan"
    elif said.status == 401:
        remedy = "correct QSTASH_TOKEN first"
    return Finding(check="round trip", status="fail", message=f"QStash does not take a message ({why})", remedy=remedy)


def not_arrived(events: list[Event], url: str, waited_s: float) -> Finding:
    """The ping was published, and the executor's note did not appear. QStash's own log says how far it came."""
    status = next((event.response_status for event in events if event.response_status), 0)
    states = {event.state for event in events}
    error = next((event.error for event in events if event.error), "")
    message, remedy = f"no sign of the message within {waited_s:.0f} s", "look at the message in QStash's console"
    if "DELIVERED" in states:
        message = f"QStash delivered to {url}, but this Redis knows nothing of it"
        remedy = "the executor has another REDIS_URL than this command: make them equal; or another service is at EXECUTOR_URL"
    elif status == 401:
        message = f"{url} refuses QStash's signature (401)"
        remedy = (
            "the executor runs with other signing keys, another EXECUTOR_URL or another clock than QStash: its log line "
            "signature.refused says which; set them, and restart it"
        )
    elif status == 404:
        message, remedy = f"{url} is not there (404)", "deploy this release of the step executor, or correct EXECUTOR_URL"
    elif status >= 300:
        message, remedy = f"{url} answers QStash with {status}", "the executor's log says more; is a proxy in between?"
    elif states & {"ERROR", "FAILED"}:
        message = f"QStash cannot reach {url}: {error or 'no reason given'}"
        remedy = "start the step executor, open the firewall for QStash, or correct EXECUTOR_URL"
    elif "ACTIVE" in states:
        message, remedy = f"{url} does not answer QStash", "is the executor frozen or overloaded? its log says more"
    elif states:
        remedy = "QStash still holds the message: a paused or full flow control, or its own trouble (status.upstash.com)"
    return Finding(check="round trip", status="fail", message=message, remedy=remedy)


def for_production(settings: Settings) -> list[str]:
    """What is allowed on one machine and forgotten before a deployment."""
    found = []
    if not settings.api_keys:
        found.append("API_KEYS is empty, so no caller from outside is let in")
    if not is_loopback(settings.qstash_url):
        found += [
            f"{name} is plain http: the internet reads the messages"
            for name, url in (("EXECUTOR_URL", settings.executor_url), ("RESUME_URL", settings.resume_url))
            if url.startswith("http://")
        ]
    return found
