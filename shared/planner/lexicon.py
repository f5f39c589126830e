"""The planner's words, limits and sentences. Data only: a new word belongs here, and nothing here calls anything."""

from typing import Final

# -- limits ----------------------------------------------------------------------------------------------------------------

LONGEST_TEXT: Final = 2_000
LONGEST_QUOTE: Final = 80
LONGEST_HEAD: Final = 120
"""Characters between "text" and the words to be sent."""
LONGEST_ADDRESSEE: Final = 4
"""Words in one item of a list of addressees."""
LONGEST_JOINT: Final = 12
"""Characters of what joins two fragments."""
LONGEST_NAME_WORDS: Final = 6
LARGEST_PARTY: Final = 20
FURTHEST_DAYS: Final = 366
MOST_STEPS: Final = 20
LONGEST_EVENT: Final = 14 * 1440
"""Minutes of one calendar entry."""

# -- numbers ---------------------------------------------------------------------------------------------------------------

UNITS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
TENS: Final = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
OTHER_NUMBERS: Final = {"a dozen": 12}

# -- days and times --------------------------------------------------------------------------------------------------------

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAY_WORDS: Final = {
    "mon": 0, "monday": 0,
    "tue": 1, "tues": 1, "tuesday": 1,
    "wed": 2, "weds": 2, "wednesday": 2,
    "thu": 3, "thur": 3, "thurs": 3, "thursday": 3,
    "fri": 4, "friday": 4,
    "sat": 5, "saturday": 5,
    "sun": 6, "sunday": 6,
}  # fmt: skip
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
MONTH_WORDS: Final = {
    "january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "mar": 3, "april": 4, "apr": 4, "may": 5,
    "june": 6, "jun": 6, "july": 7, "jul": 7, "august": 8, "aug": 8, "september": 9, "sept": 9, "sep": 9,
    "october": 10, "oct": 10, "november": 11, "nov": 11, "december": 12, "dec": 12,
}  # fmt: skip
RELATIVE_DAYS: Final = {
    "the day after tomorrow": 2, "day after tomorrow": 2, "tomorrow": 1, "today": 0, "yesterday": -1,
    "tmrw": 1, "tmr": 1, "tomorow": 1, "tommorow": 1, "tommorrow": 1,
}  # fmt: skip
DAY_UNITS: Final = {"day": 1, "days": 1, "week": 7, "weeks": 7}
MINUTE_UNITS: Final = {"minute": 1, "minutes": 1, "min": 1, "mins": 1, "hour": 60, "hours": 60, "hr": 60, "hrs": 60}
OFFSET_UNITS: Final = {**MINUTE_UNITS, "day": 1440, "days": 1440, "week": 10_080, "weeks": 10_080}
EARLIER: Final = ("earlier", "before", "beforehand", "before that", "prior", "ahead")
LATER: Final = ("later", "after", "afterwards", "afterward", "after that")
BACKWARD_WORDS: Final = frozenset(("that", "it", "this", "then"))
"""What stands for the request before."""
NAMED_TIMES: Final = {"noon": 12, "midday": 12}
MINUTE_WORDS: Final = {"quarter": 15, "a quarter": 15, "half": 30}

# A part of the day, and the hours [from, to) it covers. It decides between 7:00 and 19:00 and contradicts anything outside.
PARTS: Final = {"morning": (0, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 24)}
# A meal, and the hours [from, to) at which it is eaten. It only decides between two readings; it contradicts nothing.
MEALS: Final = {
    "dinner": (17, 24),
    "supper": (17, 24),
    "lunch": (11, 16),
    "brunch": (9, 15),
    "breakfast": (5, 12),
}
DINNERS: Final = frozenset({"dinner", "supper", ""})
"""The meals for which the profile's dinner time stands in; a table without a named meal is one of them."""

# -- people ----------------------------------------------------------------------------------------------------------------

PEOPLE_NOUNS: Final = (
    "people person persons guests guest adults adult kids kid children child babies baby infants infant toddlers toddler "
    "diners pax ppl grown-ups men women"
).split()
RELATIONS: Final = (
    "wife husband partner girlfriend boyfriend fiancee fiance spouse mother father mum mom dad sister brother son daughter "
    "friend boss colleague grandmother grandfather aunt uncle cousin client guest date kid child baby"
).split()
RELATIONS_PLURAL: Final = (
    "friends sisters brothers sons daughters colleagues clients guests cousins others kids children babies aunts uncles"
).split()
SELF: Final = ("me", "myself", "i")
ALONE: Final = ("just me", "only me", "just myself", "by myself", "on my own", "alone")

# -- food ------------------------------------------------------------------------------------------------------------------

