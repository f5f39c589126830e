"""What a broken promise is."""


class Broken(AssertionError):
    """A promise was broken. The first words name it; `check` is what a table of checks calls it."""

    def __init__(self, check: str, message: str) -> None:
        """`check`: a short name, the same for the same promise."""
        super().__init__(f"{check}: {message}")
        self.check = check


def must(fact: object, check: str, message: str) -> None:
    """Broken unless `fact`."""
    if not fact:
        raise Broken(check, message)
