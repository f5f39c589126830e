"""Messages to real people: each way that a conversation ends has one meaning, and what cannot be promised is not."""

import base64
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from shared.errors import SettingsError
from shared.machine.decision import Start
from shared.machine.events import Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.plan import Effect, Undo
from shared.settings_load import load
from shared.tools.installation import outbound_of, registry_of
from shared.tools.mail import server_of
from shared.tools.registry import Registry, Runner
from shared.tools.town import TownTools
from tests.support.executions import intent
from tests.support.valkey import free_port
from tests.tools.partner import Partner, hangs_up, partner, says
from tests.tools.post_office import PostOffice, post_office
from tests.town.support import Town

PASSWORD = "pass:word/42"
TOKEN = "twilio-token-0123456789"
EMAIL = {"to": "ann@example.com", "channel": "email", "text": "Table for 2 at Luigi's.\nSee you, Bob"}
SMS = {"to": "+442079460000", "channel": "sms", "text": "See you at 7 & bring Ann"}


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    """A mail server."""
    async with post_office() as found:
        yield found


@pytest.fixture
async def carrier() -> AsyncIterator[Partner]:
    """What speaks as Twilio does."""
    async with partner() as found:
        yield found


def mails(port: int) -> dict[str, str]:
    """The settings of a mail server here."""
    return {"SMTP_URL": f"smtp://bob:pass%3Aword%2F42@127.0.0.1:{port}", "SMTP_FROM": "bob@example.org"}


def texts(carrier: Partner) -> dict[str, str]:
    """The settings of a carrier here."""
    return {
        "TWILIO_URL": carrier.url,
        "TWILIO_ACCOUNT": "AC1",
        "TWILIO_TOKEN": TOKEN,
        "TWILIO_FROM": "+15550100",
        "OUTBOUND_LOOPBACK": "true",
    }


def registry(variables: dict[str, str], town: TownTools | None = None) -> Registry:
    """What an executor has."""
    settings = load({"INTENTION_MODE": "local", **variables})
    return registry_of(settings, outbound_of(settings), town)


async def send(found: Registry, args: dict[str, Any], version: str = "", step: str = "a", *, within: float = 10.0) -> Outcome:
    """One call, as in a segment."""
    effect, most_ms = intent(step, args=args), int(within * 1_000)
    start = Start(cell=0, step=step, tool="send_message", intent=effect, timeout_ms=most_ms, version=version)
    return await Runner(found).run(start, within)


async def test_an_email_is_handed_in(office: PostOffice) -> None:
    """With its first line as subject, and the same id for every attempt."""
    found = registry(mails(office.port))
    done = await send(found, EMAIL)
    await send(found, EMAIL)

    assert isinstance(done, Done)
    first, second = (message_from_bytes(letter, policy=default) for letter in office.letters)
    assert (first["From"], first["To"], first["Subject"]) == ("bob@example.org", "ann@example.com", "Table for 2 at Luigi's.")
    assert first.get_content().splitlines() == EMAIL["text"].splitlines()
    assert first["Message-ID"] == second["Message-ID"] == f"<{done.output['message_id']}>"
    assert base64.b64decode(office.login) == f"\x00bob\x00{PASSWORD}".encode()


async def test_nothing_is_promised_of_what_was_sent_to_a_person() -> None:
    """No key, no undo, no probe: so it is unsafe, and a doubt is left to a person."""
    contract = registry(mails(25)).contracts()["send_message"]

    assert (contract.effect, contract.undo, contract.version) == (Effect.UNSAFE, Undo.NONE, "2")


@pytest.mark.parametrize(
    ("verb", "line", "expected"),
    [
        ("HELLO", "", NotSent),
        ("HELLO", "554 go away", NotSent),
        ("AUTH", "535 who are you", ("smtp_login", False)),
        ("MAIL", "", NotSent),
        ("MAIL", "451 not now", ("smtp_451", True)),
        ("RCPT", "550 nobody here", ("smtp_550", False)),
        ("RCPT", "450 greylisted", ("smtp_450", True)),
        ("RCPT", "", NotSent),
        ("DATA", "554 no", ("smtp_554", False)),
        ("TEXT", "554 spam", ("smtp_554", False)),
        ("TEXT", "452 full", ("smtp_452", True)),
        ("TEXT", "", Unanswered),
        ("TEXT", "silence", Unanswered),
    ],
)
async def test_each_end_of_the_conversation_has_one_meaning(office: PostOffice, verb: str, line: str, expected: Any) -> None:
    """Before the text nothing happened; after it only the answer tells."""
    office.says[verb] = line
    found = await send(registry(mails(office.port)), EMAIL, within=1.0 if line == "silence" else 10.0)

    if isinstance(expected, tuple):
        assert isinstance(found, Refused), found
        assert (found.code, found.retryable) == expected
    else:
        assert isinstance(found, expected), found
    assert len(office.letters) == (verb == "TEXT" and line in {"", "silence"})


async def test_a_mail_server_that_is_not_there_was_not_asked() -> None:
    """Nothing happened."""
    assert isinstance(await send(registry(mails(free_port())), EMAIL), NotSent)