CUISINES: Final = {
    **{
        word: word
        for word in (
            "italian french spanish greek turkish lebanese moroccan ethiopian indian thai vietnamese chinese japanese korean "
            "mexican peruvian brazilian argentinian american british german austrian polish georgian vegetarian vegan seafood"
        ).split()
    },
    "sushi": "japanese",
    "ramen": "japanese",
    "pizza": "italian",
    "tapas": "spanish",
    "tacos": "mexican",
}
FOOD_NOUNS: Final = ("food", "cuisine", "restaurant", "place")

# -- actions ---------------------------------------------------------------------------------------------------------------

LOOK_VERBS: Final = ("find", "search", "look", "show", "check", "list")
WEAK_VERBS: Final = frozenset(
    ("have", "need", "want", "it", "this", "that", "any", "are", "where", "what", "which", "make", "add", "note")
)
"""What begins a request elsewhere, and may as well stand in the words of a message."""
CHOICES: Final = ("it", "one", "them", "that one", "the best one", "the best")
MESSAGE_VERBS: Final = tuple(
    "text sms email e-mail mail message send tell notify let confirm inform write shoot drop ping".split()
)
CHANNELS: Final = {
    "text message": "sms",
    "text messages": "sms",
    "text": "sms",
    "sms": "sms",
    "email": "email",
    "e-mail": "email",
    "emails": "email",
    "mail": "email",
}
CONFIRMATIONS: Final = ("confirmation", "confirmations")
BODY_INTRODUCERS: Final = ("that", "saying", "to say", "saying that", "to say that", "to", "about", "of")

# -- words that carry nothing ----------------------------------------------------------------------------------------------

POLITE_PHRASES: Final = (
    "plan and execute", "plan and book", "find and book", "find and reserve", "search and book", "go ahead and",
    "could we have", "can we have", "could i have", "can i have", "may i have", "may we have", "could i get", "can i get",
    "could we get", "can we get", "could you", "can you", "could u", "can u", "would you", "will you",
    "i would like to", "i'd like to", "we would like to", "we'd like to",
    "i would like", "i'd like", "we would like", "we'd like", "i want to", "we want to", "i need to", "we need to",
    "i'd love", "we'd love", "i would love", "we would love", "can someone", "could someone",
    "thank you", "thanks", "please", "pls", "plz", "kindly", "hi", "hello", "hey",
)  # fmt: skip
EMPTY_WORDS: Final = frozenset(
    "a an the and then also plus for at on of i we me sharp exactly first just possibly ideally preferably".split()
)
MESSAGE_EMPTY_WORDS: Final = EMPTY_WORDS | frozenset(
    (
        "send tell notify let know message confirm shoot drop ping write inform to by via per with it them everything my our "
        "your all confirmation confirmations details booking bookings reservation reservations reference receipt info "
        "information"
    ).split()
)
MESSAGE_EMPTY_PHRASES: Final = (
    "when it's booked", "when it is booked", "once it's booked", "once it is booked", "when it's done", "once it's done",
    "when it is done", "once it is done", "when it's confirmed", "once it's confirmed",
)  # fmt: skip

# -- places ----------------------------------------------------------------------------------------------------------------

HOME_WORDS: Final = ("home", "my home", "my place", "my house", "my flat", "my apartment")
TABLE_PLACES: Final = ("there", "the restaurant", "restaurant", "the table", "dinner", "lunch", "brunch", "breakfast", "supper")
PUBLIC_PLACES: Final = (
    "airport", "train station", "railway station", "bus station", "central station", "main station", "station", "city centre",
    "city center", "town hall", "harbour", "harbor", "ferry terminal",
)  # fmt: skip
AREA_PLACES: Final = (*PUBLIC_PLACES, "old town", "centre", "center", "market", "park")
AREA_WORDS: Final = ("downtown",)
STREETS: Final = "street st road rd avenue ave lane square boulevard drive way".split()
NAME_PARTICLES: Final = frozenset("the of & de la le du del di da al el y von zum zur".split())
NOT_NAMES: Final = frozenset(
    "some any a an my our your nice good best great somewhere anywhere place home work restaurant".split()
)
"""A name that holds one of these is a description: it is asked about, not booked."""
NAME_NOUNS: Final = frozenset("hotel office school house inn".split())
"""Alone they are descriptions too; "Hotel Adlon" is a name."""
NAME_STOPS: Final = frozenset(
    (
        "for on at in by with near around to from under please and then also plus tonight tomorrow today now noon midday "
        "midnight am pm o'clock this next text sms email mail message send tell book reserve table taxi cab ride ignore"
    ).split()
) | frozenset((*WEEKDAY_WORDS, *MONTH_WORDS, *MEALS, *PARTS))

