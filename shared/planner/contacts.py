"""Telephone numbers and email addresses, in the text and in the profile."""

from typing import Literal

import msgspec
import phonenumbers

from shared.planner import grammar, lexicon
from shared.planner.model import Channel, Profile, Question
from shared.planner.scan import Scan


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was written in the text, in its standard form."""

    channel: Channel
    address: str
    words: str


def take_contacts(scan: Scan, profile: Profile) -> list[Contact | Question]:
    """Every address in the text, taken out of it; a wrong one becomes a question."""
    emails = [Contact(channel="email", address=match.group(), words=match.group()) for match in scan.take_all(grammar.EMAIL)]
    region = _region(profile.phone)
    phones = [_phone(match.group().strip(), region) for match in scan.take_all(grammar.PHONE)]
    return [*emails, *phones]


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