async def test_a_password_that_a_server_repeats_is_not_kept(office: PostOffice) -> None:
    """Not even from a refusal."""
    office.says["RCPT"] = f"550 {PASSWORD} is a bad password"
    found = await send(registry(mails(office.port)), EMAIL)

    assert isinstance(found, Refused)
    assert "*** is a bad password" in found.message


@pytest.mark.parametrize(
    "to", ["ann", "ann@", "ann@example.com\r\nBcc: eve@example.com", "ann@example.com, eve@example.com", "a b@c.d"]
)
async def test_a_recipient_is_one_address(office: PostOffice, to: str) -> None:
    """Nobody else gets it."""
    found = await send(registry(mails(office.port)), EMAIL | {"to": to})

    assert isinstance(found, Refused)
    assert (found.code, office.letters) == ("bad_arguments", [])


async def test_a_text_cannot_become_a_header(office: PostOffice) -> None:
    """Its first line is the subject, and no more than that."""
    await send(registry(mails(office.port)), EMAIL | {"text": f"Hi{'i' * 100}\rBcc: eve@example.com\nX: y\n.\nMAIL FROM:<x>"})

    [letter] = office.letters
    message = message_from_bytes(letter, policy=default)
    assert message["Bcc"] is None
    assert len(message["Subject"]) == 78


async def test_an_sms_is_handed_in(carrier: Partner) -> None:
    """As Twilio wants it."""
    carrier.script = says(201, {"sid": "SM7", "status": "queued"})
    found = await send(registry(texts(carrier)), SMS)

    assert found == Done(output={"message_id": "SM7", **SMS, "status": "sent"})
    [asked] = carrier.asked
    assert (asked.method, asked.path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert parse_qs(asked.body.decode()) == {"To": [SMS["to"]], "From": ["+15550100"], "Body": [SMS["text"]]}
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(f'AC1:{TOKEN}'.encode()).decode()}"


async def test_a_carriers_answers_mean_what_they_say(carrier: Partner) -> None:
    """And its copy of the login is struck out."""
    found = registry(texts(carrier))
    login = base64.b64encode(f"AC1:{TOKEN}".encode()).decode()
    carrier.script = says(400, {"code": 21211, "message": f"bad number; you are {login} {TOKEN}"})
    refused = await send(found, SMS)
    carrier.script = says(429, Retry_After="1")
    busy = await send(found, SMS)
    carrier.script = hangs_up
    unknown = await send(found, SMS)

    assert isinstance(refused, Refused)
    assert "you are *** ***" in refused.message
    assert isinstance(busy, Refused)
    assert busy.retry_after_ms == 1_000
    assert isinstance(unknown, Unanswered)


async def test_what_is_not_set_up_stays_in_the_town_or_is_refused(office: PostOffice, town: Town) -> None:
    """In words of what to set; and the town's own version stays for whoever planned with it."""
    async with httpx.AsyncClient(base_url=town.base_url) as client:
        found = registry(mails(office.port), TownTools(client))
        there = await send(found, SMS)
        old = await send(found, EMAIL, "1", "b")
    nowhere = await send(registry(mails(office.port)), SMS)

    assert isinstance(there, Done)
    assert there.output["simulated_delivery"] is True
    assert isinstance(old, Done)
    assert old.output["simulated_delivery"] is True
    assert isinstance(nowhere, Refused)
    assert (nowhere.code, "TWILIO_ACCOUNT is not set" in nowhere.message) == ("not_configured", True)
    assert office.letters == []


@pytest.mark.parametrize(
    ("variables", "says_"),
    [
        ({"SMTP_URL": "smtp://u:secret-pw@mail.example"}, "SMTP_FROM is empty"),
        ({"SMTP_URL": "http://u:secret-pw@mail.example", "SMTP_FROM": "a@b.c"}, "SMTP_URL is not usable"),
        ({"SMTP_URL": "smtp://u:secret-pw@mail.example:x", "SMTP_FROM": "a@b.c"}, "SMTP_URL is not usable"),
        ({"SMTP_URL": "smtp://mail.example", "SMTP_FROM": "nobody"}, "'nobody' is no e-mail address"),
        ({"TWILIO_ACCOUNT": "AC1"}, "needs TWILIO_TOKEN and TWILIO_FROM"),
    ],
)
def test_half_a_set_up_is_said(variables: dict[str, str], says_: str) -> None:
    """Without showing a password."""
    with pytest.raises(SettingsError) as found:
        registry(variables)
    assert says_ in str(found.value)
    assert "secret-pw" not in str(found.value)


def test_ports_and_tls_follow_from_the_scheme() -> None:
    """STARTTLS is left out on this machine only."""
    assert (server_of("smtps://m.example").port, server_of("smtps://m.example").tls) == (465, True)
    assert (server_of("smtp://m.example").port, server_of("smtp://m.example").here) == (587, False)
    assert server_of("smtp://localhost").here
    assert server_of("smtp://127.0.0.1:25").here
