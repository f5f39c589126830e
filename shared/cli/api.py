"""The command line's way to ingress: one call a question, and every refusal as a sentence with a remedy."""

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
import httpx

from shared.cli import places
from shared.cli.completion import about
from shared.cli.grids import clean
from shared.cli.shown import OUTCOMES
from shared.client.errors import Refused, plain, refused
from shared.client.transport import after_s

if TYPE_CHECKING:
    from shared.cli.profiles import Target

LOOK: Final = 2_000
"""Executions that a shortened id is looked for among, the newest first."""
PAGE: Final = 500
CANDIDATES: Final = 5
"""Ids that are listed where a shortened one could be several."""
SHOWN_WIDTH: Final = 100
LISTS: Final = {"executions": "executions", "dlq": "letters", "schedules": "schedules"}
"""Where a page of each kind has its rows."""
ONE: Final = {"executions": "execution", "dlq": "dead letter", "schedules": "schedule"}
SHOWN: Final = {"executions": "list", "dlq": "dlq list", "schedules": "schedule list"}
_WHOLE: Final = re.compile(r"(exe|sch)_[0-9a-f]{2}_[0-9a-f]{32}|dlq_[0-9a-f]{2}_[0-9a-f]{32}_[0-9a-z]+")


BUSY_AGAIN: Final = 3
"""How often what ingress has no time for is asked again."""
_PASSING: Final = (429, 502, 503, 504)


class Failed(click.ClickException):
    """It was refused; the message says what to do, too."""

    exit_code = 1

    def __init__(self, message: str, *, status: int = 0) -> None:
        """`status`: of the answer, if there was one."""
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether it may be well again by itself: nobody is there, or ingress cannot answer just now."""
        return self.status in _PASSING


class Unreachable(Failed):
    """Nobody answered."""

    exit_code = 3
    passing = True


def ingress_url(environ: Mapping[str, str]) -> str:
    """Where ingress is: INTENTION_URL, or as the services' own settings say."""
    if url := environ.get("INTENTION_URL", ""):
        return url.rstrip("/")
    host = environ.get("INGRESS_HOST", "")
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{environ.get('INGRESS_PORT') or 3000}"


def api_key(environ: Mapping[str, str]) -> str:
    """INTENTION_KEY, or the first of API_KEYS; local mode needs none."""
    if key := environ.get("INTENTION_KEY", ""):
        return key
    return environ.get("API_KEYS", "").partition(",")[0].partition(":")[2].strip()


class Api:
    """Asks ingress."""

    def __init__(self, client: httpx.Client, actor: str) -> None:
        """`client` knows the address and the key; `actor` is who acts, for the history."""
        self._client = client
        self._actor = actor

    def ask(self, method: str, path: str, body: Any = None, *, params: Any = None, key: str = "") -> dict[str, Any]:
        """The answer; Failed with the error's own words. Parameters that say nothing are not sent."""
        given = {name: value for name, value in (params or {}).items() if value != ""}
        headers = {"X-Actor": self._actor} if self._actor else {}
        _check_header("--idempotency-key", key)
        headers |= {"Idempotency-Key": key} if key else {}
        sent = {"json": body, "params": given, "headers": headers}
        answer = self._answer(method, path, **sent)
        for _ in range(BUSY_AGAIN):
            if answer.is_success or not _undone(answer):
                break
            time.sleep(after_s(answer) + random.random() / 2)
            answer = self._answer(method, path, **sent)
        if not answer.is_success:
            raise _failed(answer)
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise Failed(f"{plain(answer.request.url)} answered, and not in JSON: is that ingress?") from error
        return found

    def _answer(self, method: str, path: str, **sent: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **sent)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        where = plain(self._client.base_url)
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return Unreachable(f"{where} broke off in the middle of its answer ({type(error).__name__}): ask again")
        if isinstance(error, httpx.ReadTimeout):
            return Unreachable(f"{where} took too long to answer: `intention doctor` looks at everything that must run")
        return Unreachable(
            f"{where} does not answer ({type(error).__name__}): is it running (`intention dev` starts everything here)?"
            "\n  -> --url, --profile or INTENTION_URL names another"
        )

    def get(self, execution: str, **page: int) -> dict[str, Any]:
        """One execution with a page of its steps; `first` and `limit` say which."""
        return self.ask("GET", f"/api/executions/{execution}", params=page or None)

    def resolve(self, text: str, kind: str = "executions") -> str:
        """The id that begins or ends so; `last` is the newest. Failed if there is none, or more than one.

        UsageError for an empty one: it comes of a variable that was never set.
        """
        if not text.strip():
            raise click.UsageError(f"the id of the {ONE[kind]} is empty: `intention {SHOWN[kind]}` shows those that there are")
        if _WHOLE.fullmatch(text):
            return text
        if text == "last":
            return self._newest(kind)
        found = [one for one in self._newest_of(kind) if matches(one["id"], text)]
        if len(found) == 1:
            return str(found[0]["id"])
        if not found:
            where = f"(of the newest {LOOK}): `intention {SHOWN[kind]}` shows them"
            raise Failed(f"no {ONE[kind]} begins or ends with {text!r} {where}")
        raise Failed("\n".join([f"{text!r} is not enough: it could be", *_candidates(found)]))

    def _newest(self, kind: str) -> str:
        rows = self.ask("GET", f"/api/{kind}", params={"limit": 1})[LISTS[kind]]
        if not rows:
            raise Failed(f"there is no {ONE[kind]} yet")
        return str(rows[0]["id"])

    def _newest_of(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before = ""
        while len(found) < LOOK:
            page = self.ask("GET", f"/api/{kind}", params={"limit": PAGE} | ({"before": before} if before else {}))
            found += page[LISTS[kind]]
            before = page["next"] or ""
            if not before:
                break
        return found

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str] | None = None, read_s: float = 60) -> Iterator[httpx.Response]:
        """The answer while it comes. Unreachable where it breaks off, or is silent for `read_s`; Failed for a refusal."""
        timeout = httpx.Timeout(30, read=read_s)
        try:
            with self._client.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _failed(answer)
                yield answer
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error


