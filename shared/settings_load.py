"""Settings are read from the environment once and handed down. Nothing below a `main.py` reads it again.

A setting's variable is its field name in capitals. A name with one of our prefixes that is no setting stops the start-up, so
that a typo is found at once and not in production at night.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared.errors import SettingsError
from shared.settings import (
    DEV_ABLY_KEY,
    DEV_CURRENT_KEY,
    DEV_NEXT_KEY,
    DEV_TOKEN,
    LOCAL_INTERNAL_KEY,
    SECRET_PREFIX,
    Secret,
    Settings,
)
from shared.settings_check import check

OWN_PREFIXES = (
    "QSTASH_",
    "UPSTASH_QSTASH_",
    "INTENTION_",
    "INGRESS_",
    "EXECUTOR_",
    "RESUME_",
    "TOWN_",
    "SWEEP_",
    "INTERNAL_",
    "BREAKER_",
    "QUOTA_",
    "ABLY_",
    "MESH_",
    "OUTBOUND_",
    "LLM_",
    "MCP_",
    "TELEMETRY_",
    "METRICS_",
)
# Read by Upstash's own SDKs, and by our command line, so a user may well have them set; they mean nothing to a service.
FOREIGN = re.compile(
    r"QSTASH_DEV|QSTASH_DEV_(LOG_PORT|QUOTA)|QSTASH_REGION|UPSTASH_QSTASH_URL|INTENTION_(URL|KEY|ACTOR|PROFILE|CONFIG)"
)


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment; SettingsError names every field that is wrong and what to do."""
    known = {name.upper(): name for name in Settings.__struct_fields__ if name != "secrets"}
    for name in environ:
        if name.startswith(OWN_PREFIXES) and name not in known and not FOREIGN.fullmatch(name):
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "see docs/settings.md"
            raise SettingsError(f"{name} is not a setting: {hint}", field=name)
    raw: dict[str, Any] = {field: environ[name] for name, field in known.items() if environ.get(name, "") != ""}
    raw |= {field: "" for field in _MAY_BE_OFF if raw.get(field) == "off"}
    raw["secrets"] = {name.removeprefix(SECRET_PREFIX): environ[name] for name in environ if name.startswith(SECRET_PREFIX)}
    if environ.get("INTENTION_MODE") == "local":
        raw = _LOCAL_DEFAULTS | _beside(raw) | raw
    try:
        settings = msgspec.convert(raw, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        field = re.search(r"\$\.(\w+)", str(error))
        name = field[1].upper() if field else "a setting"
        raise SettingsError(f"{name} is not usable: {str(error).split(' - at')[0]}", field=name) from error
    check(settings)
    return settings


def _beside(raw: Mapping[str, Any]) -> dict[str, str]:
    """On one machine whoever moves a server to another port is looked for there."""
    ports = {"qstash_url": "qstash_dev_port", "ably_url": "ably_dev_port"}
    ports |= {f"{name}_url": f"{name}_port" for name in ("ingress", "executor", "resume", "town")}
    return {url: f"http://127.0.0.1:{raw[port]}" for url, port in ports.items() if port in raw}


_MAY_BE_OFF: Final = ("ably_api_key", "archive_folder", "town_url")
"""`off` is no value of theirs: an empty variable counts as none, and so gets local mode's default."""

_LOCAL_DEFAULTS: dict[str, Any] = {
    "qstash_token": DEV_TOKEN,
    "qstash_current_signing_key": DEV_CURRENT_KEY,
    "qstash_next_signing_key": DEV_NEXT_KEY,
    "internal_signing_key": LOCAL_INTERNAL_KEY,
    "ably_dev_key": DEV_ABLY_KEY,
    "ably_api_key": DEV_ABLY_KEY,
    "ably_url": "http://127.0.0.1:8090",
    "town_url": "http://127.0.0.1:3010",
    "log_format": "console",
    "archive_folder": ".intention/archive",
    "operators": "local",
}


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise TypeError(kind)


def table() -> str:
    """The table of docs/settings.md, as Markdown."""
    rows = ["| variable | default | local mode |", "| --- | --- | --- |"]
    for field in msgspec.structs.fields(Settings):
        local = _LOCAL_DEFAULTS.get(field.name)
        if field.name == "secrets":
            rows.append(f"| `{SECRET_PREFIX}<NAME>` | `(none)` |  |")
            continue
        default = {"": "(none)", None: "(the profile's)"}.get(field.default, field.default)
        rows.append(f"| `{field.encode_name.upper()}` | `{default}` | {f'`{local}`' if local else ''} |")
    return "\n".join(rows)
