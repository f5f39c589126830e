"""The places of a body that ingress names (`$.cron`), as the options that they came from (`--cron`). Pure."""

import re
from collections.abc import Collection
from typing import Final

_PLACE: Final = re.compile(r"(?:\$\.)?(?:(?:filter|context)\.)?([A-Za-z]+)((?:\[\d+\])?)((?:[.\[].*)?)")
_OTHERWISE: Final = {"userId": "--user", "ids": "--id", "intent": "words", "name": "name", "step": "step"}
"""Fields that an option, or an argument, has under another name."""


def said(message: str, place: object, options: Collection[str]) -> str:
    """The message with the option in the place of the field, where it begins with the field and there is such an option.

    `options`: of the verb; arguments by their names. What lies deeper stays: `--plan at steps[1].tool`.
    """
    found = _PLACE.fullmatch(place) if isinstance(place, str) else None
    if found is None or not message.startswith(f"{place}:"):
        return message
    field, number, rest = found.groups()
    option = _OTHERWISE.get(field) or "--" + re.sub(r"[A-Z]", lambda big: "-" + big[0].lower(), field)
    if option not in options:
        return message
    deeper = f" at {(number + rest).lstrip('.')}" if rest else ""
    shown = option if option.startswith("--") else option.upper()
    return shown + deeper + message[len(str(place)) :]
