"""The places of a body that ingress names (`$.cron`), as the options that they came from (`--cron`). Pure."""

import re
from collections.abc import Collection
from typing import Final

_PLACE: Final = re.compile(r"(?:\$\.(?:(?:filter|context)\.)?)?([A-Za-z]+)((?:\[\d+\])?)((?:[.\[][^\s:=]*)?)(: |=)")
_OTHERWISE: Final = {"userId": "--user", "ids": "--id", "intent": "words", "name": "name", "step": "step"}
"""Fields that an option, or an argument, has under another name."""


def said(message: str, options: Collection[str]) -> str:
    """The message with the option in the place of the field that it begins with, if there is such an option.

    `options`: of the verb; arguments by their names. What lies deeper stays: `--plan at steps[1].tool`.
    """
    found = _PLACE.match(message)
    if found is None:
        return message
    field, number, rest, colon = found.groups()
    option = _OTHERWISE.get(field) or "--" + re.sub(r"[A-Z]", lambda big: "-" + big[0].lower(), field)
    if option not in options:
        return message
    shown = option if option.startswith("--") else option.upper()
    deeper = f" at {(number + rest).lstrip('.')}" if rest else ""
    return f"{shown}{deeper}{colon}{message[found.end() :]}"
