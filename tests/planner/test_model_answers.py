"""What a model may say, read as data: nothing in it becomes code, a tool outside the registry, or a person nobody named."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.machine.state import Asked, Flawed
from shared.planner.llm import answer
from shared.planner.model import Profile, Source

ANN = Profile(name="Ann", phone="+4915112345678", email="ann@example.com", home="1 ${table.id} Street")
WORDS = "Text Bob at +44 20 7946 0958 or bob@example.org, and book Golden Wok"


def read(said: Any, *, words: str = WORDS, profile: Profile = ANN) -> answer.Draft | Asked | Flawed:
    """What it says; anything but text is written as JSON."""
    return answer.read(said if isinstance(said, str) else json.dumps(said), words=words, profile=profile)


def sends(**args: Any) -> dict[str, Any]:
    """A plan of one message."""
    return {"steps": [{"name": "text", "tool": "send_message", "args": args}]}


def problems(said: Any, **more: Any) -> str:
    """What is wrong with it."""
    found = read(said, **more)
    assert isinstance(found, Flawed), found
    return "; ".join(found.problems)


def drafted(said: Any, **more: Any) -> answer.Draft:
    """The plan."""
    found = read(said, **more)
    assert isinstance(found, answer.Draft), found
    return found


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "Here you are: {} Enjoy."])
def test_the_object_is_found_in_what_stands_around_it(around: str) -> None:
    """Models like to be polite."""
    text = json.dumps(sends(to="@phone", text="hi"))
    assert drafted(around.replace("{}", text)).plan.steps[0].tool == "send_message"


@pytest.mark.parametrize(
    "text",
    ["", "no", "[]", "{}", '{"steps": [], "questions": []}', '{"steps": 3}', "{" * 5_000, '{"steps": [{"name": "a"', "\x00"],
)
def test_what_is_no_answer_is_flawed(text: str) -> None:
    """And says what is asked for."""
    assert problems(text)


def test_steps_and_questions_together_are_flawed() -> None:
    """Who asks has no plan."""
    assert "either" in problems(sends(to="@phone") | {"questions": [{"field": "a", "question": "b"}]})


@pytest.mark.parametrize("name", ["undo", "retry", "limits", "child", "timeout_ms", "deadline_ms"])
def test_a_model_consents_to_nothing_and_sets_no_limits(name: str) -> None:
    """These fields are people's."""
    said = sends(to="@phone")
    said["steps"][0][name] = {"leave": True}
    assert name in problems(said)


def test_questions_are_bounded() -> None:
    """They are stored and shown."""
    found = read({"questions": [{"field": "f" * 999, "question": "q" * 999, "candidates": ["c" * 99] * 30}] * 12})
    assert isinstance(found, Asked)
    assert len(found.questions) == answer.MOST_QUESTIONS
    assert len(json.dumps(found.questions)) < 30_000


def test_a_huge_answer_is_not_even_read() -> None:
    """Nor given back to be mended."""
    found = read("x" * 999_999)
    assert isinstance(found, Flawed)
    assert (found.answer, len(found.problems)) == ("", 1)


def test_more_steps_than_a_person_would_ask_for_are_refused() -> None:
    """A loop of a model is not a plan."""
    assert "31 steps" in problems({"steps": [{"name": f"s{n}", "tool": "do_work", "args": {}} for n in range(31)]})


# people


@pytest.mark.parametrize("to", ["+4420 7946-0958", "bob@example.org", "BOB@example.org"])
def test_whom_the_words_name_may_be_written_to(to: str) -> None:
    """However the number is spaced."""
    assert drafted(sends(to=to, text="hi")).plan.steps


@pytest.mark.parametrize(
    "args",
    [
        {"to": "+1 900 555 0199"},
        {"to": "eve@example.net"},
        {"to": "x", "text": "call +19005550199"},
        {"to": ["a", {"b": "e@ev.il"}]},
    ],
)
def test_nobody_else_is_reached(args: dict[str, Any]) -> None:
    """Not in the text of a message either, nor deep in an argument."""
    assert "is not in the words" in problems(sends(**args))


