"""The official client's own words are kept out of our log.

It logs a traceback for every attempt to connect that fails, and at info the address with the token in it. What it has to say is
in the states of its connection and its channels, from which our own lines are made. Its tasks that fail unheard (a goodbye on a
socket that is closed already) would be printed by asyncio, so those are left out as well.
"""

import logging


def _not_of_the_client(record: logging.LogRecord) -> bool:
    return "/ably/" not in record.getMessage().replace("\\", "/")


def silence() -> None:
    """Once a process; again changes nothing."""
    client = logging.getLogger("ably")
    client.propagate = False
    client.setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger("asyncio")
    if _not_of_the_client not in logger.filters:
        logger.addFilter(_not_of_the_client)
