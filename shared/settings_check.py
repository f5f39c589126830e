"""What settings must be beyond their types, and which go together: whatever would fail later, and in another place."""

import ipaddress
import re
import sys
from urllib.parse import urlsplit

from shared.errors import SettingsError
from shared.machine.plan import EVENT_NAME
from shared.settings import DEV_ABLY_KEY, LEAST_SECRET, PUBLIC_KEYS, SECRET_PREFIX, Settings

_KEYS = ("qstash_current_signing_key", "qstash_next_signing_key", "internal_signing_key")
_ABLY_KEY = re.compile(r"[\w-]{1,40}\.[\w-]{1,40}:\S{8,200}", re.ASCII)


def check(settings: Settings) -> None:
    """SettingsError, naming the setting that is wrong and what to do."""
    for field in ("qstash_url", "executor_url", "resume_url"):
        _check_base_url(field, getattr(settings, field))
    _check_tools(settings)
    if not _is_redis_url(settings.redis_url):  # not shown, because of the password in it
        raise SettingsError(
            "REDIS_URL is not usable: write redis://host:port/0, or rediss:// for TLS; "
            "special characters in a password are written as %2F and so on"
        )
    for network in settings.trusted_callers.split(","):
        try:
            ipaddress.ip_network(network.strip())
        except ValueError as error:
            raise SettingsError(f"TRUSTED_CALLERS: {error}; write networks such as 127.0.0.0/8") from error
    for pair in filter(None, settings.api_keys.split(",")):
        if not re.fullmatch(r"[a-z0-9_-]{1,40}:\S{16,}", pair.strip()):
            raise SettingsError("API_KEYS: write tenant:key pairs, comma separated, a key of at least 16 characters")
    for field in ("redis_url", "qstash_token", "upstash_qstash_token", *_KEYS):
        if re.search(r"\s", getattr(settings, field)):
            raise SettingsError(f"{field.upper()} has a blank or a line end in it: copy it without")
    _check_control(settings)
    _check_times(settings)
    _check_keys(settings)
    _check_ably(settings)
    _check_model(settings)
    _check_metrics(settings)
    if settings.executor_processes > 1 and sys.platform != "linux":
        raise SettingsError("EXECUTOR_PROCESSES: several processes at one address need Linux; leave it out, or run containers")


