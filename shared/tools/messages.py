"""`send_message` to real people: e-mail by SMTP, SMS by Twilio or what speaks as it does. The rest stays in the town."""

import base64
import time
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

import msgspec

from shared.machine.plan import Cost, Effect
from shared.settings import Settings
from shared.tools import answers
from shared.tools.mail import Mail, server_of
from shared.tools.outbound import Outbound
from shared.tools.redaction import Redactor
from shared.tools.registry import Call, Registry, ToolRefused, arguments_of
from shared.tools.town import Text, TownTools

VERSION: Final = "2"
SMS_COST: Final = 8
"""Cents, more than most SMS cost; TOOL_COSTS says what they do here. An e-mail counts as much: they are one tool."""
"""Beside the town's, which is version 1: what was planned with its promises keeps them."""


class Sms:
    """Hands SMS in."""

    def __init__(self, http: Outbound, *, url: str, account: str, token: str, sender: str) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._sender = sender
        self.login = base64.b64encode(f"{account}:{token}".encode()).decode()

    async def send(self, call: Call, to: str, text: str) -> Any:
        """Hand one in. There is no key in this API: a second request is a second SMS."""
        headers = {"Authorization": f"Basic {self.login}", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"To": to, "From": self._sender, "Body": text}).encode()
        answer = await self._http.request(call, "POST", self._url, headers=headers, body=body, configured=True)
        answers.check(answer, pure=False, now_s=time.time())
        return {"message_id": _sid(answer.body), "to": to, "channel": "sms", "text": text, "status": "sent"}


def _sid(body: bytes) -> str | None:
    """The message's id; it was taken, whatever the answer looks like."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any]).get("sid")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Messages:
    """Chooses the way by the channel."""

    def __init__(self, mail: Mail | None, sms: Sms | None, town: TownTools | None) -> None:
        self._mail = mail
        self._sms = sms
        self._town = town

    async def send_message(self, call: Call, *, to: Text, channel: Literal["sms", "email"], text: Text) -> Any:
        """Send a message by SMS or e-mail."""
        if channel == "email" and self._mail:
            return await self._mail.send(call, to, text)
        if channel == "sms" and self._sms:
            return await self._sms.send(call, to, text)
        if self._town:
            return await self._town.send_message(call, to=to, channel=channel, text=text)
        setting = "TWILIO_ACCOUNT" if channel == "sms" else "SMTP_URL"
        raise ToolRefused("not_configured", f"this installation sends no {channel}: {setting} is not set")


def register(registry: Registry, settings: Settings, http: Outbound, town: TownTools | None) -> None:
    """Nothing unless SMTP or Twilio is set up. What was sent to a person cannot be taken back, nor asked about: unsafe."""
    if not (settings.smtp_url or settings.twilio_account):
        return
    server = server_of(settings.smtp_url) if settings.smtp_url else None
    mail = Mail(server, settings.smtp_from) if server else None
    sms = None
    if settings.twilio_account:
        sms = Sms(
            http,
            url=settings.twilio_url,
            account=settings.twilio_account,
            token=settings.twilio_token,
            sender=settings.twilio_from,
        )
    hidden = [server.password if server else "", settings.twilio_token, sms.login if sms else ""]
    messages = Messages(mail, sms, town)
    registry.add(
        Redactor(hidden).around(messages.send_message),
        effect=Effect.UNSAFE,
        timeout_ms=7_000,
        settle_ms=30_000,
        version=VERSION,
        cost=Cost(amount=SMS_COST) if sms else None,
        name="send_message",
        summary="Send a message by SMS or e-mail. Once sent it cannot be taken back.",
        args=arguments_of(messages.send_message),
    )