def _candidates(found: list[dict[str, Any]]) -> Iterator[str]:
    yield from (f"  {one['id']}  {about(one)}".rstrip()[:SHOWN_WIDTH] for one in found[:CANDIDATES])
    if len(found) > CANDIDATES:
        yield f"  and {len(found) - CANDIDATES} more"
    yield "  -> write more of it; the end of an id tells best"


@contextmanager
def opened(aim: "Target", *, timeout_s: float = 30) -> Iterator[Api]:
    """A way to where the target says."""
    _check_header("the key (--key, INTENTION_KEY, or of the profile)", aim.key)
    _check_header("the name of who acts (--actor, INTENTION_ACTOR, or of the profile)", aim.actor)
    headers = {"Authorization": f"Bearer {aim.key}"} if aim.key else {}
    try:
        client = httpx.Client(base_url=aim.url, headers=headers, timeout=timeout_s)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise Failed(f"{aim.url!r} is no address (--url, INTENTION_URL, or of the profile)") from error
    with client:
        yield Api(client, aim.actor)


def _check_header(what: str, text: str) -> None:
    """Failed without the text: it may be a key."""
    if not (text.isascii() and text.isprintable()):
        raise Failed(f"{what} has characters that a header cannot carry: letters, digits and signs of ASCII only")


def matches(whole: str, text: str) -> bool:
    """Whether an id begins or ends so; ids made within one minute begin alike, so that their ends are handier."""
    unique = whole.split("_", 2)[-1]
    return bool(text) and (whole.startswith(text) or unique.startswith(text) or unique.endswith(text))


def _undone(answer: httpx.Response) -> bool:
    """Whether ingress has too much to do, and did nothing."""
    error = refused(answer.status_code, answer.content, answer.request.url)
    return isinstance(error, Refused) and error.undone


def _failed(answer: httpx.Response) -> Failed:
    error = refused(answer.status_code, answer.content, answer.request.url)
    return Failed(refusal(error) if isinstance(error, Refused) else str(error), status=answer.status_code)


def refusal(error: Refused) -> str:
    """What was refused and why, with what helps."""
    lines = [f"{places.said(error.message, _options())} [{error.code}]"]
    lines += [
        f"  {name}: {error.details[name]}"
        for name in ("status", "reason", "step", "stepStatus", "version")
        if error.details.get(name)
    ]
    if (remedy := _REMEDIES.get(error.code)) and (error.code != "moot" or _waits(error)):
        lines.append(f"  -> {remedy}")
    return "\n".join(clean(line) for line in lines)


def _options() -> set[str]:
    """What the verb that runs takes; nothing where none does (`intention mcp` asks in threads)."""
    context = click.get_current_context(silent=True)
    return {name for one in (context.command.params if context else ()) for name in one.opts}


def _waits(error: Refused) -> bool:
    """Whether there is something that it could wait for: what is over waits for nothing."""
    status = error.details.get("status")
    return bool(status) and status not in OUTCOMES


_REMEDIES: Final = {
    "unauthorized": "give --key, set INTENTION_KEY, or use a profile that has the key",
    "version_conflict": "look again with `intention get`, and decide on what you see",
    "version_required": "look at it with `intention get`, and say with --version what you saw",
    "effects_stand": "add --accept-effects if it may be done once more, or undo it first with `intention compensate`",
    "moot": "`intention why` says what it waits for",
}
