"""When to try again. Jitter comes from a hash of who asks, so that the same attempt always waits the same time."""

import hashlib

from shared.machine.plan import Retry


def delay_ms(policy: Retry, *, execution: str, cell: int, attempt: int, retry_after_ms: int | None = None) -> int:
    """Milliseconds to wait after attempt number `attempt` (1 = the first): half to all of base·factor^(n-1), capped.

    A `Retry-After` of the other side is honoured as a minimum, up to an hour.
    """
    full = min(float(policy.cap_ms), policy.base_ms * policy.factor ** min(attempt - 1, 64))
    digest = hashlib.blake2b(f"{execution}.{cell}.{attempt}".encode(), digest_size=4).digest()
    jittered = full * (0.5 + int.from_bytes(digest, "big") / 2**33)
    return max(int(jittered), min(retry_after_ms or 0, 3_600_000))
