"""No secret in a log line: those of the settings by their values, others by where they stand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.redaction import Scrubber, secrets_of
from shared.settings_load import load

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "REDIS_URL": "rediss://default:pass%2Fword-of-redis@db.example:6380/0",
    "QSTASH_TOKEN": "token-of-qstash-0001",
    "UPSTASH_QSTASH_TOKEN": "token-of-qstash-0002",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current-0003",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next-0004-00",
    "INTERNAL_SIGNING_KEY": "internal-key-0005",
    "ABLY_API_KEY": "app.key:secret-of-ably-0006",
    "ABLY_WEBHOOK_KEYS": "app.one:secret-of-ably-0007,app.two:secret-of-ably-0008",
    "ABLY_WEBHOOK_SECRET": "secret-of-webhooks-0009",
    "API_KEYS": "acme:key-of-acme-0010-0000,other:key-of-other-0011-0000",
    "LLM_API_KEY": "sk-of-the-model-0012",
    "SMTP_URL": "smtps://ann:password-of-mail-0013@mail.example:465",
    "SMTP_FROM": "ann@mail.example",
    "TWILIO_ACCOUNT": "AC1",
    "TWILIO_TOKEN": "token-of-twilio-0014",
    "TWILIO_FROM": "+15550100",
    "METRICS_TOKEN": "token-of-metrics-0015",
    "SECRET_CRM_TOKEN": 'with "quotes" and \\ 0016',
}
ALONE = {
    "password-of-mail-0013",
    "pass/word-of-redis",
    "pass%2Fword-of-redis",
    "token-of-qstash-0001",
    "token-of-qstash-0002",
    "sig_current-0003",
    "sig_next-0004-00",
    "internal-key-0005",
    "secret-of-ably-0006",
    "secret-of-ably-0007",
    "secret-of-ably-0008",
    "secret-of-webhooks-0009",
    "key-of-acme-0010-0000",
    "key-of-other-0011-0000",
    "sk-of-the-model-0012",
    "token-of-twilio-0014",
    "token-of-metrics-0015",
    'with "quotes" and \\ 0016',
}
PROGRAM = """
import json, os, sys
from shared import logs
from shared.redaction import Scrubber, secrets_of
from shared.settings_load import load
told = json.loads(sys.stdin.read())
logs.configure(service="x", format=sys.argv[1], level="info", clean=Scrubber(secrets_of(load(told["settings"]))).line)
log = logs.get_logger()
for secret in told["secrets"]:
    log.info("said", value=f"it is {secret}.", nested={"deep": [secret]}, **{"name-" + secret: 1})
    try:
        raise ValueError(f"refused: {secret}")
    except ValueError:
        log.exception("crashed")
log.info("left", url="https://app.example/path?x=1", event_key="order-17", message="Checkpoint saved [segment 2]")
log.info("url", url="redis://ann:somebody-elses@db:1/0", header="Authorization: Bearer abc.def-ghi_jkl", basic="Basic YW5uOnB3")
"""


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_of_the_settings_is_in_a_log_line(format_: str) -> None:
    """As a value, in the middle of a text, as a name, in a traceback; and as JSON writes it."""
    said = json.dumps({"settings": SETTINGS, "secrets": sorted(ALONE)})
    command = [sys.executable, "-c", PROGRAM, format_]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=said, timeout=60, check=True).stdout

    forms = ALONE | {json.dumps(secret)[1:-1] for secret in ALONE}
    assert [form for form in forms if form in text] == []
    assert "somebody-elses" not in text
    assert "abc.def-ghi_jkl" not in text
    assert "YW5uOnB3" not in text
    assert "https://app.example/path?x=1" in text, "what is no secret can be read"
    assert "Checkpoint saved [segment 2]" in text
    if format_ == "json":
        assert [json.loads(line)["level"] for line in text.splitlines()].count("error") == len(ALONE)


def test_every_secret_setting_is_known_to_the_scrubber() -> None:
    """A new setting of that kind is struck out by its type alone."""
    assert secrets_of(load(SETTINGS)) >= ALONE


def test_public_keys_and_what_is_short_are_no_secrets() -> None:
    """Local mode's lines would be full of stars, and a short word is in every other line."""
    known = secrets_of(load({"INTENTION_MODE": "local", "LLM_API_KEY": "x"}))

    assert "x" not in known
    assert not any(value.startswith(("sig_", "local-internal", "redis://")) for value in known)


STRUCK = {
    "a URL": ("https://ann:pw@host/x", "https://***@host/x"),
    "a user alone": ("redis://pw@host", "redis://***@host"),
    "a header": ("authorization: Bearer abcdefgh", "authorization: Bearer ***"),
    "a header in capitals": ("AUTHORIZATION: BEARER ABCDEFGH", "AUTHORIZATION: BEARER ***"),
    "a query": ("https://host/x?token=abc&y=1", "https://host/x?token=***&y=1"),
    "JSON": ('{"password": "abc", "n": 1}', '{"password": "***", "n": 1}'),
    "JSON in JSON": ('"{\\"api_key\\":\\"abc\\"}"', '"{\\"api_key\\":\\"***\\"}"'),
    "nothing": ("two tokens were spent at 7:30", "two tokens were spent at 7:30"),
    "an address": ("mail ann@example.com at http://host:80/a", "mail ann@example.com at http://host:80/a"),
}


@pytest.mark.parametrize(("text", "left"), STRUCK.values(), ids=STRUCK.keys())
def test_what_looks_like_a_secret_is_struck_out_of_what_tools_say(text: str, left: str) -> None:
    """Nobody knows its value."""
    assert Scrubber().text(text) == left


def test_fields_under_the_name_of_a_secret_are_gone_whatever_they_are() -> None:
    """Also deep inside, and numbers."""
    found = Scrubber().value({"x_api_key": 17, "rows": [{"Password": ["a"]}], "tokens": 3, "key": "order-17"})

    assert found == {"x_api_key": "***", "rows": [{"Password": "***"}], "tokens": 3, "key": "order-17"}
