"""`intention setup`: from a person, the environment or options to a checked `.env`. Nothing is written before all is known."""

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import click
import httpx
import msgspec

from shared.ably import api_key
from shared.cli import envfile, judge, judge_ably, judge_model, reach, reach_ably, reach_mcp, reach_model
from shared.cli.doctor import address, unreadable_lines
from shared.cli.findings import Finding, masked, show
from shared.cli.reach import SigningKeys
from shared.errors import SettingsError
from shared.settings import DEV_ABLY_KEY, DEV_TOKEN, OPENAI, PUBLIC_KEYS, SECRET_PREFIX, Secret
from shared.settings_check import is_endpoint
from shared.settings_load import load
from shared.tools import mcp_tools

T = TypeVar("T")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that setup asks for."""

    name: str
    asks: str
    heading: str
    secret: bool = True


_QSTASH: Final = "RELIABLE QUEUE (Upstash QStash): the console's overview page, and its Keys tab"
_STORE: Final = "STORE (Redis or Valkey)"
_PLACES: Final = "ADDRESSES: where QStash reaches our services"
_OWN: Final = "OUR OWN KEYS: the same for all services"
_MODEL: Final = "MODEL, optional: any endpoint that speaks OpenAI's chat completions"
_TOOLS: Final = "TOOLS of MCP servers, optional"
_ABLY: Final = "SECOND CHANNEL (Ably), optional: the API Keys tab of the app"

FIELDS: Final = (
    Field(name="QSTASH_URL", asks="REST URL of the QStash console's overview page", heading=_QSTASH, secret=False),
    Field(name="QSTASH_TOKEN", asks="Token of the same page", heading=_QSTASH),
    Field(name="UPSTASH_QSTASH_TOKEN", asks="The same token under its other name", heading=_QSTASH),
    Field(name="QSTASH_CURRENT_SIGNING_KEY", asks="Current signing key, from the console's Keys tab", heading=_QSTASH),
    Field(name="QSTASH_NEXT_SIGNING_KEY", asks="Next signing key, from the same tab", heading=_QSTASH),
    Field(name="REDIS_URL", asks="Where the state is kept: redis://... or rediss://...", heading=_STORE),
    Field(name="EXECUTOR_URL", asks="Address at which QStash reaches the step executor", heading=_PLACES, secret=False),
    Field(name="RESUME_URL", asks="Address at which QStash reaches the resume service", heading=_PLACES, secret=False),
    Field(name="INTERNAL_SIGNING_KEY", asks="Key our services sign with among themselves", heading=_OWN),
    Field(name="API_KEYS", asks="Callers' keys, tenant:key, comma separated", heading=_OWN),
    Field(
        name="ABLY_API_KEY",
        asks="API key of an Ably app, for a second channel beside QStash and for progress; `none` for no Ably",
        heading=_ABLY,
    ),
    Field(
        name="LLM_API_KEY",
        asks="API key of a model that plans what the rules do not; any word will do for some, `none` for no model",
        heading=_MODEL,
    ),
    Field(name="LLM_BASE_URL", asks="Address of its endpoint, with the path", heading=_MODEL, secret=False),
    Field(name="LLM_MODEL", asks="Name of the model there", heading=_MODEL, secret=False),
    Field(
        name="MCP_SERVERS",
        asks="File that names MCP servers whose tools steps may call; `none` for no such tools",
        heading=_TOOLS,
        secret=False,
    ),
)
_BY_NAME: Final = {field.name: field for field in FIELDS}
_LATER: Final = frozenset({"EXECUTOR_URL", "RESUME_URL"})
"""What may well start only when this file is there."""
_OPTIONAL: Final = {
    "ABLY_API_KEY": "there is no second channel",
    "LLM_API_KEY": "the rules plan",
    "MCP_SERVERS": "there are no such tools",
}
"""What may be empty, and what that means."""
_OF_THE_MODEL: Final = frozenset({"LLM_BASE_URL", "LLM_MODEL"})
"""What is asked only where there is a key for a model."""
_PLACEHOLDER: Final = re.compile(r"your_\w+_here")


class Refused(Exception):
    """The values are not usable, and nobody is there to be asked again."""

    def __init__(self, message: str = "") -> None:
        """`message`: what has not been said yet."""
        super().__init__(message)
        self.message = message


def cleaned(name: str, typed: str) -> str:
    """What was meant: without the blanks, the name and the quotes that come along when a line of a file is copied."""
    text = typed.strip()
    text = re.sub(rf"^(?:export\s+)?{name}\s*=\s*", "", text)
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return text.strip()


def chosen(name: str, typed: str, default: str) -> str:
    """What is meant where Enter means the default, and `none` that there shall be none of what is optional."""
    value = cleaned(name, typed) or default
    return "" if name in _OPTIONAL and value.lower() == "none" else value


class Setup:
    """One run. Values come from the options, then the environment, then the file."""

    def __init__(self, path: Path, options: Mapping[str, str], *, checks: bool) -> None:
        """`checks`: whether neighbours are called."""
        self._path = path
        self._checks = checks
        self._in_file = envfile.values(envfile.read(path))
        shell = {name: os.environ[name] for name in _BY_NAME if os.environ.get(name)}
        known = {**{n: v for n, v in self._in_file.items() if n in _BY_NAME}, **shell, **options}
        self._known = {n: cleaned(n, v) for n, v in known.items() if v and not _PLACEHOLDER.fullmatch(v)}
        self._values: dict[str, str] = {}
        self._said: SigningKeys | None = None

    # asked from a person

    def interactive(self) -> None:
        """Ask, check, ask again; then write."""
        click.echo(
            f"This fills {self._path}. Enter takes what is in [brackets]; what you type for a\n"
            "secret is not shown. Nothing is written before the end, and Ctrl-C leaves\n"
            "everything as it is.\n"
        )
        self._look_at_the_file()
        for field in FIELDS:
            if self._wanted(field):
                self._values[field.name] = self._asked(field)
        self._look_at_clocks()
        self._summary()
        if wrong := self._wrong_as_a_whole():
            show(Finding(check="settings", status="fail", message=f"The services will not start with this: {wrong}"))
        if not click.confirm(f"\nWrite this to {self._path}?", default=True):
            raise click.Abort
        self._write()

    def _wanted(self, field: Field) -> bool:
        return field.name not in _OF_THE_MODEL or bool(self._values["LLM_API_KEY"])

    def _asked(self, field: Field) -> str:
        while True:
            default, shown = self._default(field)
            bracket = f" [{shown}]" if shown else ""
            click.echo(f"{field.asks}.")
            typed = click.prompt(
                f"{field.name}{bracket}", default="", show_default=False, hide_input=field.secret, prompt_suffix=": "
            )
            value = chosen(field.name, typed, default)
            findings = self._verdicts(field.name, value)
            for finding in findings:
                show(finding)
            click.echo()
            failed = [finding for finding in findings if finding.status == "fail"]
            if not failed:
                return value
            if all(finding.away for finding in failed) and click.confirm("Keep it all the same?", default=field.name in _LATER):
                click.echo()
                return value

    def _default(self, field: Field) -> tuple[str, str]:
        """What Enter means, and how that is shown."""
        name, known = field.name, self._known.get(field.name, "")
        if name in _FROM_QSTASH and self._said is not None:
            value = getattr(self._said, _FROM_QSTASH[name])
            return value, f"as QStash says, {masked(value)}"
        if known:
            shown = known if not field.secret else address(known) if name == "REDIS_URL" else f"keep {masked(known)}"
            return known, shown
        value = self._made(name)
        if name in {"INTERNAL_SIGNING_KEY", "API_KEYS"}:
            self._known[name] = value  # the same one if it is asked again
            return value, "a random one"
        if name == "UPSTASH_QSTASH_TOKEN":
            return value, "the same"
        if name in _OPTIONAL:
            return value, "none"
        return value, value

    def _made(self, name: str) -> str:
        """A value for what nobody gave; empty where there is none to be made."""
        home = judge.is_loopback(self._values.get("QSTASH_URL", ""))
        made: dict[str, Callable[[], str]] = {
            "UPSTASH_QSTASH_TOKEN": lambda: self._values.get("QSTASH_TOKEN", ""),
            "REDIS_URL": lambda: "redis://127.0.0.1:6390/0",
            "EXECUTOR_URL": lambda: "http://127.0.0.1:3001" if home else "",
            "RESUME_URL": lambda: "http://127.0.0.1:3002" if home else "",
            "INTERNAL_SIGNING_KEY": lambda: secrets.token_hex(32),
            "LLM_BASE_URL": lambda: OPENAI,
            "API_KEYS": lambda: f"default:{secrets.token_hex(24)}",
            "QSTASH_CURRENT_SIGNING_KEY": lambda: self._said.current if self._said else "",
            "QSTASH_NEXT_SIGNING_KEY": lambda: self._said.next if self._said else "",
        }
        return made[name]() if name in made else ""

    # told by options and the environment

    def non_interactive(self) -> None:
        """Take, check, write; Refused after everything that is wrong was said."""
        self._look_at_the_file()
        failed = False
        for field in filter(self._wanted, FIELDS):
            value = chosen(field.name, self._known.get(field.name, ""), self._made(field.name))
            self._values[field.name] = value
            findings = self._verdicts(field.name, value)
            for finding in findings:
                tolerated = finding.away and field.name in _LATER
                show(msgspec.structs.replace(finding, status="warn") if tolerated else finding)
                failed |= finding.status == "fail" and not tolerated
        if failed:
            raise Refused(f"\nNothing was written: {self._path} is as it was.")
        if wrong := self._wrong_as_a_whole():
            raise Refused(f"\nThe services would not start with this: {wrong}\nNothing was written.")
        self._look_at_clocks()
        self._summary()
        self._write()

    # verdicts

    def _verdicts(self, name: str, value: str) -> list[Finding]:
        """What there is to say of a value; the earlier ones are known."""
        if not value and name in _OPTIONAL:
            return [Finding(check=_CHECKS[name], status="ok", message=f"{name} stays empty: {_OPTIONAL[name]}")]
        wrong = self._form(name, value)
        if wrong:
            return [Finding(check=_CHECKS[name], status="fail", message=wrong)]
        if not self._checks:
            return [Finding(check=_CHECKS[name], status="ok", message=f"{name} is well formed (not checked)")]
        look: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
            "QSTASH_TOKEN": lambda: self._token(name, value),
            "UPSTASH_QSTASH_TOKEN": lambda: self._token(name, value),
            "REDIS_URL": lambda: self._redis(value),
            "EXECUTOR_URL": lambda: self._service("executor", name, value),
            "RESUME_URL": lambda: self._service("resume", name, value),
            "QSTASH_URL": lambda: self._qstash(value),
            "ABLY_API_KEY": lambda: self._ably(value),
            "LLM_BASE_URL": lambda: self._endpoint(value),
            "LLM_MODEL": lambda: self._model(value),
            "MCP_SERVERS": lambda: self._mcp(value),
        }
        if name in _FROM_QSTASH:
            return [self._key(name, value)]
        if name in look:
            return asyncio.run(_await(look[name]()))
        return [Finding(check=_CHECKS[name], status="ok", message=f"{name}, {masked(value.rpartition(':')[2])}")]

    def _form(self, name: str, value: str) -> str:
        """What is wrong with a value as text; empty if nothing is."""
        if not value:
            return f"{name}: it is empty, and it is needed"
        try:
            envfile.quote(value)
        except SettingsError as error:
            return f"{name}: {error.message}"
        if name in {"QSTASH_URL", "EXECUTOR_URL", "RESUME_URL"}:
            return judge.base_url(name, value) or (
                judge.reachable(name, value, self._values["QSTASH_URL"]) if name != "QSTASH_URL" else ""
            )
        if name in {"LLM_BASE_URL", "MCP_SERVERS"}:
            return _form_elsewhere(name, value)
        if name == "API_KEYS":
            fine = all(re.fullmatch(r"[a-z0-9_-]{1,40}:\S{16,}", pair.strip()) for pair in value.split(","))
            return "" if fine else "API_KEYS: write tenant:key, comma separated, each key of at least 16 characters"
        if wrong := judge.one_word(name, value):
            return wrong
        if name == "REDIS_URL" and not re.match(r"(redis|rediss|unix)://", value):
            return "REDIS_URL: it begins with redis://, or rediss:// for TLS, such as rediss://default:password@host:6379/0"
        if name == "INTERNAL_SIGNING_KEY" and len(value) < 16:
            return "INTERNAL_SIGNING_KEY: too short to be safe: take at least 16 characters, or Enter for a random one"
        if name == "ABLY_API_KEY" and not _is_ably_key(value):
            return "ABLY_API_KEY: it has the form appid.keyid:secret: copy it whole from Ably's dashboard (API Keys)"
        return self._public(name, value)

    def _public(self, name: str, value: str) -> str:
        if (value in PUBLIC_KEYS or value in {DEV_TOKEN, DEV_ABLY_KEY}) and not judge.is_loopback(self._values["QSTASH_URL"]):
            return f"{name}: this is a public development key, which everybody has: take one of your own"
        return ""

    async def _qstash(self, value: str) -> list[Finding]:
        async with httpx.AsyncClient() as client:
            said = await reach.get(client, f"{value.rstrip('/')}/v2/keys")
        verdict = judge.token(value, said, None)
        if said.status in {401, 403}:  # it asks who calls: that is QStash
            return [Finding(check="qstash", status="ok", message=f"{value} answers")]
        return [msgspec.structs.replace(verdict, check="qstash")]

    async def _token(self, name: str, value: str) -> list[Finding]:
        if name == "UPSTASH_QSTASH_TOKEN" and value == self._values["QSTASH_TOKEN"]:
            return [Finding(check="qstash token", status="ok", message="the same token under both names")]
        base = self._values["QSTASH_URL"]
        async with httpx.AsyncClient() as client:
            said, found = await reach.ask_keys(client, base, value)
        if name == "QSTASH_TOKEN":
            self._said = found
        return [judge.token(base, said, found, name)]

    def _key(self, name: str, value: str) -> Finding:
        if self._said is None:
            message = f"{name} is not compared: QStash did not say its keys"
            return Finding(check="qstash keys", status="warn", message=message, remedy="`intention doctor` compares them later")
        if value == getattr(self._said, _FROM_QSTASH[name]):
            return Finding(check="qstash keys", status="ok", message=f"{name} is QStash's, {masked(value)}")
        other = "next" if _FROM_QSTASH[name] == "current" else "current"
        swapped = f"it is QStash's {other} key" if value == getattr(self._said, other) else "it is none of QStash's keys"
        remedy = "copy it from the console's Keys tab; interactively, Enter takes what QStash says"
        return Finding(check="qstash keys", status="fail", message=f"{name} ends in {masked(value)}: {swapped}", remedy=remedy)

    async def _redis(self, value: str) -> list[Finding]:
        facts = await reach.look_at_redis(value, secrets.token_hex(16))
        return [*judge.redis(facts, strict=False, where=address(value)), *_clock("redis clock", facts.offset_s)]

    async def _ably(self, value: str) -> list[Finding]:
        """As the services will use it: the address is not asked for, because only a server of one's own needs one."""
        home = "http://127.0.0.1:8090" if judge.is_loopback(self._values["QSTASH_URL"]) else reach_ably.HOSTED
        base = (self._environment().get("ABLY_URL") or home).rstrip("/")
        async with httpx.AsyncClient() as client:
            clock, said = await reach_ably.ask_key(client, base, api_key(value))
        found = judge_ably.reached(base, clock)
        return [found] if found.status != "ok" else [judge_ably.key(said), *_clock("ably clock", clock.offset_s)]

    async def _endpoint(self, value: str) -> list[Finding]:
        async with httpx.AsyncClient() as client:
            return [judge_model.reached(address(value), await reach_model.ask_key(client, value, self._values["LLM_API_KEY"]))]

    async def _model(self, value: str) -> list[Finding]:
        base, key = self._values["LLM_BASE_URL"], self._values["LLM_API_KEY"]
        async with httpx.AsyncClient() as client:
            return [judge_model.known(address(base), await reach_model.look_at_model(client, base, key, value), value)]

    async def _mcp(self, value: str) -> list[Finding]:
        secrets_of = {
            name.removeprefix(SECRET_PREFIX): Secret(one)
            for name, one in self._environment().items()
            if name.startswith(SECRET_PREFIX)
        }
        try:
            return await reach_mcp.look_at_servers(mcp_tools.load(value), secrets_of)
        except SettingsError as error:
            return [Finding(check="mcp", status="fail", message=error.message)]

    async def _service(self, check: str, name: str, value: str) -> list[Finding]:
        async with httpx.AsyncClient() as client:
            url = f"{value.rstrip('/')}/healthz"
            said = await reach.get(client, url)
        found = judge.service(check, url, said, setting=name, start="`make run`, or the deployment that reads this .env")
        return [found, *_clock(f"{check} clock", said.offset_s)]

    def _look_at_the_file(self) -> None:
        if self._path.exists():
            for finding in unreadable_lines(self._path, envfile.read(self._path)):
                show(finding)

    def _look_at_clocks(self) -> None:
        if not self._checks:
            return

        async def ask() -> float | None:
            async with httpx.AsyncClient() as client:
                return (await reach.get(client, f"{self._values['QSTASH_URL'].rstrip('/')}/v2/keys")).offset_s

        for finding in _clock("qstash clock", asyncio.run(ask())):
            show(finding)

    # the end

    def _environment(self) -> dict[str, str]:
        return {**self._in_file, **os.environ, **self._values}

    def _wrong_as_a_whole(self) -> str:
        """Why the services would not start with this, other settings in the file included; empty if they would."""
        environ = self._environment()
        environ.setdefault("INTENTION_MODE", "local" if judge.is_loopback(self._values["QSTASH_URL"]) else "production")
        try:
            load(environ)
        except SettingsError as error:
            return error.message
        return ""

    def _summary(self) -> None:
        click.echo("\nWhat will stand there:")
        for field in filter(self._wanted, FIELDS):
            value = self._values[field.name]
            shown = (
                address(value) if field.name == "REDIS_URL" else masked(value) if field.secret and value else value or "(none)"
            )
            news = (
                "as it was" if self._in_file.get(field.name) == value else "changed" if field.name in self._in_file else "new"
            )
            click.echo(f"  {field.name:<27} {shown}  ({news})")

    def _write(self) -> None:
        headings = {field.name: field.heading for field in FIELDS}
        text = envfile.edit(envfile.read(self._path), self._values, headings)  # read again: it may have been edited meanwhile
        outcome = envfile.write(self._path, text)
        backup = envfile.backup_of(self._path.resolve()).name
        click.echo(
            {
                "nothing": f"\n{self._path} says all this already: nothing was changed.",
                "mode": f"\n{self._path} says all this already; now only its owner may read it (mode 600).",
                "created": f"\n{self._path} is written; only its owner may read it (mode 600).",
                "replaced": f"\n{self._path} is written; what it was before is in {backup} (both mode 600).",
            }[outcome]
        )
        for name in _overruled(self._values, os.environ):
            message = f"{name} is set to something else in this shell, and that wins over {self._path}"
            show(Finding(check="environment", status="warn", message=message, remedy=f"unset {name}"))
        click.echo(next_steps(self._path, self._environment().get("INGRESS_PORT") or "3000"))