def test_dates_are_no_telephone_numbers() -> None:
    """They look alike."""
    assert drafted(sends(to="@phone", text="2030-05-01 19:00")).plan.steps


def test_a_profiles_values_are_put_in_after_the_model_has_spoken() -> None:
    """It writes their names, and its plan has the values; what looks like a reference in them is none."""
    found = drafted(sends(to="@phone", where=["@home"], text="hi"))
    assert found.plan.steps[0].args == {"to": "+4915112345678", "where": ["1 $${table.id} Street"], "text": "hi"}
    assert [(row["argument"], row["origin"]) for row in found.sources][:1] == [("to", "profile")]


def test_contacts_and_places_are_told_of_only_where_the_words_name_them() -> None:
    """By what stands for them."""
    profile = Profile(contacts={"Ana": "+34600111222", "wife": "eve@example.com"}, places={"work": "1 Office Road", "gym": "x"})
    words = "Text my Wife when I leave work, not banana"
    assert answer.shown(profile, words) == {"named": {"wife": "@contact_2", "work": "@place_1"}}
    plan = drafted(sends(to="@contact_2", text="hi", place="@place_1"), words=words, profile=profile).plan
    assert plan.steps[0].args == {"to": "eve@example.com", "text": "hi", "place": "1 Office Road"}
    assert "@contact_1 is not in the profile" in problems(sends(to="@contact_1"), words=words, profile=profile)


def test_values_stand_among_the_items_of_a_map_too() -> None:
    """A list of recipients, say."""
    said = sends(to="${item}", text="hi")
    said["steps"][0]["map"] = {"over": ["@phone", "bob@example.org"]}
    each = drafted(said).plan.steps[0].map
    assert each is not None
    assert each.over == ["+4915112345678", "bob@example.org"]


def test_what_a_person_wrote_is_not_taken_for_the_profiles() -> None:
    """Somebody else would be told the address."""
    said = sends(to="bob@example.org", text="@home")
    assert "stands in the words" in problems(said, words="Write @home to bob@example.org")


def test_the_model_sees_no_value_of_a_profile() -> None:
    """Name, telephone, e-mail and home are names for it."""
    told = json.dumps(answer.shown(ANN, WORDS))
    assert told == '{"name": "@name", "phone": "@phone", "email": "@email", "home": "@home"}'


def test_a_value_that_the_profile_lacks_is_to_be_asked_for() -> None:
    """It is no literal."""
    assert "@phone is not in the profile" in problems(sends(to="@phone"), profile=Profile())


def test_sources_are_kept_only_where_the_words_were_said() -> None:
    """A model may say that anything was said."""
    said = sends(to="bob@example.org", text="hello", about="${table.id}") | {
        "sources": [
            {"step": "text", "argument": "to", "words": "bob@example.org"},
            {"step": "text", "argument": "text", "words": "please say hello"},
        ]
    }
    sources = msgspec.convert(drafted(said).sources, tuple[Source, ...])  # as whoever shows the execution reads them
    rows = [(row.argument, row.origin, row.words) for row in sources]
    assert rows == [("to", "text", "bob@example.org"), ("text", "model", ""), ("about", "step", "table.id")]


@example('{"steps": [{"name": "a", "args": {"x": ' + "[" * 900 + "]" * 900 + "}}]}")
@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=9), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner)
    ).map(json.dumps)
)
def test_any_text_is_read_without_an_accident(text: str) -> None:
    """The other side may say anything."""
    read(text)


@example("${a")
@example("${a b}")
@given(st.text(max_size=60))
def test_any_text_in_an_argument_is_read_without_an_accident(text: str) -> None:
    """References that are none among them."""
    read(sends(to=text))
