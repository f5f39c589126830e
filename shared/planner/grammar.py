"""The forms words take, as patterns built from the lexicon. No pattern crosses a BLANK, and each is linear in its input."""

import re
from collections.abc import Iterable
from typing import Final

from shared.planner import lexicon


def any_of(words: Iterable[str]) -> str:
    """One of these words or phrases, the longest first. Only ASCII letters are folded: a dotless i is not an i."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return "(?a:" + "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in ordered) + ")"


def rule(pattern: str) -> re.Pattern[str]:
    """A pattern that ignores case."""
    return re.compile(pattern, re.IGNORECASE)


def _number_words() -> dict[str, int]:
    numbers = {word: value for value, word in enumerate(lexicon.UNITS)} | lexicon.TENS | lexicon.OTHER_NUMBERS
    for ten, value in lexicon.TENS.items():
        for unit, word in enumerate(lexicon.UNITS[1:10], start=1):
            numbers[f"{ten}-{word}"] = numbers[f"{ten} {word}"] = value + unit
    return numbers


# -- numbers ---------------------------------------------------------------------------------------------------------------

NUMBERS: Final = _number_words()
BEGIN: Final = r"(?<![\w-])"  # a word starts here
END: Final = r"(?![\w-])"  # and ends here
_DIGITS: Final = r"(?<![\w.,:/+$€£#%-])[0-9]{1,4}(?![\w:/$€£%-]|[.,][0-9])"
_WORD_NUMBER: Final = rf"{BEGIN}{any_of(NUMBERS)}{END}"
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

POLITE: Final = rule(rf"{BEGIN}{any_of(lexicon.POLITE_PHRASES)}{END}")
WORD: Final = re.compile(r"[\w'-]+")

_CONTACT: Final = r"(?:[\w.%+-]+@[\w-]+(?:\.[\w-]+)+|\+[0-9][0-9 ().-]{5,18}[0-9])"
CONNECTING: Final = (
    r"\s*(?:,|;|[!?](?=\s|$)|(?<!\.m)\.(?=\s|$)|\x01+|\b(?:and\s+then|and\s+also|and|then|also|plus|after\s+that|but)\b|&)\s*"
)
THEN: Final = rule(rf"{BEGIN}(?:then|after\s+that){END}")
_CHANNEL: Final = rf"{any_of(lexicon.CHANNELS)}"
_CONFIRMATION: Final = any_of(lexicon.CONFIRMATIONS)
_WITH: Final = r"(?:\b(?:with|plus|and)\b\s*|,\s*)(?:an?\s+|the\s+)?"
# A confirmation named as a thing ("with confirmation SMS"), wherever it stands in the request.
CONFIRMATION: Final = rule(
    rf"{_WITH}(?:{_CONFIRMATION}(?:\s+(?:(?:by|via|per)\s+)?(?P<after>{_CHANNEL}){END})?|(?P<before>{_CHANNEL})\s+{_CONFIRMATION}){END}"
    rf"(?:\s+to\s+(?:me{END}|(?P<contact>{_CONTACT})))?"
)
BODY: Final = rule(
    rf"\s*(?:,\s*)?{BEGIN}{any_of(lexicon.BODY_INTRODUCERS)}{END}\s*|:(?=\s)\s*|(?=\")"
    rf"|(?<=\w)(?<!then)(?<!and)(?<!but)(?<!also)(?<!plus)\s+(?={BEGIN}(?:I|I'm|I'll|I've|I'd|we|we're|we'll|we've|you|you're)\b)"
)
BODY_TO: Final = rule(rf"\s+to\s+(?:me{END}|{_CONTACT})")
QUOTED: Final = re.compile(r'"([^"\x00\x01]*)"')

# -- addresses -------------------------------------------------------------------------------------------------------------

EMAIL: Final = re.compile(r"(?<![\w.%+-])[A-Za-z0-9_.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
PHONE: Final = re.compile(r"(?<![\w+])\+?\(?[0-9][0-9 ()./-]{3,22}[0-9](?![\w:@])")
MY_ADDRESS: Final = rule(rf"{BEGIN}(?:me|us)\s+(?:at|on|to)\s+(?=\+|\(?[0-9][0-9 ().-]{{5,}}|[^\s@\x00]+@)")
TO_ME: Final = rule(rf"{BEGIN}(?:me|myself|us){END}")
CHANNEL: Final = rule(rf"{BEGIN}{_CHANNEL}{END}")
MESSAGE_EMPTY: Final = rule(rf"{BEGIN}{any_of(lexicon.MESSAGE_EMPTY_PHRASES)}{END}")

# -- days ------------------------------------------------------------------------------------------------------------------

_WEEKDAY: Final = rf"(?P<weekday>{any_of(lexicon.WEEKDAY_WORDS)})\b\.?"
_MONTH: Final = rf"(?P<month>{any_of(lexicon.MONTH_WORDS)})\b\.?"
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?:,?\s+(?P<year>[0-9]{4})(?![\w:]))?"
_ON: Final = rf"{BEGIN}(?:on\s+|for\s+)?"

DATE_ISO: Final = rule(rf"{_ON}(?<![\w./-])(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})(?![\w/-])")
_FIRST: Final = r"(?<![\w.,:/+-])(?P<first>[0-9]{1,2})"
DATE_SLASHED: Final = rule(rf"{_ON}{_FIRST}/(?P<second>[0-9]{{1,2}})(?:/(?P<year>[0-9]{{4}}))?(?![\w/:-]|\.[0-9])")
DATE_DOTTED: Final = rule(
    rf"(?:{BEGIN}on\s+{_FIRST}\.(?P<second>[0-9]{{1,2}})|(?<![\w.,:/+-])(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})(?=\.))"
    r"(?:\.(?P<year>[0-9]{4})|\.)?(?![\w/:-]|\.[0-9]|\s*[ap]\.?m\b)"
)
DATE_DAY_MONTH: Final = rule(
    rf"{_ON}(?:{_WEEKDAY},?\s+)?(?:the\s+)?(?<![\w.,:/+-]){_DAY}\s+(?:of\s+)?{_MONTH}(?!\s+[0-9]{{1,2}}(?:st|nd|rd|th)\b){_YEAR}{END}"
)
DATE_MONTH_DAY: Final = rule(rf"{_ON}(?:{_WEEKDAY},?\s+)?{_MONTH}\s+(?:the\s+)?{_DAY}(?![\w:/-]|[.][0-9]|\s*[ap]\.?m\b){_YEAR}")
DATE_OF_MONTH: Final = rule(rf"{BEGIN}on\s+(?:{_WEEKDAY},?\s+)?the\s+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th){END}")
DATE_WEEKDAY: Final = rule(rf"{_ON}(?:(?P<which>this\s+coming|this|next|coming)\s+)?{_WEEKDAY}{END}")
DATE_RELATIVE: Final = rule(rf"{_ON}(?P<relative>{any_of(lexicon.RELATIVE_DAYS)}){END}")
DATE_WEEKEND: Final = rule(rf"{BEGIN}(?:(?:on|at|for|over)\s+)?(?:(?:the|this|this\s+coming|coming|next)\s+)?weekend{END}")
DATE_IN_DAYS: Final = rule(rf"{BEGIN}in\s+(?P<count>an?\b|{NUMBER})\s+(?P<unit>{any_of(lexicon.DAY_UNITS)}){END}")
DATE_TONIGHT: Final = rule(rf"{_ON}(?:tonight|this\s+(?P<part>{any_of(lexicon.PARTS)})){END}")
PART_OF_DAY: Final = rule(rf"{BEGIN}(?:in\s+the\s+|at\s+|for\s+the\s+)?(?P<part>{any_of(lexicon.PARTS)}){END}")

# -- times -----------------------------------------------------------------------------------------------------------------

_ABOUT: Final = r"(?<!for\s)(?:around|about)\s+"  # "for about 6" is a party
_AT: Final = rf"{BEGIN}(?:(?:at|for)\s+)?(?:{_ABOUT})?"
_HALF_DAY: Final = r"(?P<half>[ap])\.?m\b\.?"
_HOUR: Final = rf"(?P<hour>[0-9]{{1,2}}|{any_of(NUMBERS)})"
_HALF_DAY_MAYBE: Final = rf"(?:\s*{_HALF_DAY})?"

TIME_TWELVE: Final = rule(
    rf"{_AT}(?<![\w.,:/+$-])(?P<hour>[0-9]{{1,4}}|{any_of(NUMBERS)})(?:[:.](?P<minute>[0-9]{{2}}))?\s*{_HALF_DAY}(?![\w-])"
    rf"|{BEGIN}at\s+(?P<spoken>{any_of(NUMBERS)})\s+(?P<words>{any_of(NUMBERS)})\s*(?P<spoken_half>[ap])\.?m\b\.?(?![\w-])"
)
TIME_CLOCK: Final = rule(
    rf"{_AT}(?<![\w.,:/+$-])(?P<hour>[0-9]{{1,4}})(?::(?P<minute>[0-9]{{2}})|h(?P<h>[0-9]{{2}}))(?![\w:-]|\.[0-9])"
)
TIME_DOTTED: Final = rule(rf"{BEGIN}at\s+(?P<hour>[0-9]{{1,2}})\.(?P<minute>[0-9]{{2}})(?![\w:-]|\.[0-9])")
TIME_PAST: Final = rule(
    rf"{_AT}(?P<minutes>{any_of(lexicon.MINUTE_WORDS)}|(?:[0-9]{{1,2}}|{any_of(NUMBERS)})(?:\s+minutes)?)\s+(?P<way>past|to)\s+"
    rf"{_HOUR}{END}{_HALF_DAY_MAYBE}"
)
TIME_NAMED: Final = rule(rf"{_AT}(?:12\s+|twelve\s+)?(?P<name>{any_of(lexicon.NAMED_TIMES)}|(?a:midnight)){END}")
TIME_OCLOCK: Final = rule(rf"{_AT}(?<![\w.,:/+$-]){_HOUR}\s*o'?clock{END}{_HALF_DAY_MAYBE}")
TIME_AT: Final = rule(
    rf"{BEGIN}(?:at\s+(?:{_ABOUT})?|{_ABOUT})(?P<hour>{NUMBER})(?:\s+(?P<words>{any_of(NUMBERS)}){END})?{_FOLLOWED}"
)
TIME_NOW: Final = rule(rf"{BEGIN}(?:right\s+now|now){END}")

# -- people ----------------------------------------------------------------------------------------------------------------

_NOUN: Final = rf"(?P<noun>{any_of(lexicon.PEOPLE_NOUNS)})"
PERSON_COUNTED: Final = rule(
    rf"\s*(?P<count>an?\b|{NUMBER})[\s-]+(?:(?P<more>other|more)\s+|(?:small|little|young)\s+)?"
    rf"(?:{_NOUN}|(?P<relation>{any_of((*lexicon.RELATIONS_PLURAL, *lexicon.RELATIONS))})){END}"
)
PERSON_RELATED: Final = rule(
    rf"\s*(?:my|our)\s+(?:(?P<many>{any_of(lexicon.RELATIONS_PLURAL)})|{any_of(lexicon.RELATIONS)}){END}"
)
PERSON_SELF: Final = rule(rf"\s*{any_of(lexicon.SELF)}{END}")
PERSON_BARE: Final = rule(rf"\s*(?P<count>{NUMBER}){_FOLLOWED}")
PEOPLE_JOIN: Final = rule(r"\s*(?:,\s*(?:and\s+)?|\band\s+|\bplus\s+|\bwith\s+|&\s*)")
PEOPLE_START: Final = rule(
    rf"{BEGIN}(?:for\s+)?(?:a\s+)?(?:party|group|family|table)\s+of\s+|{BEGIN}for\s+|{BEGIN}(?:the\s+)?(?={NUMBER}\s+of\s+us\b)"
    rf"|{BEGIN}(?={NUMBER}[\s-]+{any_of(lexicon.PEOPLE_NOUNS)}{END})|{BEGIN}we(?:'re|'ll\s+be|\s+are|\s+will\s+be)\s+(?={NUMBER})"
)
PEOPLE_ALONE: Final = rule(rf"{BEGIN}(?:for\s+)?{any_of(lexicon.ALONE)}{END}")
OF_US: Final = rule(rf"\s*(?:the\s+)?(?P<count>{NUMBER})\s+of\s+us{END}")
COUNTED_PLACE: Final = rule(
    rf"(?<![\w.,:/+$-])(?P<count>[0-9]{{1,4}}|{any_of(NUMBERS)})[\s-](?:person|people|seat)(?=\s+(?:table|reservation))"
)
US: Final = rule(rf"{BEGIN}(?:for\s+)?us{END}")
FOR_ME: Final = rule(rf"{BEGIN}for\s+me{END}")

# -- places and names ------------------------------------------------------------------------------------------------------

NAME_WORD: Final = re.compile(r"\s*([^\W_][\w'&-]*\.?|&)")
HOME: Final = rule(rf"{any_of(lexicon.HOME_WORDS)}{END}")
HOMEWARD: Final = rule(rf"{BEGIN}(?:back\s+)?home{END}")
TABLE_PLACE: Final = rule(rf"(?:{any_of(lexicon.TABLE_PLACES)}){END}")
TABLE_THERE: Final = rule(rf"{BEGIN}(?P<from>from\s+)?there{END}")
AFTER_TABLE: Final = rule(rf"{BEGIN}after\s+(?:{any_of(('the restaurant', *lexicon.MEALS))}){END}")
PUBLIC_PLACE: Final = rule(rf"(?:the\s+)?(?:(?:nearest|international|main|central)\s+)?{any_of(lexicon.PUBLIC_PLACES)}{END}")
PUBLIC_SUFFIX: Final = rule(rf"\s+{any_of(lexicon.PUBLIC_PLACES)}{END}")
STREET: Final = rule(rf"[0-9]{{1,5}}[a-z]?\s+(?:[\w'.-]+\s+){{1,3}}{any_of(lexicon.STREETS)}{END}\.?")
AT_PICKUP: Final = rule(rf"{BEGIN}at\s+")
PICK_UP: Final = rule(rf"{BEGIN}pick\s+(?:me|us)\s+up{END}")
BRING: Final = rule(rf"{BEGIN}(?:take|drive)\s+(?:me|us){END}")
JOINED: Final = rule(r",|&|\band\b|\bplus\b|\balso\b")
CONFIRMS: Final = rule(rf"{BEGIN}(?:confirm|{_CONFIRMATION}){END}")
OWN_WORD: Final = rule(rf"(?:my\s+|the\s+)?(?P<word>[a-z][\w-]*){END}")
PLAIN_PLACE: Final = rule(r"[^\W\d_][\w'-]*(?:\s+[^\W\d_][\w'-]*){0,2}(?=\s*(?:$|[\x00?!.,;]))")
MEAL: Final = rule(rf"{BEGIN}{any_of(lexicon.MEALS)}{END}")
FOR_MEAL: Final = rule(rf"{BEGIN}(?:(?:for|to\s+have|have)\s+)?{any_of(lexicon.MEALS)}{END}")
TITLE_WORDS: Final = re.compile(r"\s*([^\x00\x01,;.!?\"]+)")
TO_CALENDAR: Final = rule(rf"{BEGIN}(?:to|in|into|on)\s+(?:my|the|our)\s+(?:calendar|diary|agenda){END}")
ARTICLE: Final = rule(r"^(?:a|an|the|my|our)\s+")
NOUN_WITH: Final = re.compile(
    r"\b(?P<noun>[A-Za-z][a-z]*)(?P<with>\s+with\s+(?:[A-Z][\w'-]*|my\s+[a-z]+|the\s+[a-z]+)(?:(?:\s*,|\s+and)?\s+[A-Z][\w'-]*)*)?"
)

# -- between requests ------------------------------------------------------------------------------------------------------

SENTENCE_END: Final = re.compile(r"(?<!\.m)[.!?;](?=\s|$)")
LIST_OVER: Final = rule(r"(?:[;.!?]|\bthen|\bafter\s+that)\s*$")
SENTENCE_OVER: Final = re.compile(r"[.!?;\x01]\s*$")
MINUTES_END: Final = rule(rf"{BEGIN}(?:{any_of(lexicon.MINUTE_WORDS)}|[0-9]{{1,2}}|{any_of(NUMBERS)})(?:\s+minutes)?\s*$")
HOUR_NEXT: Final = rule(rf"\s*(?:[0-9]{{1,2}}|{any_of(NUMBERS)}|midnight|noon){END}")
DOING_NEXT: Final = re.compile(r"\s*(?!(?:me|us|my|our|everyone|everybody|all|both)\b)[a-z][\w'-]*(?!@)(?=\s|$|[,.!?])")
TELL_ME: Final = rule(rf"{BEGIN}(?:tell|let|show|give)\s+(?:me|us)(?:\s+know)?\s+(?:\w+\s+)?(?:\w+\s+)?$")
ARTICLE_END: Final = rule(r"(?:\s+(?:the|a|an|about|what's|what|how|is))+\s*$")
DO_IT: Final = rule(rf"{BEGIN}(?:book|reserve|get|take|secure)\s+{any_of(lexicon.CHOICES)}{END}")
_YES: Final = r"(?:approval|ok|okay|go-ahead|permission|consent|confirmation|yes)"
_DOING: Final = r"(?:book|booking|booked|reserve|reserving|send|sending|sent|order|ordering|do|doing|buy|going\s+ahead|is|gets)"
_BEFORE_DOING: Final = (
    rf"before\s+(?:(?:you|it|anything|actually)\s+)*{_DOING}(?:\s+(?:it|anything|them|ahead|done|booked|sent))*"
)
_BUT: Final = r"(?:(?:but|and)\s+)?"
APPROVAL: Final = rule(
    rf"(?P<first>{BEGIN}{_BUT}(?:ask|check\s+with)\s+(?:me|us)\s+(?:(?:for\s+(?:my|our)\s+)?{_YES}\s+)?"
    rf"(?:first|{_BEFORE_DOING}){END}"
    rf"|{BEGIN}{_BUT}(?:wait\s+for|get|ask\s+for|needs?|require|requires)\s+(?:my|our)\s+{_YES}\s+(?:first|{_BEFORE_DOING}){END}"
    rf")|(?P<once>{BEGIN}(?:but\s+)?(?:only\s+)?(?:after|once|when|if)\s+(?:I|we)(?:'ve|\s+have)?\s+"
    rf"(?:approved?|confirmed?|agreed?|said\s+yes|say\s+yes|ok|okay)(?:\s+it)?{END}"
    rf"|{BEGIN}(?:but\s+)?(?:with|subject\s+to)\s+(?:my|our)\s+approval{END})"
    rf"|{BEGIN}(?:wait\s+for|ask\s+(?:me\s+)?for|get)\s+(?:my|our|me\s+to)\s+(?:{_YES}|approve|agree|confirm)(?:\s+it)?{END}"
    rf"|{BEGIN}ask\s+(?:me|us)\s+(?:for\s+)?(?:approval|permission){END}"
    rf"|{BEGIN}{_BUT}(?:ask|check\s+with)\s+(?:me|us)(?=\s*(?:[,;.]|$|then\b))"
)
_IT: Final = r"(?:that|this|it|they|that\s+one|that\s+time|the\s+first(?:\s+one)?|the\s+restaurant)"
_TAKEN: Final = r"(?:full|taken|unavailable|fully\s+booked|booked\s+out|not\s+(?:possible|available|free))"
_FAILS: Final = (
    rf"(?:{_IT}\s+(?:fails|failed|doesn't\s+work(?:\s+out)?|does\s+not\s+work(?:\s+out)?)"
    rf"|{_IT}\s+(?:isn't|aren't)\s+(?:possible|available|free)|{_IT}(?:'re|'s|\s+is|\s+are)\s+{_TAKEN}"
    r"|(?:there\s+is|there's)\s+(?:nothing|no\s+table)(?:\s+free|\s+available)?"
    r"|(?:nothing|no\s+table)\s+is\s+(?:free|available)|not(?:\s+possible|\s+available)?)"
)
_INSTEAD: Final = (
    r"(?:\s*,)?(?:\s+(?:then|just))?"
    r"(?:\s+(?:please\s+)?(?:try|book|take|make\s+it|go\s+for|go\s+to|use|choose|get|reserve))?(?:\s+(?:it|one))?"
)
ALTERNATIVE: Final = rule(
    rf"\s*(?:(?:and|or|but)\s+)?(?:{BEGIN}if\s+{_FAILS}|{BEGIN}otherwise|{BEGIN}failing\s+that"
    rf"|{BEGIN}or\s+else){END}{_INSTEAD}\s*"
)
ALTERNATIVE_AFTER: Final = rule(rf"\s*,?\s*{BEGIN}or\s+(?P<what>[^,;.!?\x00\x01]{{1,60}}?)\s+if\s+{_FAILS}{END}")
ALTERNATIVE_END: Final = rule(rf"(?:{ALTERNATIVE.pattern})\W*$")
ALTERNATIVE_SAID: Final = rule(rf"{BEGIN}or\s+[^,;.!?\x00\x01]{{1,60}}?\s+if\s+{_FAILS}\W*$")
ALTERNATIVE_OVER: Final = rule(r"\s*(?:[,;!?\x01]|(?<!\.m)\.(?=\s|$)|\band\b|\bthen\b|$)")

NEXT_WORDS: Final = re.compile(r"\S+")

# -- times counted from other requests, durations, spans -------------------------------------------------------------------


def _amount(units: Iterable[str], name: str = "") -> str:
    """A length of time; `name` begins the names of its groups."""
    return (
        rf"(?:(?P<{name}fixed>{any_of(lexicon.DURATIONS)})|(?P<{name}count>an?\b|the\b|a\s+couple\s+of|{NUMBER})"
        rf"(?P<{name}half>\s+and\s+a\s+half)?\s+(?P<{name}unit>{any_of(units)})(?P<{name}half_after>\s+and\s+a\s+half)?)"
    )


OFFSET: Final = rule(
    rf"{BEGIN}{_amount(lexicon.OFFSET_UNITS)}\s+(?:(?P<earlier>{any_of(lexicon.EARLIER)})|(?P<later>{any_of(lexicon.LATER)})){END}"
    rf"(?:\s+(?:of|to){END})?(?!\s+tomorrow)"
)
FROM_NOW: Final = rule(
    rf"{BEGIN}(?:in\s+{_amount(lexicon.MINUTE_UNITS)}(?:'s\s+time)?|{_amount(lexicon.MINUTE_UNITS, 'n')}\s+from\s+now){END}"
)
AMOUNT_END: Final = rule(rf"{BEGIN}{_amount(lexicon.OFFSET_UNITS)}\s+$")
OFFSET_FROM: Final = rule(r"\s+(?:(?:the|my|our)\s+)?(?P<thing>[a-z]+)\b(?:\s+(?:starts|begins|leaves)\b)?")
DURATION: Final = rule(rf"{BEGIN}(?:for|lasting|taking)\s+{_amount(lexicon.OFFSET_UNITS)}{END}")
_CLOCK: Final = r"(?P<hour{0}>[0-9]{{1,2}})(?::(?P<minute{0}>[0-9]{{2}}))?\s*(?:(?P<half{0}>[ap])\.?m\b\.?)?"
SPAN: Final = rule(
    rf"{BEGIN}(?:from\s+|between\s+|at\s+)?(?<![\w.,:/+$-]){_CLOCK.format(1)}\s*(?:-|to|until|till|and)\s*{_CLOCK.format(2)}"
    r"(?![\w:-]|\.[0-9])"
)
WEEKDAY_WORD: Final = rule(rf"{BEGIN}{any_of(lexicon.WEEKDAY_WORDS)}{END}")
EVERY: Final = rule(
    rf"{BEGIN}(?:on\s+)?(?:(?:every|each)\s+(?:(?:(?P<count>{NUMBER})\s+)?(?P<often>minutes|hours|minute|hour)"
    rf"|(?P<which>(?:first|second|third|fourth|last|other)\s+(?:day|week|month|{any_of(lexicon.WEEKDAY_WORDS)})"
    r"(?:\s+(?:of|in)\s+(?:the|each|every)\s+month)?|single\s+day|day|weekday|working\s+day|workday|weekend"
    r"|morning|afternoon|evening|night|week|month|year)"
    rf"|(?P<days>{any_of(lexicon.WEEKDAY_WORDS)}"
    rf"(?:\s*(?:,|and|or|&|,\s*and)\s*(?:every\s+|each\s+)?{any_of(lexicon.WEEKDAY_WORDS)})*))"
    rf"|(?P<daily>daily|weekly|monthly|hourly)"
    rf"|(?P<plural>{any_of([word + 's' for word in lexicon.WEEKDAYS])}|weekdays|weekends)){END}"
    rf"(?:\s+(?P<part>{any_of(lexicon.PARTS)}){END})?"
)