_FROM_QSTASH: Final = {"QSTASH_CURRENT_SIGNING_KEY": "current", "QSTASH_NEXT_SIGNING_KEY": "next"}
_CHECKS: Final = {
    "QSTASH_URL": "qstash",
    "QSTASH_TOKEN": "qstash token",
    "UPSTASH_QSTASH_TOKEN": "qstash token",
    "QSTASH_CURRENT_SIGNING_KEY": "qstash keys",
    "QSTASH_NEXT_SIGNING_KEY": "qstash keys",
    "REDIS_URL": "redis",
    "EXECUTOR_URL": "executor",
    "RESUME_URL": "resume",
    "INTERNAL_SIGNING_KEY": "internal key",
    "API_KEYS": "api keys",
    "ABLY_API_KEY": "ably key",
    "LLM_API_KEY": "model",
    "LLM_BASE_URL": "model",
    "LLM_MODEL": "model",
    "MCP_SERVERS": "mcp",
}


def _form_elsewhere(name: str, value: str) -> str:
    """Of what is no address of ours: an endpoint; a file is read when it is looked at."""
    if name == "MCP_SERVERS" or is_endpoint(value):
        return ""
    return f"{name}: write it with its path, such as http://127.0.0.1:11434/v1"


def _is_ably_key(value: str) -> bool:
    try:
        api_key(value)
    except ValueError:
        return False
    return True


async def _await(call: Awaitable[T]) -> T:
    return await call


def _clock(check: str, offset_s: float | None) -> list[Finding]:
    """Only what is worth a line here: a clock that is off."""
    found = judge.clock(check, offset_s, leeway_s=30)
    return [found] if found.status == "warn" else []


def _overruled(values: Mapping[str, str], environ: Mapping[str, str]) -> Iterable[str]:
    return [name for name, value in values.items() if environ.get(name, value) != value]


def next_steps(path: Path, port: str) -> str:
    """What to do now. The key comes out of the file when the command runs, so that it stands on no screen and in no history."""
    place = path if path.is_absolute() else f"./{path}"
    return f"""
Next:
  make run       (or deploy the services with these settings)
  make doctor    (looks at everything, and sends a message through QStash)

Then, from this folder:
  (. {place}; k=${{API_KEYS%%,*}}
   curl -X POST http://localhost:{port}/api/execute \\
     -H "Authorization: Bearer ${{k#*:}}" \\
     -H "Content-Type: application/json" \\
     -d '{{"intent": "Book a table for 2 at 7pm", "userId": "test-user"}}')"""
