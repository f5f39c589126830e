"""Secrets struck out of what is logged: those that the settings know by their values, and what looks like one. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec

from shared.settings import LEAST_SECRET, PUBLIC_KEYS, Secret, Settings

MARK: Final = "***"
_USERINFO: Final = re.compile(r"(?<=://)[^\s/@\"'\\]*@")
_AUTHORIZED: Final = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/_.=:~-]{6,}")
_NAMED: Final = re.compile(
    r"(?i)((?:api[_-]?key|token|password|passwd|secret|signature|authorization|cookie)\\?[\"']?\s*[:=]\s*\\?[\"']?)"
    r"(?!\*\*\*)(?!(?:bearer|basic)\b)[^\s\"',;}&\\]+"
)
_NAME: Final = re.compile(r"(?i)(^|[_-])(api[_-]?key|token|password|passwd|secret|authorization|cookie)$")


class Scrubber:
    """One for a process. It strikes out too much rather than too little."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """`values`: secrets, struck out as they are, and as URLs and JSON write them."""
        self._forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """What nobody knows the name of: a sentence, a URL, the text of an error."""
        found = self.line(text)
        return _NAMED.sub(rf"\1{MARK}", found)

    def line(self, text: str) -> str:
        """A whole log line: as `text`, but what stands behind a name such as `token` is left alone, for ours are harmless."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MARK)
        if "://" in text:
            text = _USERINFO.sub(f"{MARK}@", text)
        if "earer" in text or "asic" in text or "EARER" in text:
            text = _AUTHORIZED.sub(rf"\1\2{MARK}", text)
        return text

    def value(self, value: Any) -> Any:
        """JSON, also its names; what stands under a name such as `password` is gone whatever it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): MARK if _NAME.search(name) else self.value(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one) for one in value]
        return value


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every value of the settings that nobody may read, in the parts in which it is used."""
    found: set[str] = set(settings.secrets.values())
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, Secret) and value:
            found |= set(_parts(name, value))
    return frozenset(one for one in found if len(one) >= LEAST_SECRET and one not in PUBLIC_KEYS)


def _parts(name: str, value: str) -> Iterable[str]:
    if name in {"redis_url", "smtp_url"}:  # the password in it; the address is worth reading
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            password = ""
        return (password, unquote(password))
    if name == "ably_dev_rules":
        return ()
    pairs = [pair.strip() for pair in value.split(",")] if name in {"api_keys", "ably_webhook_keys"} else [value]
    behind = [pair.partition(":")[2] for pair in pairs if ":" in pair]
    return (*pairs, *behind) if name.startswith(("ably_", "api_")) else (value,)


def _forms(value: str) -> set[str]:
    if not value:
        return set()
    value = str(value)  # without what keeps a Secret from being shown
    as_json = msgspec.json.encode(value).decode()[1:-1]
    return {value, quote(value, safe=""), quote_plus(value), as_json}
