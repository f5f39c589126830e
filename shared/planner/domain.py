"""What a domain is: a row of words, details and step shapes. A new one is a new row; what reads them knows no names."""

from typing import Literal, TypeAlias

import msgspec

DetailKind: TypeAlias = Literal[
    "moment", "day", "span", "party", "name", "choice", "from", "to", "place", "title", "whom", "body"
]


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a request says, how it is said, and what stands in when it is not.

    Kinds: `moment` gives `date` and `time`; `day` gives `date`; `span` gives `start` and `end`; `party` a number of people;
    `name` a capitalised or quoted name; `choice` one of `values`; `from` and `to` the ends of a way; `place` one that may be
    written small; `title` free words; `whom` and `body` an addressee and literal words.
    """

    name: str
    kind: DetailKind
    after: tuple[str, ...] = ()
    """Words that introduce it: "at", "under the name of"."""
    known: tuple[str, ...] = ()
    """What is one without a capital letter, after an introduction."""
    alone: tuple[str, ...] = ()
    """What is one without an introduction."""
    values: tuple[tuple[str, str], ...] = ()
    """Of a choice: the word, and the value it stands for."""
    nouns: tuple[str, ...] = ()
    """What may follow a word of a choice: "Italian food". Of a title: what it may be called by."""
    profile: str = ""
    """The field of the profile that stands in."""
    default: str = ""
    """The value that stands in, by `rule`."""
    rule: str = ""
    ask: str = ""
    """What is asked when it is missing; without it, the detail may stay empty."""
    which: str = ""
    """What is asked when two were said."""
    unread: str = ""
    """What is asked about words after an introduction that are no name."""
    candidates: tuple[str, ...] = ()
    """Answers offered with `ask`."""
    meals: bool = False
    """Of a moment: the meal that is named decides between morning and evening, and whether `profile` stands in."""


class StepShape(msgspec.Struct, frozen=True, kw_only=True):
    """One call. An argument is a detail's name, `step:tool.path` for what an earlier step of the row gives, or `text:...`."""

    tool: str
    args: tuple[tuple[str, str], ...]
    came: str = ""
    """What came of it, for a person; holds fields of the output in braces. Empty: nothing worth telling."""
    each: tuple[str, str, str] | None = None
    """Of an output with a list: the list's field, `came` for each of it, and what is said when it is empty."""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request."""

    name: str
    nouns: tuple[str, ...] = ()
    """What a request of this kind names."""
    verbs: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    """A request of this kind begins with one of these; with `nouns`, it has both."""
    empty: tuple[str, ...] = ()
    """Words and phrases that carry nothing here."""
    names: tuple[str, ...] = ()
    """Domains whose words may stand in it behind its own."""
    over: tuple[str, ...] = ()
    """Domains whose words may stand in it anywhere."""
    phase: int = 0
    """When it is settled: what leans on others comes after them."""
    details: tuple[Detail, ...] = ()
    steps: tuple[StepShape, ...] = ()
    looks: tuple[str, ...] = ()
    """Verbs that only look; with none of `verbs` beside them it is asked whether `look_or_do`."""
    look_or_do: str = ""
    does: tuple[str, ...] = ()
    """Nouns that are said of the thing itself: "find a place and book a table" is one request."""
    finds: tuple[str, ...] = ()
    """Domains that are this one when the thing is named afterwards, or "it" is done."""
    beside: bool = False
    """Another request may have it "with a ..."."""
    told: bool = False
    """ "Text me the weather" is one of these and a message about it."""
    booking: bool = False
    """Something is booked: it is confirmed to whoever always wants that, may be tried elsewhere, and is not wanted twice."""
    place: str = ""
    """`tool.path` of where it happens: "there"."""
    party: str = ""
    """`tool.path` of how many come."""
    label: str = ""
    """What a rule calls it."""
    summary: str = ""
    """One sentence; holds the names of details in braces, `{moment}` and `{wishes}`."""
    confirmation: str = ""
    """What a message says of it; as `summary`, and `{step:tool.path}`."""
    title: str = ""
    """What a calendar calls it."""

    @property
    def tools(self) -> frozenset[str]:
        """The tools its plans call."""
        return frozenset(shape.tool for shape in self.steps)

    @property
    def speaks(self) -> bool:
        """It carries literal words to somebody."""
        return any(detail.kind == "whom" for detail in self.details)

    @property
    def waits(self) -> bool:
        """It needs a time of its own."""
        return any(detail.kind == "moment" and detail.ask for detail in self.details)

    def detail(self, kind: DetailKind) -> Detail | None:
        """Its first detail of a kind."""
        return next((detail for detail in self.details if detail.kind == kind), None)
