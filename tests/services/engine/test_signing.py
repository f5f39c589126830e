"""Signatures: ours and PyJWT's agree in both directions, and whatever somebody sends, the verdict is BadSignature or claims."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qstash import Receiver

from shared import signing
from shared.signing import BadSignature, Claims, body_hash, sign, sign_call, verify

KEY, NEXT, FOREIGN = (
    "sig_current_0123456789abcdef0123456789",
    "sig_next_0123456789abcdef0123456789ab",
    "sig_of_somebody_else_000000000000",
)
URL = "https://app.example/api/engine/execute-step"
BODY = b'{"executionId":"exe_0a_1","segment":3}'
AT = 1_800_000_000
TIMES = st.integers(min_value=0, max_value=4_000_000_000)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def claims(**other: Any) -> dict[str, Any]:
    """What QStash claims of a message, for the oracle to sign."""
    right = {"iss": "Upstash", "sub": URL, "iat": AT, "nbf": AT, "exp": AT + 300, "jti": "jwt_1", "body": body_hash(BODY)}
    return {name: value for name, value in (right | other).items() if value is not None}


def token(key: str = KEY, **other: Any) -> str:
    """A token of PyJWT's making."""
    return jwt.encode(claims(**other), key, algorithm="HS256")


def checked(given_token: str, **other: Any) -> Claims:
    """Our verdict on a token for BODY at URL."""
    facts: dict[str, Any] = {"keys": (KEY, NEXT), "issuer": "Upstash", "url": URL, "body": BODY, "now": AT, "leeway": 0}
    return verify(given_token, **(facts | other))


def parts(head: bytes, payload: bytes, key: str = KEY) -> str:
    """A token with any bytes in it, genuinely signed."""
    first, second = (base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, payload))
    signed = first + b"." + second
    mac = hmac.digest(key.encode(), signed, hashlib.sha256)
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


@given(body=st.binary(max_size=200), url=TEXTS, now=TIMES, lifetime=st.integers(min_value=1, max_value=86_400), jti=TEXTS)
def test_pyjwt_reads_what_we_sign(body: bytes, url: str, now: int, lifetime: int, jti: str) -> None:
    """Any body, URL and time: every claim comes out as it went in."""
    ours = sign_call(issuer="Upstash", url=url, body=body, key=KEY, now=now, jti=jti, lifetime=lifetime)

    found = jwt.decode(ours, KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False, "verify_iat": False})

    assert jwt.get_unverified_header(ours) == {"alg": "HS256", "typ": "JWT"}
    assert found == {
        "iss": "Upstash",
        "sub": url,
        "iat": now,
        "nbf": now,
        "exp": now + lifetime,
        "jti": jti,
        "body": base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode(),
    }


@given(nbf=TIMES, exp=TIMES, now=TIMES, leeway=st.integers(min_value=0, max_value=600))
def test_we_accept_what_pyjwt_accepts_and_nothing_else(nbf: int, exp: int, now: int, leeway: int) -> None:
    """Any times: the same verdict, but for the very second of the end, which PyJWT counts as over."""
    theirs = token(nbf=nbf, exp=exp, iat=0)
    expected = not (now > exp + leeway or now < nbf - leeway)

    try:
        checked(theirs, now=now, leeway=leeway)
        accepted = True
    except BadSignature:
        accepted = False

    assert accepted is expected
    if now != exp + leeway:
        assert accepted is _accepted_by_pyjwt(theirs, now, leeway)


def _accepted_by_pyjwt(theirs: str, now: int, leeway: int) -> bool:
    # PyJWT asks the wall clock; moving the claims by as much as the wall clock is away asks the same question.
    shift = int(time.time()) - now
    moved = {name: value + shift if name in {"nbf", "exp"} else value for name, value in _payload(theirs).items()}
    try:
        jwt.decode(jwt.encode(moved, KEY, algorithm="HS256"), KEY, algorithms=["HS256"], leeway=leeway)
    except jwt.InvalidTokenError:
        return False
    return True


def _payload(theirs: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(theirs.split(".")[1] + "=="))
    return found


@given(body=st.binary(max_size=100), other=st.binary(max_size=100), url=TEXTS, elsewhere=TEXTS)
def test_a_token_is_good_for_its_own_body_and_url_only(body: bytes, other: bytes, url: str, elsewhere: str) -> None:
    """Any two bodies and URLs."""
    theirs = token(sub=url, body=body_hash(body))

    assert checked(theirs, body=body, url=url).jti == "jwt_1"
    for wrong in ({"body": other, "url": url}, {"body": body, "url": elsewhere}):
        if wrong != {"body": body, "url": url}:
            with pytest.raises(BadSignature):
                checked(theirs, **wrong)


@pytest.mark.parametrize("text", ["", '{"a": 1}', "žluťoučký kůň 🐎"], ids=["empty", "JSON", "not ASCII"])
def test_the_official_receiver_takes_what_we_sign(text: str) -> None:
    """The `qstash` package verifies our token, with the current key and with the next one."""
    for key in (KEY, NEXT):
        ours = sign_call(issuer="Upstash", url=URL, body=text.encode(), key=key, now=time.time(), jti="jwt_1")

        Receiver(KEY, NEXT).verify(signature=ours, body=text, url=URL)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("another issuer", {"iss": "Downstash"}, "issuer is 'Downstash', not 'Upstash'"),
    ("another URL", {"sub": "https://other.example/"}, "made for 'https://other.example/'"),
    ("a trailing slash more", {"sub": URL + "/"}, "public URL is"),
    ("expired", {"exp": AT - 1}, "expired 1 s ago"),
    ("not valid yet", {"nbf": AT + 5}, "not valid for another 5 s"),
    ("another body", {"body": body_hash(b"other")}, "the body is not the one that was signed"),
    ("a body claim that is no hash", {"body": "žž"}, "the body is not the one that was signed"),
    ("no body claim", {"body": None}, "not readable"),
    ("no end", {"exp": None}, "not readable"),
    ("no issuer", {"iss": None}, "not readable"),
    ("no URL", {"sub": None}, "not readable"),
    ("no beginning", {"nbf": None}, "not readable"),
    ("an end that is text", {"exp": str(AT + 300)}, "not readable"),
]


