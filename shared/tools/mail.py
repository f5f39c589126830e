"""E-mail by SMTP. The standard library's client in a thread: a message is one short conversation, and needs no other library.

Each step of the conversation means something else when it breaks: until the text is sent nothing happened, and after it only
the server's answer tells.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from shared.errors import SettingsError
from shared.tools.registry import Call, ToolNotSent, ToolRefused, ToolUnanswered

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
SUBJECT_MOST: Final = 78


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where e-mails are handed in."""

    host: str
    port: int
    user: str
    password: str
    tls: bool
    """From the first byte on; otherwise by STARTTLS, which is only left out on this machine itself."""

    @property
    def here(self) -> bool:
        """Whether nobody can listen on the way."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"


def server_of(url: str) -> Server:
    """The server of SMTP_URL; SettingsError, which does not show it: a password is in it."""
    bad = SettingsError("SMTP_URL is not usable: write smtp://user:password@host:587 or smtps://...")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"}:
        raise bad
    tls = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Server(host=parts.hostname, port=port or (465 if tls else 587), user=user, password=password, tls=tls)


class Mail:
    """Hands e-mails in."""

    def __init__(self, server: Server, sender: str) -> None:
        """`sender`: the address they come from."""
        if not _ADDRESS.fullmatch(sender):
            raise SettingsError(f"SMTP_FROM: {sender[:60]!r} is no e-mail address")
        self._server = server
        self._sender = sender

    async def send(self, call: Call, to: str, text: str) -> Any:
        """Hand one in. A server does not look at its Message-ID, so a second one would be a second e-mail."""
        if not _ADDRESS.fullmatch(to):
            raise ToolRefused("bad_arguments", f"{to[:80]!r} is no e-mail address")
        message = self._message(call.key, to, text)
        await asyncio.to_thread(self._deliver, message, to, call.deadline_s)
        shown = {"to": to, "channel": "email", "text": text, "status": "sent"}
        return {"message_id": str(message["Message-ID"]).strip("<>"), **shown}

    def _message(self, key: str, to: str, text: str) -> EmailMessage:
        message = EmailMessage(policy=POLICY)
        message["From"], message["To"] = self._sender, to
        message["Subject"] = _subject(text)
        message["Date"] = formatdate()
        # The same for every attempt: who gets it twice all the same can tell, and some mailboxes show it once.
        message["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{self._sender.partition('@')[2]}>"
        message.set_content(text)
        return message

    def _deliver(self, message: EmailMessage, to: str, deadline_s: float) -> None:
        with self._connected(deadline_s) as smtp:
            with _before_the_text():
                _accepted(smtp.mail(self._sender), {250})
                _accepted(smtp.rcpt(to), {250, 251})
            try:
                _accepted(smtp.data(message.as_bytes()), {250})
            except smtplib.SMTPDataError as error:
                _accepted((error.smtp_code, _bytes(error.smtp_error)), {250})
            except (smtplib.SMTPException, OSError) as error:
                raise ToolUnanswered(f"the mail server had the text and did not answer ({type(error).__name__})") from error

    @contextlib.contextmanager
    def _connected(self, deadline_s: float) -> Iterator[smtplib.SMTP]:
        server, smtp = self._server, None
        try:
            with _before_the_text():
                smtp = self._opened(deadline_s)
                if not server.tls and not server.here:
                    smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo_or_helo_if_needed()
                if server.user:
                    smtp.login(server.user, server.password)
            yield smtp
        finally:
            if smtp is not None:
                smtp.close()  # without a QUIT, whose answer nobody waits for

    def _opened(self, deadline_s: float) -> smtplib.SMTP:
        server = self._server
        if server.tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(server.host, server.port, timeout=deadline_s, context=context)
        return smtplib.SMTP(server.host, server.port, timeout=deadline_s)


@contextlib.contextmanager
def _before_the_text() -> Iterator[None]:
    """What goes wrong here goes wrong before there is anything to deliver."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise ToolRefused("smtp_login", f"the mail server does not take the user and password ({error.smtp_code})") from error
    except (smtplib.SMTPException, OSError) as error:
        raise ToolNotSent(f"the mail server cannot be reached ({type(error).__name__})") from error


def _accepted(said: tuple[int, bytes], good: set[int]) -> None:
    """ToolRefused for any other code: the server keeps nothing then. 4xx is for now, 5xx for good."""
    code, text = said
    if code not in good:
        words = text.decode("utf-8", "replace")[:200]
        raise ToolRefused(f"smtp_{code}", f"the mail server said {code}: {words}", retryable=400 <= code < 500)


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _subject(text: str) -> str:
    """The text's first line, as far as it fits."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "Message")
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= SUBJECT_MOST else f"{line[: SUBJECT_MOST - 3]}..."
