"""While a run is played, all of the engine's chances come from the seed: nonces, owners' tokens, the order of a sweep."""

import contextlib
import random
import secrets
from collections.abc import Iterator


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """`random`'s module functions and `secrets.token_hex` follow `seed` inside; nothing that is made there is a secret."""
    state, token_hex = random.getstate(), secrets.token_hex
    tokens = random.Random(seed)
    random.seed(seed)
    secrets.token_hex = lambda nbytes=None: tokens.randbytes(nbytes or 32).hex()
    try:
        yield
    finally:
        secrets.token_hex = token_hex
        random.setstate(state)
