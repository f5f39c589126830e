"""Ids in the shapes QStash uses: `msg_` and 53 base58 characters, `jwt_…`, and stream-like ids for dead letters."""

import itertools
import random
import secrets

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_count = itertools.count()


def message_id() -> str:
    """A new message id, 57 characters. It names, it does not protect: a token guards every read."""
    return "msg_" + "".join(random.choices(BASE58, k=53))


def jwt_id() -> str:
    """A new `jti`; it must be a string, newer JWT libraries refuse a number."""
    return "jwt_" + "".join(random.choices(BASE58, k=22))


def signing_key() -> str:
    """A new signing key. This one does protect."""
    return "sig_" + "".join(secrets.choice(BASE58) for _ in range(28))


def schedule_id() -> str:
    """A new schedule id."""
    return "scd_" + "".join(random.choices(BASE58, k=28))


def dlq_id(now_ms: int) -> str:
    """A new dead-letter id, `<unix ms>-<n>`. Made before the entry is stored, since the failure callback names it."""
    return f"{now_ms}-{next(_count)}"
