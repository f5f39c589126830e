"""What something is called: quoted, introduced, or the words that stand before "to my calendar"."""

import re

from shared.planner import grammar, lexicon, moments
from shared.planner.domain import Detail
from shared.planner.forms import Forms
from shared.planner.model import Question
from shared.planner.moments import Clock
from shared.planner.places import Name
from shared.planner.scan import BLANK, Scan, quote


def read(scan: Scan, detail: Detail, forms: Forms) -> Name | Question | None:
    """The title, taken out of the text; None if there is none. Times and places have been taken before."""
    return _introduced(scan, detail, forms) or _put(scan, detail, forms) or _called_by_its_noun(scan, detail)


def read_early(scan: Scan, detail: Detail, forms: Forms, clock: Clock) -> Name | None:
    """A title between "add" and "to my calendar" that says no time: then "Parents' evening" is not an evening."""
    where, verb = grammar.TO_CALENDAR.search(scan.text), forms.verb.search(scan.text)
    if where is None or verb is None or verb.end() > where.start() or BLANK in scan.text[verb.end() : where.start()]:
        return None
    when = moments.read(Scan(scan.text[verb.end() : where.start()]), clock)
    if when.times or when.dates or when.offsets or not when.parts:
        return None
    found = _put(scan, detail, forms)
    return found if isinstance(found, Name) else None


def _introduced(scan: Scan, detail: Detail, forms: Forms) -> Name | None:
    """Called "Team sync", titled Sprint Review; also words in quotation marks without an introduction."""
    for match in forms.details[detail.name].after.finditer(scan.text):
        quoted = grammar.QUOTED.match(scan.text, match.end())
        words = quoted or grammar.TITLE_WORDS.match(scan.text, match.end())
        if words and words[1].strip():
            scan.blank(match.start(), words.end())
            return Name(name=words[1].strip(), words=words.group().strip())
    quoted = scan.take(grammar.QUOTED)
    return Name(name=quoted[1].strip(), words=quoted.group()) if quoted and quoted[1].strip() else None


def _put(scan: Scan, detail: Detail, forms: Forms) -> Name | Question | None:
    """Add <title> to my calendar."""
    where = grammar.TO_CALENDAR.search(scan.text)
    verb = forms.verb.search(scan.text)
    if where is None or verb is None or verb.end() > where.start():
        return None
    pieces = [piece for piece in re.split(f"{BLANK}+", scan.text[verb.end() : where.start()]) if _carries(piece)]
    if not pieces:
        return None
    title = " ".join(grammar.ARTICLE.sub("", piece.strip(lexicon.SILENT_PUNCTUATION + " ")) for piece in pieces)
    if " ".join(title.lower().split()) in lexicon.BOOKED_WORDS | lexicon.NO_TITLES:
        scan.blank(verb.end(), where.start())
        return None
    if len(pieces) > 1:
        return Question(field=detail.name, question=lexicon.ASK_TITLE_WHICH.format(words=quote(title)))
    scan.blank(verb.end(), where.start())
    return Name(name=title, words=title)


def _carries(piece: str) -> bool:
    words = [word.lower() for word in grammar.WORD.findall(piece)]
    return any(word not in lexicon.EMPTY_WORDS for word in words)


def _called_by_its_noun(scan: Scan, detail: Detail) -> Name | None:
    """Schedule a meeting with Bob: "Meeting with Bob"."""
    for match in grammar.NOUN_WITH.finditer(scan.text):
        if match["noun"].lower() in detail.nouns and (match["with"] or match["noun"].lower() not in lexicon.NO_TITLES):
            title = " ".join(match.group().split())
            if match["with"]:
                scan.blank(match.start(), match.end())
            return Name(name=title[:1].upper() + title[1:], words=title)
    return None
