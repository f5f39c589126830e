"""Conditions of steps: `reserve.total > 50 and not failed(ride)`. A tiny language that always ends and always answers.

Values: references (`step.path.to.value`, also `item`, `index`, `input`), numbers, 'text' or "text", true, false, null.
Tests: == != < <= > >=, `present(ref)` (there is a value), `done(step)`, `failed(step)`, `skipped(step)`; joined by and, or, not
and parentheses. A reference that leads nowhere is null; comparing by size what has no order is false. Nothing is called and
nothing repeats.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

MAX_LENGTH: Final = 1_000
MAX_DEPTH: Final = 32
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'[^']*'|"[^"]*")|(?P<op>==|!=|<=|>=|<|>|\(|\))"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*))"""
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_ASKS: Final = frozenset({"present", "done", "failed", "skipped"})
_KEPT: Final = frozenset({*_WORDS, "and", "or", "not"})

Node: TypeAlias = tuple[Any, ...]
Lookup: TypeAlias = Callable[[str, tuple[str, ...]], Any]
"""(step, path) -> its value, None if there is none."""
Standing: TypeAlias = Callable[[str], str]
"""step -> done | failed | skipped | open"""


class BadCondition(Exception):
    """The text is no condition; the message names the place."""


def names(text: str) -> tuple[str, ...]:
    """The steps a condition speaks of; BadCondition."""
    return tuple(dict.fromkeys(_names(parse(text)))) if text else ()


def holds(text: str, value_of: Lookup, standing: Standing) -> bool:
    """Whether the condition holds; it always answers."""
    return _truth(_value(parse(text), value_of, standing))


@lru_cache(maxsize=1_024)
def parse(text: str) -> Node:
    """The condition as a tree; BadCondition."""
    if len(text) > MAX_LENGTH:
        raise BadCondition(f"{len(text)} characters, but a condition has {MAX_LENGTH} at most")
    tokens = list(_tokens(text))
    parser = _Parser(tokens)
    node = parser.either(0)
    if parser.at < len(tokens):
        raise BadCondition(f"{tokens[parser.at][1]!r} at {tokens[parser.at][2]} is one too many")
    return node


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadCondition(f"{text[at:].strip()[:20]!r} at {at} is no part of a condition")
        kind = str(found.lastgroup)
        yield kind, found[kind], found.start(kind)
        at = found.end()


class _Parser:
    """Recursive descent; `depth` bounds it."""

    def __init__(self, tokens: list[tuple[str, str, int]]) -> None:
        self.tokens = tokens
        self.at = 0

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise BadCondition(f"nested more than {MAX_DEPTH} levels deep")
        return self._joined("or", self._both, depth)

    def _both(self, depth: int) -> Node:
        return self._joined("and", self._inverted, depth)

    def _joined(self, word: str, part: Callable[[int], Node], depth: int) -> Node:
        """All parts side by side and not one within the other: a long row is no deep tree."""
        parts = [part(depth)]
        while self._take(word):
            parts.append(part(depth))
        return (word, *parts) if len(parts) > 1 else parts[0]

    def _inverted(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise BadCondition(f"nested more than {MAX_DEPTH} levels deep")
        if self._take("not"):
            return ("not", self._inverted(depth + 1))
        return self._compared(depth)

    def _compared(self, depth: int) -> Node:
        left = self._atom(depth)
        if self.at < len(self.tokens) and self.tokens[self.at][1] in {"==", "!=", "<", "<=", ">", ">="}:
            operator = self.tokens[self.at][1]
            self.at += 1
            return (operator, left, self._atom(depth))
        return left

    def _atom(self, depth: int) -> Node:
        if self.at >= len(self.tokens):
            raise BadCondition("it ends where a value should stand")
        kind, text, place = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return ("value", float(text) if "." in text else int(text))
        if kind == "text":
            return ("value", text[1:-1])
        if text == "(":
            node = self.either(depth + 1)
            self._expect(")")
            return node
        if kind == "name" and text in _WORDS:
            return ("value", _WORDS[text])
        if kind == "name" and text in _ASKS and self._next_is("("):
            return self._asked(text)
        if kind != "name" or text in _KEPT:
            raise BadCondition(f"{text!r} at {place} stands where a value should")
        return _reference(text)

    def _asked(self, what: str) -> Node:
        self._expect("(")
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "name":
            raise BadCondition(f"{what}() wants the name of a step")
        _, text, place = self.tokens[self.at]
        self.at += 1
        self._expect(")")
        if what != "present" and ("." in text or text == "input"):
            raise BadCondition(f"{what}({text}) at {place} wants the name of a step")
        return (what, *_reference(text)[1:])

    def _next_is(self, text: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][1] == text

    def _take(self, word: str) -> bool:
        found = self._next_is(word) and self.tokens[self.at][0] == "name"
        self.at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._next_is(text):
            raise BadCondition(f"{text!r} is missing")
        self.at += 1


def _reference(text: str) -> Node:
    step, *path = text.split(".")
    return ("ref", step, tuple(path))


def _names(node: Node) -> Iterator[str]:
    match node:
        case ("value", _):
            return
        case ("ref" | "present" | "done" | "failed" | "skipped", str(step), _):
            yield step
        case (_, *parts):
            for part in parts:
                yield from _names(part)


def _value(node: Node, value_of: Lookup, standing: Standing) -> Any:
    match node:
        case ("value", value):
            return value
        case ("ref", str(step), tuple(path)):
            return value_of(step, path)
        case ("present", str(step), tuple(path)):
            return value_of(step, path) is not None
        case ("done" | "failed" | "skipped" as asked, str(step), _):
            return standing(step) == asked
        case ("not", part):
            return not _truth(_value(part, value_of, standing))
        case ("and", *parts):
            return all(_truth(_value(part, value_of, standing)) for part in parts)
        case ("or", *parts):
            return any(_truth(_value(part, value_of, standing)) for part in parts)
        case (operator, left, right):
            return _compare(operator, _value(left, value_of, standing), _value(right, value_of, standing))
    raise AssertionError(node)


def _truth(value: Any) -> bool:
    return bool(value)


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator in {"==", "!="}:
        return bool(_same(left, right)) == (operator == "==")
    numbers = _is_number(left) and _is_number(right)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    tests = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return bool(tests[operator])


def _same(left: Any, right: Any) -> bool:
    """JSON's equality: true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
