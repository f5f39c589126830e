"""Whom the command line speaks with: options, then the environment, then a profile, then `.env`, then this machine.

Address and key belong together: a profile's key goes to its own address and nowhere else, and no key of `.env` goes there.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from shared.cli.api import Failed, api_key, ingress_url
from shared.cli.late import VerbGroup

_ADDRESS: Final = ("INTENTION_URL", "INGRESS_HOST", "INGRESS_PORT")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address, and who asks there."""

    url: str
    key: str = ""
    actor: str = ""

    def __repr__(self) -> str:
        """Without the key."""
        return f"Profile({self.url})"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration file."""

    profile: str = ""
    """The one in use; empty: none."""
    profiles: dict[str, Profile] = {}


@dataclass(frozen=True)
class Target:
    """Whom to ask, as whom. `key` and `actor` may be empty; `environ` is the environment over `.env`."""

    url: str
    key: str
    actor: str
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        """Without the key."""
        return f"Target({self.url})"


def config_file(environ: Mapping[str, str]) -> Path:
    """INTENTION_CONFIG, or intention/config.toml where the desktop keeps configuration."""
    if named := environ.get("INTENTION_CONFIG", ""):
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME", "") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(home) / "intention" / "config.toml"


def read(file: Path) -> Config:
    """What the file says; nothing if it is not there. Failed names the place of what is wrong."""
    try:
        text = file.read_text(encoding="utf8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error
    try:
        found = msgspec.convert(tomllib.loads(text), Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Failed(f"{file}: {error}\n  -> a profile is [profiles.NAME] with url, and if need be key and actor") from error
    _warn_of(file, found)
    return found


def _warn_of(file: Path, config: Config) -> None:
    others = os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if others and any(one.key for one in config.profiles.values()):
        click.echo(f"warning: {file} has keys in it and others may read it: chmod 600 {file}", err=True)


def target(
    env_file: Path, *, url: str | None = None, key: str | None = None, profile: str | None = None, actor: str | None = None
) -> Target:
    """Whom these options mean. `profile` is one that was named by hand, and wins over the environment."""
    return chosen(os.environ, _values(env_file), url=url, key=key, profile=profile, actor=actor)


def _values(env_file: Path) -> dict[str, str]:
    if not env_file.exists():  # the library that reads it costs 50 ms
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(env_file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{env_file} cannot be read: {error}") from error


def chosen(
    environ: Mapping[str, str],
    file: Mapping[str, str],
    *,
    url: str | None = None,
    key: str | None = None,
    profile: str | None = None,
    actor: str | None = None,
) -> Target:
    """The same of an environment and what `.env` says."""
    both = {**file, **environ}
    used = None if url else _profile(environ, profile)
    if used is None:
        return Target(url or ingress_url(both), key or api_key(both), actor or both.get("INTENTION_ACTOR", ""), both)
    told = "" if profile else environ.get("INTENTION_KEY", "")
    who = actor or environ.get("INTENTION_ACTOR", "") or used.actor
    return Target(used.url.rstrip("/"), key or told or used.key, who, both)


def _profile(environ: Mapping[str, str], named: str | None) -> Profile | None:
    """The profile that counts: named by hand, or in use while the environment says no address."""
    if named is None and any(environ.get(name) for name in _ADDRESS):
        return None
    file = config_file(environ)
    config = read(file)
    name = named or environ.get("INTENTION_PROFILE", "") or config.profile
    if not name:
        return None
    found = config.profiles.get(name)
    if found is None:
        known = ", ".join(sorted(config.profiles)) or "none"
        raise Failed(f"{file} has no profile {name!r}; it has: {known}")
    return found


@click.group("profile", cls=VerbGroup)
def profiles() -> None:
    """Addresses and keys of several engines."""


@profiles.command("list")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def list_(*, as_json: bool) -> None:
    """The profiles of the configuration file, and which is in use. Keys are not shown."""
    from shared.cli import screen
    from shared.cli.grids import Column, listed

    config = read(config_file(os.environ))
    used = os.environ.get("INTENTION_PROFILE", "") or config.profile
    found: list[dict[str, Any]] = [
        {"name": name, "url": one.url, "key": bool(one.key), "actor": one.actor or None, "inUse": name == used}
        for name, one in sorted(config.profiles.items())
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"file": str(config_file(os.environ)), "profiles": found})))
        return
    columns = (
        (Column("NAME"), "name"),
        (Column("IN USE"), lambda one: "in use" if one["inUse"] else ""),
        (Column("KEY"), lambda one: "with a key" if one["key"] else "no key"),
        (Column("ACTOR", drop=1), "actor"),
        (Column("URL", "text"), "url"),
    )
    screen.show(listed(found, *columns))


@profiles.command()
@click.argument("name")
def use(name: str) -> None:
    """Use a profile from now on; - uses none."""
    file = config_file(os.environ)
    config = read(file)
    if name != "-" and name not in config.profiles:
        known = ", ".join(sorted(config.profiles)) or "none"
        raise Failed(f"{file} has no profile {name!r}; it has: {known}")
    if file.exists():
        _write(file, using(file.read_text(encoding="utf8"), "" if name == "-" else name))
    click.echo(f"no profile is in use: {file}" if name == "-" else f"{name} is in use: {config.profiles[name].url}")


def using(text: str, name: str) -> str:
    """The file's text with another profile in use; everything else, remarks too, as it was."""
    lines = text.splitlines()
    table = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    kept = [line for line in lines[:table] if line.partition("=")[0].strip() != "profile"]
    said = [f"profile = {msgspec.json.encode(name).decode()}"] if name else []
    return "\n".join([*said, *kept, *lines[table:]]) + "\n"


def _write(file: Path, text: str) -> None:
    """In its place at once, for its owner only: there may be keys in it."""
    beside = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf8") as out:
        out.write(text)
    beside.replace(file)
