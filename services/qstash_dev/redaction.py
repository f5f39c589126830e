"""What is not to be shown: `REDACTED:<sha256>` stands in every answer of the API, the value itself is delivered. Pure."""

import hashlib
import re

from services.qstash_dev.headers import Pairs, canonical
from services.qstash_dev.model import Message
from shared.errors import BadRequest

_FIELD = re.compile(r"body|headers?|headers?\[([!#$%&'*+.^_`|~0-9A-Za-z-]+)\]")


def parse(text: str) -> list[str]:
    """`body, header[Authorization]` in one spelling: `body`, `header`, `header[Name]`. BadRequest for anything else."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = _FIELD.fullmatch(part)
        if not match:
            raise BadRequest(f"invalid Upstash-Redact-Fields {part!r}: body, header or header[<name>] is expected")
        name = f"header[{canonical(match[1])}]" if match[1] else part.removesuffix("s")
        found.append(name)
    return found


def redacted(data: bytes) -> str:
    """What stands for it; whoever knows the value can recognise it."""
    return "REDACTED:" + hashlib.sha256(data).hexdigest()


def body(message: Message, raw: bytes) -> bytes:
    """The body as it may be shown."""
    return ("REDACTED:" + message.body_hash).encode() if message.body_hash else raw


def header(message: Message) -> Pairs:
    """The delivered headers as they may be shown."""
    everything = "header" in message.redacted
    return [
        (name, redacted(value.encode()) if everything or f"header[{name}]" in message.redacted else value)
        for name, value in message.header
    ]
