"""What came of an execution, in words that a person would use."""

from shared.chat.telling import Told, came, outcome

RESERVED = {"restaurant": "Luigi's", "date": "2026-03-12", "time": "20:00", "reservation_id": "res_1", "party_size": 2}


def test_what_came_is_told_in_the_words_of_its_domain() -> None:
    """What only prepares something is not told."""
    steps = [
        Told(step="find_table", tool="find_table", output={"restaurant": "Luigi's"}),
        Told(step="reserve_table", tool="reserve_table", output=RESERVED),
    ]
    assert outcome("Table for 2.", "COMPLETED", steps) == "Table for 2. Done: Luigi's on 2026-03-12 at 20:00, reference res_1."


def test_a_list_is_told_item_by_item() -> None:
    """An empty one is said to be empty."""
    found = {"restaurants": [{"restaurant": "Sakura", "cuisine": "japanese", "area": "harbour"}], "nearest": []}
    assert came("search_restaurants", found) == "Sakura (japanese, harbour)"
    assert came("search_restaurants", {"restaurants": []}) == "no restaurant has a table then"


def test_what_no_domain_knows_is_shown_as_it_is() -> None:
    """Another tool, or another server's answer."""
    assert came("my_tool", {"a": 1}) == '{"a":1}'
    assert came("get_weather", {"sky": "blue"}) == '{"sky":"blue"}'
    assert came("search_restaurants", {"restaurants": None}) == '{"restaurants":null}'


def test_the_output_of_the_plan_stands_for_all_of_it() -> None:
    """The steps are not told beside it."""
    steps = [Told(step="reserve_table", tool="reserve_table", output=RESERVED)]
    assert outcome("", "COMPLETED", steps, {"table": "res_1"}) == 'Done: {"table":"res_1"}.'


def test_a_failure_says_what_failed_and_why() -> None:
    """Step and reason."""
    steps = [Told(step="find_table", tool="find_table", error="no table is free"), Told(step="other", tool="x")]
    assert outcome("Table for 2.", "FAILED", steps) == "Table for 2. It failed: find_table: no table is free."


def test_the_questions_of_a_model_are_told() -> None:
    """They are what its plan is instead."""
    output = {"error": {}, "questions": [{"field": "date", "question": "Which day?", "candidates": []}]}
    assert outcome("", "REJECTED", [], output) == "Nothing was done: Which day?"
