"""Names and places: which words are one, and where it ends. A name is capitalised or quoted; anything else is asked."""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from shared.planner import grammar, lexicon
from shared.planner.scan import Scan


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name as it was written, and the words it was found in."""

    name: str
    words: str


PlaceKind: TypeAlias = Literal["home", "there", "address", "stored"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere a way starts or ends: the user's home, where another request takes place, an address, written or stored."""

    kind: PlaceKind
    words: str
    address: str = ""


def take_name(scan: Scan, introduction: re.Pattern[str], known: re.Pattern[str] | None = None) -> Name | None:
    """The first name (or known place) right after an introduction like "at", taken with it; a small "the" is no part of it."""
    for match in introduction.finditer(scan.text):
        end = _known_end(scan.text, match.end(), known) or _name_end(scan.text, match.end())
        if end is not None:
            words = scan.text[match.start() : end]
            name = _bare(scan.text[match.end() : end].removeprefix("the "))
            scan.blank(match.start(), end)
            return Name(name=name, words=words.strip())
    return None


def take_ends(
    scan: Scan, start: re.Pattern[str], end: re.Pattern[str], stored: Mapping[str, str]
) -> tuple[Place | None, Place | None]:
    """From and to, then the words that are a place without saying which end: home, there, after dinner."""
    pickup = take_stored(scan, start, stored) or take_place(scan, start)
    destination = take_stored(scan, end, stored) or take_place(scan, end)
    if pickup is None and grammar.PICK_UP.search(scan.text):
        pickup = take_stored(scan, grammar.AT_PICKUP, stored) or take_place(scan, grammar.AT_PICKUP)
    if pickup is None:
        pickup = _after_it(scan)
    if destination is None and (home := scan.take(grammar.HOMEWARD)):
        destination = Place(kind="home", words=home.group())
    there = scan.take(grammar.TABLE_THERE) if pickup is None or destination is None else None
    if there is not None and there["from"] and pickup is None:
        pickup = Place(kind="there", words=there.group())
    elif there is not None and destination is None:
        destination = Place(kind="there", words=there.group())
    return pickup, destination


def _after_it(scan: Scan) -> Place | None:
    """After dinner: from where it was. "Two hours after dinner" is a time."""
    after = grammar.AFTER_TABLE.search(scan.text)
    if after is None or grammar.AMOUNT_END.search(scan.text[: after.start()]):
        return None
    scan.blank(after.start(), after.end())
    return Place(kind="there", words=after.group())


def take_stored(scan: Scan, introduction: re.Pattern[str], stored: Mapping[str, str]) -> Place | None:
    """A place the user has stored under a word of their own: to work."""
    for match in introduction.finditer(scan.text):
        named = grammar.OWN_WORD.match(scan.text, match.end())
        word = next((word for word in stored if named and word.casefold() == named["word"].casefold()), None)
        if named is not None and word is not None:
            scan.blank(match.start(), named.end())
            return Place(kind="stored", words=f"places.{word}", address=stored[word])
    return None


def take_plain(scan: Scan, introduction: re.Pattern[str]) -> Name | None:
    """One to three words after an introduction, where only a place can stand: in berlin."""
    for match in introduction.finditer(scan.text):
        plain = grammar.PLAIN_PLACE.match(scan.text, match.end())
        if plain is None or any(word in lexicon.NOT_PLACES for word in plain.group().lower().split()):
            continue
        scan.blank(match.start(), plain.end())
        return Name(name=plain.group().strip(), words=(match.group() + plain.group()).strip())
    return None


def take_bare_name(scan: Scan) -> Name | None:
    """A name that fills what is left of the text."""
    left = scan.left(lexicon.EMPTY_WORDS)
    position = scan.text.find(left[0]) if len(left) == 1 else -1
    end = _name_end(scan.text, position) if position >= 0 else None
    if end is None or end < position + len(left[0]):
        return None
    scan.blank(position, end)
    return Name(name=_bare(left[0]), words=left[0])


