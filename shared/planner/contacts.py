"""Telephone numbers and email addresses, in the text and in the profile."""

import re
from typing import Literal

import msgspec
import phonenumbers

from shared.planner import grammar, lexicon
from shared.planner.model import Channel, Origin, Profile, Question
from shared.planner.scan import Scan, quote


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was written in the text, in its standard form."""

    channel: Channel
    address: str
    words: str
    origin: Origin = "text"


def take_contacts(scan: Scan, profile: Profile) -> list[Contact | Question]:
    """Every address in the text, taken out of it; a wrong one becomes a question."""
    emails = [Contact(channel="email", address=match.group(), words=match.group()) for match in scan.take_all(grammar.EMAIL)]
    region = _region(profile.phone)
    phones = [_phone(match.group().strip(), region) for match in scan.take_all(grammar.PHONE)]
    return [*emails, *phones]


def take_known(scan: Scan, profile: Profile) -> list[Contact | Question]:
    """Everybody whom the user has stored under a word of their own, taken out of the text; an address that is none is asked."""
    found: list[tuple[int, Contact | Question]] = []
    for word in sorted(profile.contacts, key=lambda word: (-len(word), word)):
        pattern = re.compile(rf"(?<![\w@.-])(?:(?:my|our)\s+)?{re.escape(word)}(?![\w@-]|\.\w)", re.IGNORECASE)
        found.extend((match.start(), _stored(word, profile)) for match in scan.take_all(pattern))
    return [contact for _, contact in sorted(found, key=lambda one: one[0])]


def _stored(word: str, profile: Profile) -> Contact | Question:
    stored = profile.contacts[word].strip()
    email, phone = _stored_email(stored), standard_phone(stored)
    if email is None and phone is None:
        return Question(field="recipient", question=lexicon.ASK_STORED_INVALID.format(field=f"address of {quote(word)}"))
    channel: Channel = "sms" if phone else "email"
    return Contact(channel=channel, address=phone or email or "", words=f"contacts.{word}", origin="profile")


def _phone(words: str, region: str | None) -> Contact | Question:
    number = standard_phone(words, region)
    if number is None:
        return Question(field="phone", question=lexicon.ASK_PHONE_INVALID.format(words=words))
    return Contact(channel="sms", address=number, words=words)


def standard_phone(words: str, region: str | None = None) -> str | None:
    """The number in E.164, or None. Without a region it has to carry its country code."""
    try:
        number = phonenumbers.parse(words, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _region(phone: str) -> str | None:
    """The country of the profile's number, in which a number without a country code is read."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone, None))
    except phonenumbers.NumberParseException:
        return None


def stored_address(profile: Profile, channel: Channel) -> str | Question:
    """Where the user is reached, or the question for it."""
    field: Literal["phone", "email"] = "phone" if channel == "sms" else "email"
    stored = profile.phone if channel == "sms" else profile.email
    if not stored.strip():
        return Question(field=field, question=lexicon.ASK_PHONE if channel == "sms" else lexicon.ASK_EMAIL)
    valid = standard_phone(stored) if channel == "sms" else _stored_email(stored.strip())
    return valid or Question(field=field, question=lexicon.ASK_STORED_INVALID.format(field=field))


def _stored_email(stored: str) -> str | None:
    return stored if grammar.EMAIL.fullmatch(stored) else None