# -- characters ------------------------------------------------------------------------------------------------------------

CHARACTERS: Final = {
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
    "\N{HYPHEN}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
}
SILENT_PUNCTUATION: Final = ".,;:!?()-'\""

# -- what is written into a plan -------------------------------------------------------------------------------------------


SUMMARY_CONFIRMATION: Final = "confirmation by {channel} to {to}"
SUMMARY_MESSAGE: Final = "message by {channel} to {to}"
SUMMARY_PLACE: Final = "the restaurant"
SUMMARY_PARTY: Final = "the same party"

# -- rules, as a source names them -----------------------------------------------------------------------------------------

RULE_NEXT: Final = "the next {time} after {anchor}"
RULE_LAST: Final = "the last {time} before {anchor}"
RULE_SAME_DAY: Final = "the {time} of the same day as {anchor}, which is also the next one"
RULE_CHANNEL: Final = "the kind of address"

# -- questions -------------------------------------------------------------------------------------------------------------

ASK_EMPTY: Final = "What should be done? For example: Book a table for 2 at 7pm."
ASK_TOO_LONG: Final = "Please say it in at most {limit} characters."
ASK_REFERENCE: Final = "'${{' is reserved for references between steps. Please leave it out of the {place}."
ASK_NOT_UNDERSTOOD: Final = (
    'I did not understand "{words}". What should be done with it? Please say it differently or leave it out.'
)
ASK_NO_ACTION: Final = (
    'I found nothing to do in "{words}". I can do something about: {domains}. For example: Book a table for 2 at 7pm.'
)
ASK_MIXED: Final = 'Is "{words}" one request or several? Please say them as two requests, joined by "and".'
ASK_ONE_OR_TWO: Final = "Is this one {what} or several? Please give each its own time and party size."
ASK_SAME_TWICE: Final = "The same booking is asked for twice. Once, or really twice?"
ASK_TOO_MANY: Final = "That is more than {limit} steps. Please ask for less at a time."
ASK_PARTY: Final = "For how many people?"
ASK_PARTY_WHICH: Final = 'How many people is "{words}"?'
ASK_PARTY_RANGE: Final = "A party has 1 to {limit} people, not {size}. For how many?"
ASK_TIME: Final = "At what time?"
ASK_TIME_WHICH: Final = 'Which time is "{words}"?'
ASK_TIME_IMPOSSIBLE: Final = '"{words}" is not a time of day. At what time?'
ASK_TIME_PROFILE: Final = "The stored dinner time is not of the form HH:MM. At what time?"
ASK_TIME_GAP: Final = "{time} does not exist on {date}: the clocks go forward. At what time?"
ASK_TIME_TWICE: Final = "{time} happens twice on {date}: the clocks go back. Which other time would do?"
ASK_DATE_WHICH: Final = 'Which day is "{words}"?'
ASK_DATE_IMPOSSIBLE: Final = '"{words}" is not a day in the calendar. Which day?'
ASK_DATE_FAR: Final = "{date} is more than a year ahead. Which day?"
ASK_PAST: Final = "{moment} is in the past. Which day and time?"
ASK_NOT_BEFORE: Final = "There is no {time} between now and {anchor}. When should the ride be?"
ASK_TIMEZONE: Final = "The stored time zone is not known. Which one is it (for example Europe/Berlin)?"
ASK_MEAL_WHICH: Final = "Which meal is it?"
ASK_PHONE: Final = "To which phone number (with country code) should the text message go?"
ASK_PHONE_INVALID: Final = '"{words}" is not a valid phone number. What is it, with its country code?'
ASK_EMAIL: Final = "To which email address?"
ASK_STORED_INVALID: Final = "The stored {field} is not valid. What is it?"
ASK_RECIPIENT: Final = 'Who is "{words}"? Please give a phone number or an email address.'
ASK_NO_RECIPIENT: Final = "Who should get the message? Please give a phone number or an email address."
ASK_WHOM: Final = "Should the message go to you, to {address}, or to both?"
ASK_CHANNEL: Final = "By text message or by email?"
ASK_CHANNEL_MISMATCH: Final = "{address} cannot be reached by {channel}. Which phone number or email address should it be?"
ASK_CHANNEL_TO: Final = 'To which address should "{channel}" go?'
ASK_BODY: Final = "What should the message say?"
ASK_BODY_END: Final = "Where does the message end? Please put its words in quotation marks."
ASK_HOME: Final = "What is your home address?"
ASK_SAME_PLACE: Final = "The ride would start and end at the same place. Where should it go?"
ASK_RIDE_ORDER: Final = "The ride at {ride} does not fit the table at {table}. When should it be?"
ASK_WHICH_TABLE: Final = "Which restaurant is meant? There is not exactly one table in this request."
ASK_APPROVAL: Final = 'What should wait for your approval ("{words}")? Please say it right before that request.'
ASK_UNAVAILABLE: Final = "There is no tool for this here: {domain}. Please leave it out."
ASK_BEFORE_WHAT: Final = '"{words}": counted from what? Please give a time.'
ASK_BODY_TIME: Final = (
    'Which words of "{words}" are the time, and which the message? Please put the message in quotation marks.'
)
ASK_ALTERNATIVE: Final = (
    'What should be tried instead ("{words}")? Another time, day, place or party size of the same booking can be.'
)
ASK_ALTERNATIVE_LEANS: Final = (
    "Something else here depends on which of the two bookings it will be. Please ask for it on its own, once it is known."
)
ASK_SCHEDULE_TIME: Final = '"{words}": at what time?'
ASK_SCHEDULE_WHICH: Final = 'I cannot tell when "{words}" is. For example: every Friday at 6pm.'
ASK_SCHEDULE_BODY: Final = (
    'Is "{words}" a part of the message, or when it should be sent? Please put the message in quotation marks.'
)
ASK_SCHEDULE_BOOKING: Final = (
    'Is "{words}" when it should be asked for, or when it is for? Please give both, for example: '
    "every Friday at 9am book a table for 2 at 7pm."
)
ASK_SCHEDULE_DAY: Final = 'Asked for "{words}", it would be for {moment}. Which day and time should it be for?'
ASK_SCHEDULE_FIXED: Final = 'It would be for {date} every time. Which day, seen from "{words}"?'
ASK_END: Final = "How long does it take, or when does it end?"
ASK_END_ORDER: Final = '"{words}" does not end after it begins. When does it begin and end?'
ASK_TITLE_WHICH: Final = 'Is "{words}" what the calendar entry should be called? Then please put it in quotation marks.'
RULE_OFFSET: Final = "{words}, counted from {anchor}"
RULE_DURATION: Final = "{words}, counted from the beginning"
RULE_SAME: Final = "the same as of {anchor}"
SUMMARY_APPROVAL: Final = "{sentence}, after approval"
SUMMARY_ALTERNATIVE: Final = "if that fails, {sentence}"
SUMMARY_LATER: Final = "{sentence} on {moment}"
SUMMARY_SCHEDULE: Final = "{words} ({cron}, {timezone}): {sentence}"
STEP_SLEEP: Final = "sleep"
DANGLING: Final = frozenset(
    "by before after until till from since around about the a an at on in for to than of and or with".split()
)
"""What no message ends with."""
DURATIONS: Final = {"half an hour": 30, "an hour and a half": 90, "half a day": 720, "a quarter of an hour": 15}
INSTEAD_WORDS: Final = frozenset("instead try book make it at a table one please".split())
BOOKED_WORDS: Final = frozenset(
    (
        "it",
        "this",
        "that",
        "them",
        "everything",
        "reservation",
        "booking",
        "table",
        "dinner",
        "lunch",
        "brunch",
        "breakfast",
        "ride",
        "taxi",
    )
)
"""What stands for a booking of the same text, where a calendar entry is made."""
NOT_PLACES: Final = frozenset(
    (
        "general",
        "advance",
        "case",
        "mind",
        "there",
        "here",
        "home",
        "work",
        "me",
        "us",
        "it",
        "that",
        "this",
        "my",
        "our",
        "your",
    )
) | frozenset((*WEEKDAY_WORDS, *MONTH_WORDS, *MEALS, *PARTS))
ASK_DATE_OF: Final = "Of which day: {what}?"
ASK_WHICH_BOOKING: Final = "Which of the bookings should be in the calendar?"
REPEATED_DAYS: Final = {
    **{word: tuple(range(7)) for word in ("day", "single day", "daily", *PARTS)},
    **{word: tuple(range(5)) for word in ("weekday", "weekdays", "working day", "workday")},
    **dict.fromkeys(("weekend", "weekends"), (5, 6)),
}
MINUTES_OF_HOUR: Final = frozenset((5, 10, 15, 20, 30))
TIME_EMPTY_WORDS: Final = frozenset(("at", "on", "the", "and", "sharp", "exactly"))
"""What carries nothing within a time."""
ASK_ADDRESS_OF: Final = 'Where is "{words}"? Please give an address.'
NO_TITLES: Final = frozenset(
    ("reminder", "event", "entry", "something", "appointment", "slot", "note", "time", "meeting", "call", "session")
)
"""What says nothing about a calendar entry."""
