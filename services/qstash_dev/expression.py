"""The retry-delay expression: arithmetic in milliseconds over `retried`, with a fixed list of functions. Pure.

Documented operators and functions: `+ - * / ( )`, pow sqrt abs exp floor ceil round min max. Nothing else is a word of this
language, and the text is never handed to Python: it is user input.
"""

import math
import re
from collections.abc import Callable
from typing import TypeAlias

MAX_LENGTH = 256
MAX_DEPTH = 24

Node: TypeAlias = Callable[[float], float]

_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)|(?P<name>[a-z]+)|(?P<sign>[-+*/(),]))")


def _round(value: float) -> float:
    return math.floor(value + 0.5)  # half up, as people expect; Python's own goes to the even neighbour


_FUNCTIONS: dict[str, tuple[int, int, Callable[..., float]]] = {
    "pow": (2, 2, math.pow),
    "sqrt": (1, 1, math.sqrt),
    "abs": (1, 1, abs),
    "exp": (1, 1, math.exp),
    "floor": (1, 1, math.floor),
    "ceil": (1, 1, math.ceil),
    "round": (1, 1, _round),
    "min": (1, 16, min),
    "max": (1, 16, max),
}


class BadExpression(ValueError):
    """The text is not an expression of this language, or has no finite value."""


def evaluate(text: str, retried: int) -> float:
    """Milliseconds for `retried` (0 before the first retry). BadExpression when malformed, infinite or undefined."""
    try:
        value = float(_parse(text)(float(retried)))
    except (OverflowError, ZeroDivisionError) as error:
        raise BadExpression(f"{text!r} has no value for retried={retried}") from error
    except ValueError as error:
        raise error if isinstance(error, BadExpression) else BadExpression(f"{text!r}: {error}") from error
    if not math.isfinite(value):
        raise BadExpression(f"{text!r} has no finite value for retried={retried}")
    return value


def _parse(text: str) -> Node:
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"the expression is longer than {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    node = parser.total(0)
    parser.expect("")
    return node


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            raise BadExpression(f"unexpected {text[place:].strip()[:1]!r} in {text!r}")
        tokens.append(found[found.lastgroup or 0])
        place = found.end()
    return [*tokens, ""]


class _Parser:
    """Recursive descent, one method a level of precedence; each gives a function of `retried`."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def _next(self) -> str:
        token = self._tokens[self._place]
        self._place += 1
        return token

    def _peek(self) -> str:
        return self._tokens[self._place]

    def expect(self, wanted: str) -> None:
        """Take this token; the empty one is the end."""
        if self._peek() != wanted:
            raise BadExpression(f"expected {wanted or 'the end'!r}, found {self._peek() or 'the end'!r}")
        self._place += bool(wanted)

    def total(self, depth: int) -> Node:
        """Sums and differences."""
        if depth > MAX_DEPTH:
            raise BadExpression(f"nested more than {MAX_DEPTH} deep")
        node = self._product(depth)
        while self._peek() in {"+", "-"}:
            node = _join(self._next(), node, self._product(depth))
        return node

    def _product(self, depth: int) -> Node:
        node = self._factor(depth)
        while self._peek() in {"*", "/"}:
            node = _join(self._next(), node, self._factor(depth))
        return node

    def _factor(self, depth: int) -> Node:
        negative = False
        while self._peek() in {"+", "-"}:
            negative ^= self._next() == "-"
        node = self._atom(depth)
        return (lambda retried: -node(retried)) if negative else node

    def _atom(self, depth: int) -> Node:
        word = self._next()
        if word == "(":
            node = self.total(depth + 1)
            self.expect(")")
            return node
        if word == "retried":
            return lambda retried: retried
        if word in _FUNCTIONS:
            return self._call(word, depth)
        if word[:1].isdigit() or word.startswith("."):
            value = float(word)
            return lambda _: value
        raise BadExpression(f"unexpected {word or 'end'!r}")

    def _call(self, name: str, depth: int) -> Node:
        least, most, function = _FUNCTIONS[name]
        self.expect("(")
        nodes = [self.total(depth + 1)]
        while self._peek() == ",":
            self.expect(",")
            nodes.append(self.total(depth + 1))
        self.expect(")")
        if not least <= len(nodes) <= most:
            raise BadExpression(f"{name} takes {least} to {most} arguments, not {len(nodes)}")
        if len(nodes) == 1 and most > 1:
            return nodes[0]  # min and max of one value; Python's own would want an iterable
        return lambda retried: function(*(node(retried) for node in nodes))


def _join(sign: str, left: Node, right: Node) -> Node:
    match sign:
        case "+":
            return lambda retried: left(retried) + right(retried)
        case "-":
            return lambda retried: left(retried) - right(retried)
        case "*":
            return lambda retried: left(retried) * right(retried)
        case _:
            return lambda retried: left(retried) / right(retried)
