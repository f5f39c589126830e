"""Settings: a wrong value stops the start-up and names its variable, and a secret is shown nowhere."""

import io
import json
import traceback
from contextlib import redirect_stdout

import pytest
import structlog

from services.qstash_dev.users import DEV_USERS
from shared.errors import SettingsError
from shared.settings import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, Secret, Settings
from shared.settings_load import load, table

SECRETS = {
    "QSTASH_TOKEN": "token-b3f1c2",
    "UPSTASH_QSTASH_TOKEN": "second-token-77aa",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current-5d21",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next-9c04",
    "INTERNAL_SIGNING_KEY": "internal-0f7e",
    "API_KEYS": "acme:key-of-acme-4242-4242",
    "LLM_API_KEY": "sk-of-the-model-88",
    "REDIS_URL": "rediss://default:password-of-redis-31@db.example:6380/0",
}
PRODUCTION = {**SECRETS, "QSTASH_URL": "https://qstash.upstash.io", "EXECUTOR_URL": "https://executor.example"}


def refusal(**variables: str) -> str:
    """What production says to its variables with these on top."""
    with pytest.raises(SettingsError) as caught:
        load({**PRODUCTION, **variables})
    return caught.value.message


WRONG = {
    "INTENTION_MODE": ["LOCAL", "dev"],
    "LOG_FORMAT": ["text"],
    "LOG_LEVEL": ["trace"],
    "DURABILITY": ["some"],
    "RETENTION_DAYS": ["0", "-1", "x"],
    "QSTASH_URL": [
        "qstash.upstash.io",
        "https://",
        "ftp://x.example",
        "https://qstash.upstash.io/v2/publish/",
        "https://x.example?a=b",
        "http://[::1",
        "https://x.example:port",
        "https://x.example:99999",
    ],
    "QSTASH_RETRIES": ["6", "-1", "three"],
    "QSTASH_PARALLELISM": ["-1"],
    "JWT_LEEWAY_S": ["-1", "1m"],
    "PLANNER": ["model", "LLM"],
    "LLM_BASE_URL": ["models.example/v1", "ftp://models.example", "https://", "http://[::1", "https://models.example/v1?key=x"],
    "LLM_API_KEY": ["sk with blanks", "sk-line\n", "sk-ünicode"],
    "LLM_MAX_TOKENS": ["0"],
    "LLM_BUDGET_TOKENS": ["-1"],
    "LLM_PRICE_IN": ["-1", "nan", "inf", "free"],
    "LLM_PRICE_OUT": ["-0.5", "1e12"],
    "LLM_BUDGET_COST": ["-1", "nan"],
    "LLM_TIMEOUT_MS": ["7s"],
    "LLM_ATTEMPTS": ["0", "21"],
    "INGRESS_PORT": ["0", "65536", "http"],
    "EXECUTOR_PORT": ["-5"],
    "RESUME_PORT": ["3002.5"],
    "QSTASH_DEV_PORT": [" "],
    "QSTASH_DEV_ALLOW_PUBLIC": ["maybe"],
    "TOWN_PORT": ["99999"],
    "EXECUTOR_URL": ["executor.example", "https://executor.example/api/engine/execute-step"],
    "RESUME_URL": ["//resume.example"],
    "TOWN_URL": ["localhost:3010"],
    "REDIS_URL": ["localhost:6379", "http://db.example", "redis://", "redis://:p/w@db.example:1/0", "redis://db.example:0"],
    "API_KEYS": ["key-without-a-tenant-0123", "acme:short", "ACME:0123456789abcdef", "acme:0123456789abcdef,,:x"],
    "TRUSTED_CALLERS": ["everybody", "127.0.0.1/8", "10.0.0.0/8,,", "10.0.0.0/33"],
    "HARD_LIMIT_MS": ["0"],
    "CHECKPOINT_MS": ["8001"],
    "STEP_CUTOFF_MS": ["7000", "9501"],
    "LOCK_TTL": ["10999", "0"],
    "STEPS_PER_MESSAGE": ["-1"],
    "MAX_PARALLEL_STEPS": ["0"],
    "MAX_PLAN_STEPS": ["0"],
    "MAX_ARGUMENT_BYTES": ["0"],
    "MAX_REQUEST_BYTES": ["4MB"],
    "CONTINUE_DELAY_MS": ["-1"],
    "UNDELIVERABLE_AFTER": ["0"],
    "SWEEP_MS": ["0"],
    "SWEEP_RATE": ["0"],
    "RESUME_DIRECT": ["perhaps"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    """One line for the one who has to change it."""
    assert name in refusal(**{name: value})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("QSTASH_TOKN", "QSTASH_TOKEN"),
        ("QSTASH_CURENT_SIGNING_KEY", "QSTASH_CURRENT_SIGNING_KEY"),
        ("UPSTASH_QSTASH_TOKE", "UPSTASH_QSTASH_TOKEN"),
        ("SWEEP_MSEC", "SWEEP_MS"),
        ("INTENTION_MOD", "INTENTION_MODE"),
        ("EXECUTOR_PORTS", "EXECUTOR_PORT"),
        ("INTERNAL_KEY", "INTERNAL_SIGNING_KEY"),
    ],
)
def test_an_unknown_name_with_one_of_our_prefixes_is_told_with_what_was_meant(name: str, meant: str) -> None:
    """A typo is found at once, not at night."""
    text = refusal(**{name: "x-secret-x"})

    assert text == f"{name} is not a setting: did you mean {meant}?"


