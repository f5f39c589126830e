"""The system clock and ids, for composition roots; nothing pure imports this."""

import hashlib
import os
import secrets
import time

from shared.redisdb import keys


class SystemClock:
    """See `shared.ports.Clock`."""

    def monotonic_ms(self) -> float:
        """Milliseconds of a monotonic clock."""
        return time.monotonic() * 1000


def now_ms() -> int:
    """Unix ms of this machine's clock: for what need not agree with the store's."""
    return time.time_ns() // 1_000_000


def uuid7_hex(now_ms: int, random: bytes) -> str:
    """32 hex digits that sort by time (RFC 9562, version 7): 48 bits of unix ms, then 74 of `random` (10 bytes)."""
    value = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


def new_schedule_id() -> str:
    """A fresh id on a random partition."""
    return "sch_" + new_execution_id().removeprefix("exe_")


def schedule_id_of(tenant: str, key: str) -> str:
    """The id that an Idempotency-Key chooses: always the same one."""
    name = f"{tenant}/{key}"
    return f"sch_{keys.spread(name)}_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def new_execution_id(partition: str | None = None) -> str:
    """A fresh id; its partition is random unless an Idempotency-Key chose it."""
    chosen = partition if partition is not None else f"{secrets.randbelow(keys.PARTITIONS):02x}"
    return f"exe_{chosen}_{uuid7_hex(now_ms(), os.urandom(10))}"
