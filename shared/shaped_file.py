"""A file of TOML or JSON that has to have a shape: tools, servers, policies."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from shared.errors import SettingsError
from shared.misshapen import misshapen

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Read(Protocol[T_co]):
    """Makes something of a file's text; BadFile if it cannot."""

    def __call__(self, text: str, *, is_json: bool) -> T_co:
        """See above."""
        ...


class BadFile(ValueError):
    """The file cannot be used; the message names the place."""


def shaped(text: str, shape: type[T], *, is_json: bool, called: Callable[[Any, str], str] = lambda _plain, _place: "") -> T:
    """The text as `shape`. BadFile names the place and what is wrong there.

    `called` may put a name behind a place, such as that of the tool in which it is; it gets the file as plain data.
    """
    try:
        plain = msgspec.json.decode(text) if is_json else tomllib.loads(text)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadFile(f"it is no {'JSON' if is_json else 'TOML'}: {error}") from error
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        wrong = misshapen(error, shape)
        place = wrong.place.removeprefix("$").removeprefix(".")
        raise BadFile(f"{place or 'the file'}{called(plain, place)}: {wrong.text}") from error


def loaded(setting: str, path: str, read: Read[T]) -> T:
    """What the file of a setting holds; SettingsError names the setting, the file, and the place in it."""
    try:
        return read(Path(path).read_text(encoding="utf8"), is_json=path.endswith(".json"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{setting}={path} cannot be read ({error})", field=setting) from error
    except BadFile as error:
        raise SettingsError(f"{setting}={path}: {error}", field=setting) from error