def test_the_names_of_others_are_none_of_our_business() -> None:
    """Whatever else is in an environment, and what Upstash's own programs read."""
    load({**PRODUCTION, "PATH": "/bin", "QSTASH_DEV": "true", "QSTASH_REGION": "EU_CENTRAL_1", "QSTASH_DEV_LOG_PORT": "8081"})
    load({**PRODUCTION, "INTENTION_URL": "http://x", "INTENTION_KEY": "k", "INTENTION_PROFILE": "p", "INTENTION_CONFIG": "f"})
    load({**PRODUCTION, "UPSTASH_QSTASH_URL": "x", "TOWNHALL": "x", "MY_QSTASH_TOKEN": "x"})


def test_the_documented_variables_are_read() -> None:
    """Those of the original guide, under their own names."""
    found = load(PRODUCTION)

    assert found.qstash_url == "https://qstash.upstash.io"
    assert found.token == SECRETS["QSTASH_TOKEN"]
    assert found.signing_keys == (SECRETS["QSTASH_CURRENT_SIGNING_KEY"], SECRETS["QSTASH_NEXT_SIGNING_KEY"])
    assert found.redis_url == SECRETS["REDIS_URL"]


@pytest.mark.parametrize("value", [None, ""], ids=["not set", "empty"])
def test_the_second_token_is_used_when_the_first_is_not_given(value: str | None) -> None:
    """An empty variable is no variable."""
    variables = {name: text for name, text in PRODUCTION.items() if name != "QSTASH_TOKEN"}
    if value is not None:
        variables["QSTASH_TOKEN"] = value

    assert load(variables).token == SECRETS["UPSTASH_QSTASH_TOKEN"]


def test_without_any_token_messages_are_not_configured() -> None:
    """It starts: the watchdog's direct calls carry everything, and the log says so."""
    assert load({name: text for name, text in PRODUCTION.items() if not name.endswith("TOKEN")}).token == ""


def test_production_without_a_signing_key_does_not_start() -> None:
    """Verification is never skipped; one key of the two is enough."""
    assert "QSTASH_CURRENT_SIGNING_KEY" in refusal(QSTASH_CURRENT_SIGNING_KEY="", QSTASH_NEXT_SIGNING_KEY="")
    assert "INTERNAL_SIGNING_KEY" in refusal(INTERNAL_SIGNING_KEY="")
    assert load({**PRODUCTION, "QSTASH_NEXT_SIGNING_KEY": ""}).signing_keys == (SECRETS["QSTASH_CURRENT_SIGNING_KEY"],)


