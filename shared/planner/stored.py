"""What stands in for words: the profile's fields, checked like any other data."""

from shared.planner import lexicon
from shared.planner.domain import Detail
from shared.planner.known import Known
from shared.planner.model import Profile, Question
from shared.planner.people import People
from shared.planner.scan import tidy


def stored_text(stored: str, field: str, missing: Question) -> Known[str] | Question:
    """A free text of the profile, tidied; it must not look like a reference between steps."""
    value = tidy(stored)
    if not value:
        return missing
    if "${" in value:
        return Question(field=field, question=lexicon.ASK_REFERENCE.format(place=f"stored {field}"))
    return Known(value=value, origin="profile", words=field)


def party_size(people: People, profile: Profile, detail: Detail) -> Known[int] | Question:
    """The one size all words agree on, else the profile's, else a question."""
    if not people.parties:
        return _stored_party(people, profile, detail)
    words = " ".join(dict.fromkeys(mention.words for mention in people.parties))
    common = set(people.parties[0].sizes).intersection(*(mention.sizes for mention in people.parties))
    if len(common) == 1:
        return _in_range(Known(value=common.pop(), origin="text", words=words), detail.name)
    said = sorted(common or {size for mention in people.parties for size in mention.sizes})
    candidates = tuple(str(size) for size in said)
    return Question(field=detail.name, question=lexicon.ASK_PARTY_WHICH.format(words=words), candidates=candidates)


def _stored_party(people: People, profile: Profile, detail: Detail) -> Known[int] | Question:
    usual = profile.party_size if detail.profile else None
    if people.for_me:
        candidates = ("1", *([] if usual in (None, 1) else [str(usual)]))
        asked = lexicon.ASK_PARTY_WHICH.format(words=people.for_me)
        return Question(field=detail.name, question=asked, candidates=candidates)
    if usual is None:
        return Question(field=detail.name, question=detail.ask or lexicon.ASK_PARTY)
    return _in_range(Known(value=usual, origin="profile", words="party_size"), detail.name)


def _in_range(size: Known[int], field: str) -> Known[int] | Question:
    if 1 <= size.value <= lexicon.LARGEST_PARTY:
        return size
    asked = lexicon.ASK_PARTY_RANGE.format(limit=lexicon.LARGEST_PARTY, size=size.value)
    return Question(field=field, question=asked)
