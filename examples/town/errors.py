"""Refusals that only the town knows. Each of them means: nothing was applied by this request."""

from shared.errors import Conflict, IntentionError, NotFound, Unprocessable


class NoTable(Conflict):
    """The restaurant is full for that slot."""

    code = "no_table"


class NoTableFound(NotFound):
    """No restaurant that fits has a free table then."""

    code = "no_table"


class NoSuchRestaurant(NotFound):
    """There is no restaurant of that name in town."""

    code = "unknown_restaurant"


class NoSuchReference(NotFound):
    """There is no such reservation or ride."""

    code = "unknown_reference"


class KeyReused(Conflict):
    """The Idempotency-Key was used for another request."""

    code = "key_reused"


class Undone(IntentionError):
    """The effect of this key was undone: it will never happen any more."""

    status = 410
    code = "undone"


class InvalidValue(Unprocessable):
    """A value is of the right type and still not possible."""

    code = "invalid_value"