PUBLIC = [key for user in DEV_USERS for key in (user.current_key, user.next_key)]


@pytest.mark.parametrize("name", ["QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"])
@pytest.mark.parametrize("key", PUBLIC)
def test_production_takes_no_public_key_in_either_place(name: str, key: str) -> None:
    """Anybody can sign with them, and the next key is as good as the current one."""
    text = refusal(**{name: key})

    assert "public development key" in text
    assert name in text


def test_production_does_not_take_local_modes_own_internal_key() -> None:
    """It stands in this repository, so anybody can sign with it."""
    local = load({"INTENTION_MODE": "local"}).internal_signing_key

    assert "INTERNAL_SIGNING_KEY" in refusal(INTERNAL_SIGNING_KEY=local)


@pytest.mark.parametrize("name", ["EXECUTOR_HOST", "RESUME_HOST"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "executor.internal"])  # noqa: S104 - to be refused
def test_public_keys_are_for_listeners_on_loopback_only(name: str, host: str) -> None:
    """Local mode too: with keys that everybody knows, the network must not reach what they open."""
    with pytest.raises(SettingsError, match=name):
        load({"INTENTION_MODE": "local", name: host})

    own = {one: SECRETS[one] for one in ("QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY", "INTERNAL_SIGNING_KEY")}
    load({"INTENTION_MODE": "local", name: host, **own})
    with pytest.raises(SettingsError, match=name):
        load({"INTENTION_MODE": "local", name: host, **own, "INTERNAL_SIGNING_KEY": ""})
    load({"INTENTION_MODE": "local", name: "::1"})
    load({"INTENTION_MODE": "local", name: "localhost"})


def test_local_mode_needs_nothing_and_takes_what_it_is_given() -> None:
    """QStash's public development user by default."""
    found = load({"INTENTION_MODE": "local"})

    assert (found.token, found.signing_keys) == (DEV_TOKEN, (DEV_CURRENT_KEY, DEV_NEXT_KEY))
    assert found.local
    assert load({"INTENTION_MODE": "local", "QSTASH_TOKEN": "mine"}).token == "mine"


def test_what_local_mode_would_set_can_be_turned_off() -> None:
    """An empty variable counts as none, so `off` is the word for it; elsewhere it is a value like any other."""
    taken = load({"INTENTION_MODE": "local", "ABLY_API_KEY": "off", "ARCHIVE_FOLDER": "off", "TOWN_URL": ""})

    assert (taken.ably_api_key, taken.archive_folder) == ("", "")
    assert taken.town_url


@pytest.mark.parametrize(
    ("port", "url"),
    [
        ("QSTASH_DEV_PORT", "QSTASH_URL"),
        ("ABLY_DEV_PORT", "ABLY_URL"),
        ("TOWN_PORT", "TOWN_URL"),
        ("EXECUTOR_PORT", "EXECUTOR_URL"),
        ("RESUME_PORT", "RESUME_URL"),
        ("INGRESS_PORT", "INGRESS_URL"),
    ],
)
def test_in_local_mode_a_server_is_looked_for_where_its_port_says(port: str, url: str) -> None:
    """Unless its address is given, too; elsewhere a port says nothing of an address."""
    moved = {"INTENTION_MODE": "local", port: "7001"}

    assert getattr(load(moved), url.lower()) == "http://127.0.0.1:7001"
    assert getattr(load(moved | {url: "http://127.0.0.1:7002"}), url.lower()) == "http://127.0.0.1:7002"
    assert "7001" not in getattr(load({**PRODUCTION, port: "7001"}), url.lower())


def test_the_limits_of_another_platform_are_taken_together() -> None:
    """A 60 s platform, with its lease."""
    found = load(
        {**PRODUCTION, "HARD_LIMIT_MS": "60000", "STEP_CUTOFF_MS": "55000", "CHECKPOINT_MS": "50000", "LOCK_TTL": "61000"}
    )

    assert found.lease_ms == 61_000