def take_place(scan: Scan, introduction: re.Pattern[str]) -> Place | None:
    """The first place right after an introduction like "to", taken with it."""
    for match in introduction.finditer(scan.text):
        found = _place_at(scan.text, match.end())
        if found is not None:
            kind, end = found
            words, address = scan.text[match.start() : end], _bare(scan.text[match.end() : end])
            scan.blank(match.start(), end)
            return Place(kind=kind, words=words.strip(), address=address if kind == "address" else "")
    return None


def _bare(words: str) -> str:
    return words.strip('" ').rstrip(".")


def _known_end(text: str, position: int, known: re.Pattern[str] | None) -> int | None:
    match = known.match(text, position) if known else None
    return match.end() if match else None


def _place_at(text: str, position: int) -> tuple[Literal["home", "there", "address"], int] | None:
    home = grammar.HOME.match(text, position)
    if home:
        return "home", home.end()
    table = grammar.TABLE_PLACE.match(text, position)
    if table:
        return "there", table.end()
    for pattern in (grammar.STREET, grammar.PUBLIC_PLACE):
        known = pattern.match(text, position)
        if known:
            return "address", _after_comma(text, known.end())
    end = _name_end(text, position, address=True)
    if end is None:
        return None
    suffix = grammar.PUBLIC_SUFFIX.match(text, end)
    return "address", _after_comma(text, suffix.end() if suffix else end)


def _after_comma(text: str, end: int) -> int:
    """An address may go on with ", Springfield"."""
    if not text.startswith(", ", end):
        return end
    return _capitalised_end(text, end + 2, address=True) or end


def _name_end(text: str, position: int, *, address: bool = False) -> int | None:
    """Where the name that starts here ends; None if none starts here."""
    quoted = grammar.QUOTED.match(text, position)
    if quoted:
        return quoted.end() if quoted[1].strip() else None
    return _capitalised_end(text, position, address=address) or (None if address else _possessive_end(text, position))


def _possessive_end(text: str, position: int) -> int | None:
    """luigi's, without a capital letter."""
    word = grammar.NAME_WORD.match(text, position)
    if word is None or not word[1].endswith("'s"):
        return None
    owner = word[1].removesuffix("'s").lower()
    common = (
        owner in lexicon.RELATIONS
        or owner in lexicon.NAME_STOPS
        or owner in lexicon.NOT_NAMES | lexicon.NAME_NOUNS
        or "'" in owner
    )
    return None if common else word.end()


def _capitalised_end(text: str, position: int, *, address: bool) -> int | None:
    """The end of the last capitalised word in a row; small words like "of" only in between."""
    if not any(character.islower() for character in text):
        return None
    words: list[str] = []
    end = position
    for word, after in _row(text, position, address=address):
        words.append(word)
        if _is_capitalised(word, address=address):
            end = after
    if end == position or len(words) > lexicon.LONGEST_NAME_WORDS or not _is_name(words):
        return None
    return end


def _row(text: str, position: int, *, address: bool) -> list[tuple[str, int]]:
    """The words that may belong to a name, each with the position after it."""
    row: list[tuple[str, int]] = []
    while (match := grammar.NAME_WORD.match(text, position)) is not None:
        word = match[1]
        ends_sentence = word.endswith(".")
        bare = word.rstrip(".").lower()
        if bare in lexicon.NAME_STOPS or (row and bare in grammar.NUMBERS):
            break
        if bare not in lexicon.NAME_PARTICLES and not _is_capitalised(word, address=address):
            break
        position = match.end()
        row.append((word, position))
        if ends_sentence and len(bare) > 2:
            break
    return row


def _is_capitalised(word: str, *, address: bool) -> bool:
    return word[0].isupper() or (address and word[0].isdigit())


def _is_name(words: list[str]) -> bool:
    """Not a description ("Some Nice Place"), and not only a number."""
    bare = [word.rstrip(".").lower() for word in words]
    numbers = [word for word in bare if word in grammar.NUMBERS or word.isdigit()]
    if len(numbers) == len(bare) or not set(bare) - lexicon.NAME_NOUNS - lexicon.NAME_PARTICLES:
        return False
    return not lexicon.NOT_NAMES.intersection(bare)