def _check_control(settings: Settings) -> None:
    if not settings.local_control:
        return
    if not settings.local:
        raise SettingsError("LOCAL_CONTROL lets callers break this system: only INTENTION_MODE=local takes it")
    host, _, port = settings.local_control.rpartition(":")
    if not _is_loopback(host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise SettingsError("LOCAL_CONTROL is not usable: `make run` sets it itself, as 127.0.0.1:port")
    if len(settings.local_control_key) < 16:
        raise SettingsError("LOCAL_CONTROL needs LOCAL_CONTROL_KEY: `make run` sets both itself")


def _check_metrics(settings: Settings) -> None:
    if settings.metrics and settings.executor_processes > 1:
        raise SettingsError(
            "METRICS and EXECUTOR_PROCESSES above 1 exclude each other: a scraper would meet another process each time. "
            "Run more executors with addresses of their own instead, or leave one of the two out"
        )
    if settings.metrics and not settings.metrics_token and not settings.local:
        raise SettingsError("METRICS needs METRICS_TOKEN: numbers tell much about who uses this, and are for your scraper only")
    if settings.metrics_token and not re.fullmatch(r"[!-~]{16,}", settings.metrics_token):
        raise SettingsError("METRICS_TOKEN is not usable: at least 16 characters that a header takes, no blanks")


def _check_tools(settings: Settings) -> None:
    for field in ("town_url", "weather_url", "geocode_url", "route_url", "twilio_url"):
        if getattr(settings, field):
            _check_base_url(field, getattr(settings, field), path=field != "town_url")
    for field in ("weather_url", "route_url"):
        if getattr(settings, field) and not settings.geocode_url:
            raise SettingsError(f"{field.upper()} needs GEOCODE_URL: it takes coordinates, and people name places")
    if settings.outbound_loopback and not settings.local:
        raise SettingsError("OUTBOUND_LOOPBACK is for development: only INTENTION_MODE=local takes it")
    _check_secrets(settings)


def _check_secrets(settings: Settings) -> None:
    if settings.smtp_url and not settings.smtp_from:
        raise SettingsError("SMTP_FROM is empty: who do e-mails come from?")
    if settings.twilio_account and not (settings.twilio_token and settings.twilio_from):
        raise SettingsError("TWILIO_ACCOUNT needs TWILIO_TOKEN and TWILIO_FROM")
    for name, value in settings.secrets.items():
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
            raise SettingsError(f"{SECRET_PREFIX}{name[:64]}: a secret's name is capitals, digits and _")
        if len(value) < LEAST_SECRET or not value.isprintable():
            raise SettingsError(f"{SECRET_PREFIX}{name} is not usable: at least {LEAST_SECRET} printable characters")


def _check_ably(settings: Settings) -> None:
    if settings.ably_url:
        _check_base_url("ably_url", settings.ably_url)
    for field in ("ably_api_key", "ably_webhook_keys"):
        for key in filter(None, getattr(settings, field).split(",")):
            if not _ABLY_KEY.fullmatch(key.strip()):  # not shown: it is a secret
                raise SettingsError(
                    f"{field.upper()} has not the form appid.keyid:secret: copy it from Ably's dashboard (API Keys)"
                )
            if key.strip() == DEV_ABLY_KEY and not settings.local:
                raise SettingsError(f"{field.upper()} is the public development key: only INTENTION_MODE=local takes it")
    _check_event_channels(settings)
    if settings.ably_webhook_secret and len(settings.ably_webhook_secret) < 16:
        raise SettingsError("ABLY_WEBHOOK_SECRET has fewer than 16 characters: choose a long random one")


def _check_event_channels(settings: Settings) -> None:
    known = {pair.strip().partition(":")[0] for pair in settings.api_keys.split(",") if pair}
    for pair in filter(None, settings.ably_event_channels.split(",")):
        tenant, _, event = pair.strip().partition(":")
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", tenant) or not re.match(EVENT_NAME, event):
            raise SettingsError(f"ABLY_EVENT_CHANNELS: {pair.strip()!r} is no tenant:event pair, such as acme:payment")
        if tenant not in known and not (settings.local and tenant == "local"):
            raise SettingsError(f"ABLY_EVENT_CHANNELS: no key of API_KEYS is of the tenant {tenant!r}")


def _check_model(settings: Settings) -> None:
    if settings.planner == "llm" and settings.planners == "rules":
        raise SettingsError("PLANNER=llm needs a model: set LLM_MODEL and LLM_API_KEY, or choose PLANNER=auto")
    if settings.llm_budget_cost and not (settings.llm_price_in and settings.llm_price_out):
        raise SettingsError("LLM_BUDGET_COST needs LLM_PRICE_IN and LLM_PRICE_OUT: what a million tokens cost")
    if re.search(r"[^!-~]", settings.llm_api_key):
        raise SettingsError("LLM_API_KEY has a blank, a line end or a letter that no header takes: copy it without")
    if not is_endpoint(settings.llm_base_url):  # not shown: it may hold a password
        raise SettingsError("LLM_BASE_URL is not usable: write it with its path, such as http://127.0.0.1:11434/v1")


def is_endpoint(url: str) -> bool:
    """Whether a model's endpoint can be there."""
    try:
        parts = urlsplit(url)
        return bool(parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.query)
    except ValueError:
        return False


def _check_times(settings: Settings) -> None:
    if not settings.checkpoint_ms <= settings.step_cutoff_ms <= settings.hard_limit_ms - 500:
        raise SettingsError("CHECKPOINT_MS <= STEP_CUTOFF_MS <= HARD_LIMIT_MS - 500 does not hold")
    if settings.lease_ms > settings.lock_ttl:
        raise SettingsError(f"LOCK_TTL={settings.lock_ttl} is below HARD_LIMIT_MS + 1000, the life of a lease: raise it")


def _check_keys(settings: Settings) -> None:
    if not settings.signing_keys:
        raise SettingsError(
            "QSTASH_CURRENT_SIGNING_KEY is empty: copy it from the QStash console (Keys). Without it no delivery could be "
            "verified, and verification is never skipped. For development set INTENTION_MODE=local."
        )
    if not settings.internal_signing_key:
        raise SettingsError("INTERNAL_SIGNING_KEY is empty: choose a random one, the same for all services")
    public = [field.upper() for field in _KEYS if getattr(settings, field) in PUBLIC_KEYS]
    if public and not settings.local:
        raise SettingsError(f"{public[0]} is a public development key: only INTENTION_MODE=local takes it")
    for field in ("executor_host", "resume_host"):
        if public and not _is_loopback(getattr(settings, field)):
            raise SettingsError(
                f"{field.upper()} is no loopback address, and {public[0]} is a public development key: whoever reaches this "
                "host could sign with it. Listen on 127.0.0.1, or give keys of your own"
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "unix" or (parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _check_base_url(field: str, url: str, *, path: bool = False) -> None:
    name = field.upper()
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a bracket too few, a port that is none
        parts, whole = urlsplit(""), False
    if not whole:  # not shown: it may hold a password, or be a token in the wrong place
        raise SettingsError(f"{name} is not usable: it needs a scheme and a host, such as https://app.example")
    if (parts.path not in {"", "/"} and not path) or parts.query:
        raise SettingsError(f"{name} is not usable: give the base only, without the path {parts.path!r}")
