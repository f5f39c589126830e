"""The command line's way to ingress: one call a question, and every refusal as a sentence with a remedy."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import click
import httpx

LOOK: Final = 2_000
"""Executions that a shortened id is looked for among, the newest first."""
PAGE: Final = 500
POLL_S: Final = 0.3
_WHOLE: Final = re.compile(r"exe_[0-9a-f]{2}_[0-9a-f]{32}")


class Failed(click.ClickException):
    """It was refused; the message says what to do, too."""

    exit_code = 1


class Unreachable(Failed):
    """Nobody answered."""

    exit_code = 3


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
        """The answer; Failed with the error's own words."""
        headers = {"X-Actor": self._actor} if self._actor else {}
        headers |= {"Idempotency-Key": key} if key else {}
        try:
            answer = self._client.request(method, path, json=body, params=params, headers=headers)
        except httpx.HTTPError as error:
            where = self._client.base_url
            raise Unreachable(
                f"{where} does not answer ({type(error).__name__}): is it running? `--url` or INTENTION_URL names another"
            ) from error
        if answer.is_success:
            found: dict[str, Any] = answer.json()
            return found
        raise Failed(refusal(answer))

    def get(self, execution: str) -> dict[str, Any]:
        """One execution."""
        return self.ask("GET", f"/api/executions/{execution}")

    def resolve(self, text: str) -> str:
        """The id that begins or ends so; `last` is the newest. Failed if there is none, or more than one."""
        if _WHOLE.fullmatch(text):
            return text
        if text == "last":
            rows = self.ask("GET", "/api/executions", params={"limit": 1})["executions"]
            if not rows:
                raise Failed("there is no execution yet: `intention run` starts one")
            return str(rows[0]["id"])
        found = [one for one in self._ids() if matches(one, text)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise Failed(f"no execution begins or ends with {text!r} (of the newest {LOOK}): `intention list` shows them")
        raise Failed(f"{text!r} is not enough: it could be {', '.join(found[:5])}{' ...' if len(found) > 5 else ''}")

    def _ids(self) -> list[str]:
        found: list[str] = []
        before = ""
        while len(found) < LOOK:
            page = self.ask("GET", "/api/executions", params={"limit": PAGE} | ({"before": before} if before else {}))
            found += [row["id"] for row in page["executions"]]
            before = page["next"] or ""
            if not before:
                break
        return found

    def wait(self, execution: str, timeout_s: float, told: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """The execution when it is over, or when the time is up; `told` hears of every change."""
        deadline, last = time.monotonic() + timeout_s, None
        while True:
            found = self.get(execution)
            now = (found["status"], found["reason"], found["doneSteps"])
            if now != last:
                told(found)
                last = now
            if found["endedAt"] is not None or time.monotonic() >= deadline:
                return found
            time.sleep(POLL_S)


def matches(execution: str, text: str) -> bool:
    """Whether it begins or ends so; ids made within one minute begin alike, so that their ends are handier."""
    unique = execution.rpartition("_")[2]
    return bool(text) and (execution.startswith(text) or unique.startswith(text) or unique.endswith(text))


def refusal(answer: httpx.Response) -> str:
    """What was refused and why, with what helps."""
    try:
        error = answer.json()["error"]
        code, message, details = error["code"], error["message"], error.get("details") or {}
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}, and nothing that could be read: is that ingress?"
    lines = [f"{message} [{code}]"]
    lines += [
        f"  {name}: {details[name]}" for name in ("status", "reason", "step", "stepStatus", "version") if details.get(name)
    ]
    if remedy := _REMEDIES.get(code):
        lines.append(f"  -> {remedy}")
    return "\n".join(lines)


_REMEDIES: Final = {
    "unauthorized": "give --key, or set INTENTION_KEY",
    "version_conflict": "look again with `intention get`, and decide on what you see",
    "effects_stand": "add --accept-effects if it may be done once more, or undo it first with `intention compensate`",
    "moot": "`intention why` says what it waits for",
}
