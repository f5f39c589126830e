"""The forms words take, as patterns built from the lexicon. No pattern crosses a BLANK, and each is linear in its input."""

import re
from collections.abc import Iterable
from typing import Final

from shared.planner import lexicon


def _any(words: Iterable[str]) -> str:
    """One of these words or phrases, the longest first. Only ASCII letters are folded: a dotless i is not an i."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return "(?a:" + "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in ordered) + ")"


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _number_words() -> dict[str, int]:
    numbers = {word: value for value, word in enumerate(lexicon.UNITS)} | lexicon.TENS | lexicon.OTHER_NUMBERS
    for ten, value in lexicon.TENS.items():
        for unit, word in enumerate(lexicon.UNITS[1:10], start=1):
            numbers[f"{ten}-{word}"] = numbers[f"{ten} {word}"] = value + unit
    return numbers


# -- numbers ---------------------------------------------------------------------------------------------------------------

NUMBERS: Final = _number_words()
_B: Final = r"(?<![\w-])"  # a word starts here
_E: Final = r"(?![\w-])"  # and ends here
_DIGITS: Final = r"(?<![\w.,:/+$€£#%-])[0-9]{1,4}(?![\w:/$€£%-]|[.,][0-9])"
_WORD_NUMBER: Final = rf"{_B}{_any(NUMBERS)}{_E}"
NUMBER: Final = rf"(?:{_DIGITS}|{_WORD_NUMBER})"

# What may follow a bare number for it to be a whole phrase: "for 2 at …" is one, "for 2 hours" is not.
_FOLLOWED: Final = (
    r"(?=\s*(?:$|[\x00,;.!?)]|(?:at|on|in|for|with|near|around|under|and|plus|by|from|to|please|this|next|"
    + "|".join(lexicon.MEALS)
    + r")\b))"
)


def number(words: str) -> int:
    """The value of what `NUMBER` matched."""
    return int(words) if words[0] in "0123456789" else NUMBERS[" ".join(words.lower().split())]


# -- actions ---------------------------------------------------------------------------------------------------------------

POLITE: Final = _rule(rf"{_B}{_any(lexicon.POLITE_PHRASES)}{_E}")
TABLE: Final = _rule(rf"{_B}{_any(lexicon.TABLE_NOUNS)}{_E}")
RIDE: Final = _rule(rf"{_B}(?:{_any(lexicon.RIDE_NOUNS)}|{_any(lexicon.RIDE_PHRASES)}){_E}")
LOOK: Final = _rule(rf"{_B}{_any(lexicon.LOOK_VERBS)}{_E}")
BOOKING_VERB: Final = _rule(rf"{_B}{_any(lexicon.TABLE_VERBS)}{_E}")
TABLE_VERB: Final = _rule(rf"{_B}{_any((*lexicon.TABLE_VERBS, *lexicon.LOOK_VERBS))}{_E}")
RIDE_VERB: Final = _rule(rf"{_B}{_any(lexicon.RIDE_VERBS)}{_E}")
RESERVING: Final = _rule(rf"{_B}(?:table|reservation){_E}")
WORD: Final = re.compile(r"[\w'-]+")

_CONTACT: Final = r"(?:[\w.%+-]+@[\w-]+(?:\.[\w-]+)+|\+[0-9][0-9 ().-]{5,18}[0-9])"
# Where one request may end and the next begin. A dot counts only at the end of a sentence, and not in "p.m.".
CONNECTOR: Final = _rule(
    r"\s*(?:,|;|[!?](?=\s|$)|(?<!\.m)\.(?=\s|$)|\x01+|\b(?:and\s+then|and\s+also|and|then|also|plus)\b|&)\s*"
    rf"|\s+with(?=\s+(?:an?\s+)?{_any(lexicon.RIDE_NOUNS)}\b)\s*"
)
_CHANNEL: Final = rf"{_any(lexicon.CHANNELS)}"
_CONFIRMATION: Final = _any(lexicon.CONFIRMATIONS)
_WITH: Final = r"(?:\b(?:with|plus|and)\b\s*|,\s*)(?:an?\s+|the\s+)?"
# A confirmation named as a thing ("with confirmation SMS"), wherever it stands in the request.
CONFIRMATION: Final = _rule(
    rf"{_WITH}(?:{_CONFIRMATION}(?:\s+(?:(?:by|via|per)\s+)?(?P<after>{_CHANNEL}){_E})?|(?P<before>{_CHANNEL})\s+{_CONFIRMATION}){_E}"
    rf"(?:\s+to\s+(?:me{_E}|(?P<contact>{_CONTACT})))?"
)
BODY: Final = _rule(rf"\s*(?:,\s*)?{_B}{_any(lexicon.BODY_INTRODUCERS)}{_E}\s*|:(?=\s)\s*|(?=\")")
BODY_TO: Final = _rule(rf"\s+to\s+(?:me{_E}|{_CONTACT})")
QUOTED: Final = re.compile(r'"([^"\x00\x01]*)"')

# -- addresses -------------------------------------------------------------------------------------------------------------

EMAIL: Final = re.compile(r"(?<![\w.%+-])[A-Za-z0-9_.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
PHONE: Final = re.compile(r"(?<![\w+])\+?\(?[0-9][0-9 ()./-]{3,22}[0-9](?![\w:@])")
MY_ADDRESS: Final = _rule(rf"{_B}(?:me|us)\s+(?:at|on|to)\s+(?=\+?\(?[0-9]|[^\s@\x00]+@)")
TO_ME: Final = _rule(rf"{_B}(?:me|myself|us){_E}")
CHANNEL: Final = _rule(rf"{_B}{_CHANNEL}{_E}")
MESSAGE_EMPTY: Final = _rule(rf"{_B}{_any(lexicon.MESSAGE_EMPTY_PHRASES)}{_E}")

# -- days ------------------------------------------------------------------------------------------------------------------

_WEEKDAY: Final = rf"(?P<weekday>{_any(lexicon.WEEKDAY_WORDS)})\b\.?"
_MONTH: Final = rf"(?P<month>{_any(lexicon.MONTH_WORDS)})\b\.?"
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?:,?\s+(?P<year>[0-9]{4})(?![\w:]))?"
_ON: Final = rf"{_B}(?:on\s+|for\s+)?"

DATE_ISO: Final = _rule(rf"{_ON}(?<![\w./-])(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})(?![\w/-])")
_FIRST: Final = r"(?<![\w.,:/+-])(?P<first>[0-9]{1,2})"
DATE_SLASHED: Final = _rule(rf"{_ON}{_FIRST}/(?P<second>[0-9]{{1,2}})(?:/(?P<year>[0-9]{{4}}))?(?![\w/:-]|\.[0-9])")
DATE_DOTTED: Final = _rule(
    rf"(?:{_B}on\s+{_FIRST}\.(?P<second>[0-9]{{1,2}})|(?<![\w.,:/+-])(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})(?=\.))"
    r"(?:\.(?P<year>[0-9]{4})|\.)?(?![\w/:-]|\.[0-9]|\s*[ap]\.?m\b)"
)
DATE_DAY_MONTH: Final = _rule(
    rf"{_ON}(?:{_WEEKDAY},?\s+)?(?:the\s+)?(?<![\w.,:/+-]){_DAY}\s+(?:of\s+)?{_MONTH}(?!\s+[0-9]{{1,2}}(?:st|nd|rd|th)\b){_YEAR}{_E}"
)
DATE_MONTH_DAY: Final = _rule(
    rf"{_ON}(?:{_WEEKDAY},?\s+)?{_MONTH}\s+(?:the\s+)?{_DAY}(?![\w:/-]|[.][0-9]|\s*[ap]\.?m\b){_YEAR}"
)
DATE_OF_MONTH: Final = _rule(rf"{_B}on\s+(?:{_WEEKDAY},?\s+)?the\s+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th){_E}")
DATE_WEEKDAY: Final = _rule(rf"{_ON}(?:(?P<which>this\s+coming|this|next|coming)\s+)?{_WEEKDAY}{_E}")
DATE_RELATIVE: Final = _rule(rf"{_ON}(?P<relative>{_any(lexicon.RELATIVE_DAYS)}){_E}")
DATE_IN_DAYS: Final = _rule(rf"{_B}in\s+(?P<count>an?\b|{NUMBER})\s+(?P<unit>{_any(lexicon.DAY_UNITS)}){_E}")
DATE_TONIGHT: Final = _rule(rf"{_ON}(?:tonight|this\s+(?P<part>{_any(lexicon.PARTS)})){_E}")
PART_OF_DAY: Final = _rule(rf"{_B}(?:in\s+the\s+|at\s+|for\s+the\s+)?(?P<part>{_any(lexicon.PARTS)}){_E}")

# -- times -----------------------------------------------------------------------------------------------------------------

_AT: Final = rf"{_B}(?:(?:at|for)\s+)?"
_HALF_DAY: Final = r"(?P<half>[ap])\.?m\b\.?"
_HOUR: Final = rf"(?P<hour>[0-9]{{1,2}}|{_any(NUMBERS)})"
_HALF_DAY_MAYBE: Final = rf"(?:\s*{_HALF_DAY})?"

TIME_TWELVE: Final = _rule(
    rf"{_AT}(?<![\w.,:/+$-])(?P<hour>[0-9]{{1,4}}|{_any(NUMBERS)})(?:[:.](?P<minute>[0-9]{{2}}))?\s*{_HALF_DAY}(?![\w-])"
    rf"|{_B}at\s+(?P<spoken>{_any(NUMBERS)})\s+(?P<words>{_any(NUMBERS)})\s*(?P<spoken_half>[ap])\.?m\b\.?(?![\w-])"
)
TIME_CLOCK: Final = _rule(
    rf"{_AT}(?<![\w.,:/+$-])(?P<hour>[0-9]{{1,4}})(?::(?P<minute>[0-9]{{2}})|h(?P<h>[0-9]{{2}}))(?![\w:-]|\.[0-9])"
)
TIME_DOTTED: Final = _rule(rf"{_B}at\s+(?P<hour>[0-9]{{1,2}})\.(?P<minute>[0-9]{{2}})(?![\w:-]|\.[0-9])")
TIME_PAST: Final = _rule(
    rf"{_AT}(?P<minutes>{_any(lexicon.MINUTE_WORDS)}|(?:[0-9]{{1,2}}|{_any(NUMBERS)})(?:\s+minutes)?)\s+(?P<way>past|to)\s+"
    rf"{_HOUR}{_E}{_HALF_DAY_MAYBE}"
)
TIME_NAMED: Final = _rule(rf"{_AT}(?:12\s+|twelve\s+)?(?P<name>{_any(lexicon.NAMED_TIMES)}|(?a:midnight)){_E}")
TIME_OCLOCK: Final = _rule(rf"{_AT}(?<![\w.,:/+$-]){_HOUR}\s*o'?clock{_E}{_HALF_DAY_MAYBE}")
TIME_AT: Final = _rule(rf"{_B}at\s+(?P<hour>{NUMBER})(?:\s+(?P<words>{_any(NUMBERS)}){_E})?{_FOLLOWED}")
TIME_IN: Final = _rule(
    rf"{_B}in\s+(?:(?P<half>half\s+an\s+hour)|(?P<count>an?\b|{NUMBER})\s+(?P<unit>{_any(lexicon.MINUTE_UNITS)})){_E}"
)
TIME_NOW: Final = _rule(rf"{_B}(?:right\s+now|now){_E}")

# -- people ----------------------------------------------------------------------------------------------------------------

_NOUN: Final = rf"(?P<noun>{_any(lexicon.PEOPLE_NOUNS)})"
PERSON_COUNTED: Final = _rule(
    rf"\s*(?P<count>an?\b|{NUMBER})[\s-]+(?:(?:other|more|small|little|young)\s+)?"
    rf"(?:{_NOUN}|(?P<relation>{_any((*lexicon.RELATIONS_PLURAL, *lexicon.RELATIONS))})){_E}"
)
PERSON_RELATED: Final = _rule(rf"\s*(?:my|our)\s+(?:(?P<many>{_any(lexicon.RELATIONS_PLURAL)})|{_any(lexicon.RELATIONS)}){_E}")
PERSON_SELF: Final = _rule(rf"\s*{_any(lexicon.SELF)}{_E}")
PERSON_BARE: Final = _rule(rf"\s*(?P<count>{NUMBER}){_FOLLOWED}")
PEOPLE_JOIN: Final = _rule(r"\s*(?:,\s*(?:and\s+)?|\band\s+|\bplus\s+|\bwith\s+|&\s*)")
PEOPLE_START: Final = _rule(
    rf"{_B}(?:for\s+)?(?:a\s+)?(?:party|group|family|table)\s+of\s+|{_B}for\s+|{_B}(?:the\s+)?(?={NUMBER}\s+of\s+us\b)"
    rf"|{_B}(?={NUMBER}[\s-]+{_any(lexicon.PEOPLE_NOUNS)}{_E})|{_B}we(?:'re|'ll\s+be|\s+are|\s+will\s+be)\s+(?={NUMBER})"
)
PEOPLE_ALONE: Final = _rule(rf"{_B}(?:for\s+)?{_any(lexicon.ALONE)}{_E}")
OF_US: Final = _rule(rf"\s*(?:the\s+)?(?P<count>{NUMBER})\s+of\s+us{_E}")
COUNTED_PLACE: Final = _rule(
    rf"(?<![\w.,:/+$-])(?P<count>[0-9]{{1,4}}|{_any(NUMBERS)})[\s-](?:person|people|seat)(?=\s+(?:table|reservation))"
)
US: Final = _rule(rf"{_B}(?:for\s+)?us{_E}")
FOR_ME: Final = _rule(rf"{_B}for\s+me{_E}")

# -- places and names ------------------------------------------------------------------------------------------------------

NAME_WORD: Final = re.compile(r"\s*([^\W_][\w'&-]*\.?|&)")
RESTAURANT_AT: Final = _rule(rf"{_B}at\s+(?:restaurant\s+)?")
AREA_IN: Final = _rule(rf"{_B}(?:in|near|around|close\s+to)\s+")
AREA_KNOWN: Final = _rule(rf"(?:the\s+)?{_any(lexicon.AREA_PLACES)}{_E}")
AREA_WORD: Final = _rule(rf"{_B}{_any(lexicon.AREA_WORDS)}{_E}")
CUISINE: Final = _rule(
    rf"{_B}(?P<cuisine>{_any(lexicon.CUISINES)})(?:\s+{_any(lexicon.FOOD_NOUNS)})?{_E}",
)
UNDER_NAME: Final = _rule(rf"{_B}(?:(?:under|in)\s+the\s+name\s+(?:of\s+)?|under\s+)")
HOME: Final = _rule(rf"{_any(lexicon.HOME_WORDS)}{_E}")
HOMEWARD: Final = _rule(rf"{_B}(?:back\s+)?home{_E}")
TABLE_PLACE: Final = _rule(rf"(?:{_any(lexicon.TABLE_PLACES)}){_E}")
TABLE_THERE: Final = _rule(rf"{_B}(?P<from>from\s+)?there{_E}")
AFTER_TABLE: Final = _rule(rf"{_B}after\s+(?:{_any(('the restaurant', *lexicon.MEALS))}){_E}")
PUBLIC_PLACE: Final = _rule(rf"(?:the\s+)?(?:(?:nearest|international|main|central)\s+)?{_any(lexicon.PUBLIC_PLACES)}{_E}")
PUBLIC_SUFFIX: Final = _rule(rf"\s+{_any(lexicon.PUBLIC_PLACES)}{_E}")
STREET: Final = _rule(rf"[0-9]{{1,5}}[a-z]?\s+(?:[\w'.-]+\s+){{1,3}}{_any(lexicon.STREETS)}{_E}\.?")
FROM_PLACE: Final = _rule(rf"{_B}from\s+")
TO_PLACE: Final = _rule(rf"{_B}to\s+(?=[^\x00])")
AT_PICKUP: Final = _rule(rf"{_B}at\s+")
PICK_UP: Final = _rule(rf"{_B}pick\s+(?:me|us)\s+up{_E}")
BRING: Final = _rule(rf"{_B}(?:take|drive)\s+(?:me|us){_E}")
JOINED: Final = _rule(r",|&|\band\b|\bplus\b|\balso\b")
AT_UNREAD: Final = _rule(rf"{_B}at\s+([^\W\d_][\w' -]*)")
CONFIRMS: Final = _rule(rf"{_B}(?:confirm|{_CONFIRMATION}){_E}")