def shown_nowhere(text: str) -> None:
    """No secret, nor the part of one that a URL hides, is in the text."""
    for secret in (*SECRETS.values(), "password-of-redis-31", "key-of-acme-4242-4242"):
        assert secret not in text


def test_settings_show_no_secret() -> None:
    """Neither as a whole nor one by one."""
    found = load(PRODUCTION)

    shown_nowhere(f"{found!r} {found} {[getattr(found, name) for name in Settings.__struct_fields__]!r}")
    assert repr(found.qstash_token) == "'***'"


def test_a_log_line_and_a_traceback_of_the_settings_show_no_secret() -> None:
    """The settings as a value, and an error raised where they are."""
    found = load(PRODUCTION)
    for render in (structlog.dev.ConsoleRenderer(colors=False), structlog.processors.KeyValueRenderer()):
        out = io.StringIO()
        with redirect_stdout(out):
            structlog.wrap_logger(structlog.PrintLogger(), processors=[render]).info("settings.loaded", settings=found)
        assert "settings.loaded" in out.getvalue()
        shown_nowhere(out.getvalue())
    with pytest.raises(RuntimeError) as caught:
        _raise_with(found)
    shown_nowhere("".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()))


def _raise_with(settings: Settings) -> None:
    raise RuntimeError(settings)


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("wrong", [" ", "\n", "\t"], ids=["blank", "line", "tab"])
def test_a_secret_with_a_blank_in_it_is_refused_without_being_shown(name: str, wrong: str) -> None:
    """Pasted with its line end, it would be refused by everybody later on, one message at a time."""
    if name == "API_KEYS":
        return  # blanks around a comma are fine there
    text = refusal(**{name: SECRETS[name] + wrong})

    assert name in text
    shown_nowhere(text)


@pytest.mark.parametrize("variable", ["QSTASH_URL", "EXECUTOR_URL", "API_KEYS", "SWEEP_MS", "INGRESS_PORT"])
@pytest.mark.parametrize("pasted", [*SECRETS.values(), "https://user:password-of-redis-31@x.example/path"])
def test_a_secret_pasted_into_the_wrong_place_is_not_printed_back(variable: str, pasted: str) -> None:
    """A token where a URL belongs, a URL with a password in it."""
    if variable == "API_KEYS":
        pasted = pasted.replace(":", "")
    with pytest.raises(SettingsError) as caught:
        load({**PRODUCTION, variable: pasted})

    assert variable in caught.value.message
    shown_nowhere(f"{caught.value.message} {json.dumps(caught.value.details, default=str)}")


def test_the_table_of_settings_has_every_setting() -> None:
    """Made from the class, so that none is forgotten."""
    rows = table()

    for name in Settings.__struct_fields__:
        variable = "SECRET_<NAME>" if name == "secrets" else name.upper()
        assert f"| `{variable}` |" in rows
    assert Secret("x") == "x"


def test_a_budget_in_money_needs_prices() -> None:
    """Otherwise no call would count against it."""
    assert "LLM_PRICE_IN" in refusal(LLM_BUDGET_COST="50")
    assert "LLM_PRICE_OUT" in refusal(LLM_BUDGET_COST="50", LLM_PRICE_IN="15")


def test_a_planner_that_is_always_the_model_needs_one() -> None:
    """Otherwise every request would be answered by the rules, and nobody would know."""
    assert "LLM_MODEL" in refusal(PLANNER="llm")
    assert "LLM_MODEL" in refusal(PLANNER="llm", LLM_API_KEY="")


@pytest.mark.parametrize(
    ("variables", "planners"),
    [
        ({}, "rules"),
        ({"LLM_API_KEY": "", "LLM_MODEL": "small"}, "rules"),
        ({"LLM_MODEL": "small"}, "auto"),
        ({"LLM_MODEL": "small", "PLANNER": "llm"}, "llm"),
        ({"LLM_MODEL": "small", "PLANNER": "rules"}, "rules"),
    ],
)
def test_without_a_model_the_rules_plan(variables: dict[str, str], planners: str) -> None:
    """A model is one by its name and a key."""
    assert load({**PRODUCTION, **variables}).planners == planners
