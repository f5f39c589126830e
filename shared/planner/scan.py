"""Reading by taking away: the text is tidied once, a rule takes the words it understands, what nobody took is asked about."""

import re
import unicodedata
from collections.abc import Collection

from shared.planner import lexicon

BLANK = "\x00"
"""Stands where a rule has taken a character; tidied text never holds it, so no pattern matches across it."""

_TABLE = str.maketrans(lexicon.CHARACTERS)
_TOKEN = re.compile(r"[^\s\x00]+")
_JOINER = "\N{ZERO WIDTH JOINER}"


def tidy(text: str) -> str:
    """One kind of quote, dash and space; no control or invisible characters; letters composed."""
    composed = unicodedata.normalize("NFC", text.translate(_TABLE))
    return " ".join("".join(_tidy_character(character) for character in composed).split())


def _tidy_character(character: str) -> str:
    if character == _JOINER:
        return character
    match unicodedata.category(character):
        case "Cc" | "Zs" | "Zl" | "Zp":
            return " "
        case "Cf":
            return ""
        case "Cs":
            return "\N{REPLACEMENT CHARACTER}"
        case _:
            return character


class Scan:
    """A piece of text while it is being read. Every character is taken at most once."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match, blanked out of the text."""
        found = pattern.search(self.text)
        if found is not None:
            self.blank(found.start(), found.end())
        return found

    def take_all(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """Every match from left to right, all blanked out of the text."""
        found = [match for match in pattern.finditer(self.text) if match.group()]
        for match in found:
            self.blank(match.start(), match.end())
        return found

    def blank(self, start: int, end: int) -> None:
        """Mark characters as understood."""
        self.text = self.text[:start] + BLANK * (end - start) + self.text[end:]

    def left(self, empty: Collection[str]) -> tuple[str, ...]:
        """The phrases nobody took, without words that carry nothing and without punctuation."""
        phrases: list[str] = []
        for piece in self.text.split(BLANK):
            phrases.extend(_phrase(piece, empty))
        return tuple(phrases)


def _phrase(piece: str, empty: Collection[str]) -> list[str]:
    """From the first word that carries something to the last one, as written."""
    silent = lexicon.SILENT_PUNCTUATION
    full = [token for token in _TOKEN.finditer(piece) if (word := token.group().strip(silent)) and word.lower() not in empty]
    return [piece[full[0].start() : full[-1].end()].strip(silent)] if full else []


def quote(words: str) -> str:
    """Words of the user, readable and not longer than a line."""
    shown = " ".join("".join(character if character.isprintable() else " " for character in words).split())
    return shown if len(shown) <= lexicon.LONGEST_QUOTE else shown[: lexicon.LONGEST_QUOTE - 1] + "…"