@pytest.mark.parametrize(("other", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_names_the_one_claim_that_is_wrong(other: dict[str, Any], why: str) -> None:
    """For the log; the caller hears none of it."""
    given_token = parts(b'{"alg":"HS256"}', json.dumps(claims(**other)).encode())

    with pytest.raises(BadSignature, match=why.replace("(", r"\(")):
        checked(given_token)


def test_the_first_of_several_wrong_claims_is_the_one_that_is_told() -> None:
    """One reason, not the last one of a chain of attempts with other keys."""
    with pytest.raises(BadSignature, match="issuer"):
        checked(token(NEXT, iss="x", sub="y", exp=1))


def test_the_keys_are_tried_in_turn_and_no_other() -> None:
    """Current, then next: a rotation drops nothing."""
    assert checked(token(KEY)) == checked(token(NEXT))
    for keys in ((), (KEY,), ("",)):
        with pytest.raises(BadSignature, match="neither the current nor the next"):
            checked(token(NEXT), keys=keys)
    with pytest.raises(BadSignature, match="neither the current nor the next"):
        checked(token(FOREIGN))


def test_the_body_hash_may_be_padded_and_the_signature_too() -> None:
    """QStash's documentation shows the claim with `=`, its receivers strip it."""
    padded = base64.urlsafe_b64encode(hashlib.sha256(BODY).digest()).decode()
    assert padded.endswith("=")

    assert checked(token(body=padded)).body == padded
    assert checked(token() + "=").jti == "jwt_1"


def test_a_beginning_of_zero_is_long_ago() -> None:
    """What QStash has sent since September 2024."""
    assert checked(token(nbf=0)).nbf == 0


@pytest.mark.parametrize(
    ("at", "good"), [(-31, False), (-30, True), (300 + 30, True), (300 + 31, False)], ids=["early", "just", "still", "late"]
)
def test_the_leeway_counts_at_both_ends(at: int, *, good: bool) -> None:
    """A clock may be 30 s off, either way."""
    if good:
        checked(token(), now=AT + at, leeway=30)
    else:
        with pytest.raises(BadSignature):
            checked(token(), now=AT + at, leeway=30)


def test_fractions_of_a_second_are_times_too() -> None:
    """Our own calls are signed with them."""
    ours = sign_call(issuer="intention", url=URL, body=BODY, key=KEY, now=AT + 0.75, jti="", lifetime=60)

    assert checked(ours, issuer="intention", now=AT + 0.8).iat == AT + 0.75


def test_an_unsigned_or_otherwise_signed_token_is_refused() -> None:
    """`alg` none, HS512, RS256: whatever the header says, only HS256 counts."""
    for algorithm in ("none", "HS512", "hs256", "RS256"):
        with pytest.raises(BadSignature, match="not signed with HS256"):
            checked(parts(f'{{"alg":"{algorithm}"}}'.encode(), json.dumps(claims()).encode()))


@pytest.mark.parametrize("number", range(3), ids=["header", "payload", "signature"])
@given(position=st.integers(min_value=0), letter=st.sampled_from("ABCXYZabcxyz0189-_"))
def test_one_changed_character_anywhere_is_refused(number: int, position: int, letter: str) -> None:
    """All but the last of a part, whose low bits may mean nothing."""
    pieces = token().split(".")
    part = pieces[number]
    position %= len(part) - 1
    if part[position] == letter:
        return
    pieces[number] = part[:position] + letter + part[position + 1 :]

    with pytest.raises(BadSignature):
        checked(".".join(pieces))


GARBAGE = st.one_of(
    st.text(max_size=80),
    st.builds(".".join, st.lists(st.text(max_size=30), min_size=2, max_size=4)),
    st.builds(parts, st.binary(max_size=60), st.binary(max_size=60)),
    st.builds(
        lambda value: parts(b'{"alg":"HS256"}', json.dumps(value).encode()),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(claims())), inner, max_size=7),
        ),
    ),
)


@given(GARBAGE)
def test_whatever_comes_is_refused_as_a_bad_signature(garbage: str) -> None:
    """Bytes of any kind, genuinely signed or not; nothing else is ever raised."""
    with pytest.raises(BadSignature):
        checked(garbage)


@pytest.mark.parametrize("where", ["header", "payload"])
def test_a_token_nested_without_end_is_a_bad_signature_too(where: str) -> None:
    """The header is read before the signature is known to be right, so anybody could send this."""
    deep = b'{"alg":"HS256","x":' + b"[" * 20_000

    with pytest.raises(BadSignature, match="not readable"):
        checked(parts(deep, b"{}") if where == "header" else parts(b'{"alg":"HS256"}', deep))


def test_an_unknown_claim_changes_nothing() -> None:
    """QStash may add some."""
    assert checked(token(region="eu-central-1")).sub == URL


def test_signing_is_a_function_of_its_arguments() -> None:
    """The same claims and key are the same token."""
    one = Claims(iss="Upstash", sub=URL, exp=AT + 1, nbf=AT, body=body_hash(BODY))

    assert sign(one, KEY) == sign(one, KEY) != sign(one, NEXT)
    assert signing.QSTASH_ISSUER == "Upstash"
