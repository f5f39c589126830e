"""The planner's words, limits and sentences. Data only: a new word belongs here, and nothing here calls anything."""

from typing import Final

# -- limits ----------------------------------------------------------------------------------------------------------------

LONGEST_TEXT: Final = 2_000
LONGEST_QUOTE: Final = 80
LONGEST_HEAD: Final = 120
"""Characters between "text" and the words to be sent."""
LONGEST_NAME_WORDS: Final = 6
LARGEST_PARTY: Final = 20
FURTHEST_DAYS: Final = 366
MOST_STEPS: Final = 20

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
RELATIVE_DAYS: Final = {"the day after tomorrow": 2, "day after tomorrow": 2, "tomorrow": 1, "today": 0, "yesterday": -1}
DAY_UNITS: Final = {"day": 1, "days": 1, "week": 7, "weeks": 7}
MINUTE_UNITS: Final = {"minute": 1, "minutes": 1, "min": 1, "mins": 1, "hour": 60, "hours": 60}
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
    "diners pax grown-ups men women"
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

TABLE_NOUNS: Final = ("table", "reservation", "restaurant", *MEALS)
TABLE_VERBS: Final = "book reserve get make arrange organise organize plan execute schedule need want request secure".split()
LOOK_VERBS: Final = ("find", "search", "look", "show", "check", "list")
RIDE_NOUNS: Final = ("taxi", "cab", "ride", "lift")
RIDE_PHRASES: Final = ("pick me up", "pick us up", "take me", "take us", "drive me", "drive us")
RIDE_VERBS: Final = "book reserve get order call arrange organise organize need want request schedule back".split()
MESSAGE_VERBS: Final = ("text", "sms", "email", "e-mail", "mail", "message", "send", "tell", "notify", "let", "confirm")
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
BODY_INTRODUCERS: Final = ("that", "saying", "to say")

# -- words that carry nothing ----------------------------------------------------------------------------------------------

POLITE_PHRASES: Final = (
    "plan and execute", "plan and book", "find and book", "find and reserve", "search and book", "go ahead and",
    "could you", "can you", "would you", "will you", "i would like to", "i'd like to", "we would like to", "we'd like to",
    "i would like", "i'd like", "we would like", "we'd like", "i want to", "we want to", "i need to", "we need to",
    "thank you", "thanks", "please", "kindly", "hi", "hello", "hey",
)  # fmt: skip
EMPTY_WORDS: Final = frozenset("a an the and then also plus for at on of i we me".split())
MESSAGE_EMPTY_WORDS: Final = EMPTY_WORDS | frozenset(
    (
        "send tell notify let know message confirm to by via per with it them everything my our your all "
        "confirmation confirmations details booking bookings reservation reservations reference receipt info information"
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
    "some any a an my our your nice good best great somewhere anywhere place home work restaurant hotel office school".split()
)
"""A name that holds one of these is a description: it is asked about, not booked."""
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

FIND, RESERVE, RIDE, SEND = "find_table", "reserve_table", "book_ride", "send_message"
TABLE_CONFIRMATION: Final = (
    "Table for ${{{step}.party_size}} at ${{{step}.restaurant}} on ${{{step}.date}} at ${{{step}.time}}. "
    "Reference ${{{step}.reservation_id}}."
)
RIDE_CONFIRMATION: Final = "Ride from {pickup} to {destination} on {date} at {time}. Reference ${{{step}.ride_id}}."

SUMMARY_TABLE: Final = "table for {party} on {moment}{details}"
SUMMARY_RIDE: Final = "ride for {passengers} from {pickup} to {destination} on {moment}"
SUMMARY_CONFIRMATION: Final = "confirmation by {channel} to {to}"
SUMMARY_MESSAGE: Final = "message by {channel} to {to}"
SUMMARY_RESTAURANT: Final = "the restaurant"
SUMMARY_PARTY: Final = "the same party"
LABEL_TABLE: Final = "the table at {time}"
LABEL_RIDE: Final = "the ride at {time}"

# -- rules, as a source names them -----------------------------------------------------------------------------------------

RULE_NEXT: Final = "the next {time} after {anchor}"
RULE_LAST: Final = "the last {time} before {anchor}"
RULE_SAME_DAY: Final = "the {time} of the same day as {anchor}, which is also the next one"
RULE_ONE_PASSENGER: Final = "a ride for the person who asks"
RULE_CHANNEL: Final = "the kind of address"

# -- questions -------------------------------------------------------------------------------------------------------------

ASK_EMPTY: Final = "What should be done? For example: Book a table for 2 at 7pm."
ASK_TOO_LONG: Final = "Please say it in at most {limit} characters."
ASK_REFERENCE: Final = "'${{' is reserved for references between steps. Please leave it out of the {place}."
ASK_NOT_UNDERSTOOD: Final = (
    'I did not understand "{words}". What should be done with it? Please say it differently or leave it out.'
)
ASK_NO_ACTION: Final = (
    'I found nothing to do in "{words}". I can book a table or a ride and send a text message or an email. '
    "For example: Book a table for 2 at 7pm."
)
ASK_MIXED: Final = 'Is "{words}" about a table or about a ride? Please say them as two requests, joined by "and".'
ASK_LOOK_OR_BOOK: Final = "Only look for a table, or book it too?"
ASK_ONE_OR_TWO_TABLES: Final = "Is this one table or several? Please give each table its own time and party size."
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
ASK_CUISINE_WHICH: Final = "Which cuisine?"
ASK_NAME: Final = "Under which name should the table be reserved?"
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
ASK_PICKUP: Final = "Where should the ride start?"
ASK_DESTINATION: Final = "Where should the ride go?"
ASK_SAME_PLACE: Final = "The ride would start and end at the same place. Where should it go?"
ASK_RIDE_ORDER: Final = "The ride at {ride} does not fit the table at {table}. When should it be?"
ASK_WHICH_TABLE: Final = "Which restaurant is meant? There is not exactly one table in this request."
ASK_TABLE_NAME: Final = 'Is "{words}" the name of a restaurant? Then please put it in quotation marks.'
