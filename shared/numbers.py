"""Numbers in headers and query strings, which anybody may write; and in texts, which people read."""


def whole(text: str) -> int | None:
    """A number of 1 to 15 ASCII digits, else None. `isdigit` takes `²` too, and `int` refuses five thousand digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def counted(count: int, word: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
