"""Before the first request: which keys are taken, where the server may listen, and which settings stop it."""

import pytest

from services.ably_dev.main import check_host, keys_of, plan_of
from shared.errors import SettingsError
from shared.settings import DEV_ABLY_KEY, Settings
from shared.settings_load import load

OWN = {
    "INTENTION_MODE": "production",
    "QSTASH_TOKEN": "own-token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_own1",
    "INTERNAL_SIGNING_KEY": "internal",
}
OWN_KEY = "mine.key:a-secret-of-my-own"


def local(**more: str) -> Settings:
    """Settings of a development machine."""
    return load({"INTENTION_MODE": "local", **more})


def test_the_public_key_is_taken_in_local_mode_on_loopback_only() -> None:
    """Everybody knows it."""
    assert set(keys_of(local())) == {"local.dev"}
    for config in (
        local(ABLY_DEV_HOST="0.0.0.0"),  # noqa: S104 - what must be refused
        local(ABLY_DEV_HOST="0.0.0.0", ABLY_DEV_ALLOW_PUBLIC="true"),  # noqa: S104 - the same
        load(OWN | {"ABLY_DEV_KEY": DEV_ABLY_KEY}),
    ):
        with pytest.raises(SettingsError, match="public development key"):
            keys_of(config)
    with pytest.raises(SettingsError, match="ABLY_DEV_KEY is empty"):
        keys_of(load(OWN))
    assert set(keys_of(load(OWN | {"ABLY_DEV_KEY": OWN_KEY}))) == {"mine.key"}


def test_more_keys_have_what_they_may_do() -> None:
    """And no more."""
    found = keys_of(local(ABLY_DEV_KEYS='{"local.one:secret-of-one": {"a": ["publish"]}}'))
    assert found["local.one"].capability == {"a": ["publish"]}
    assert "secret-of-one" not in repr(found)


@pytest.mark.parametrize("text", ["[]", '{"x": {"a": ["publish"]}}', '{"a.b:secret-of-b": {"a": ["fly"]}}', "{"])
def test_keys_that_make_no_sense_stop_the_start_without_being_shown(text: str) -> None:
    """Half of a key is a secret."""
    with pytest.raises(SettingsError) as stopped:
        keys_of(local(ABLY_DEV_KEYS=text))
    assert "secret-of-b" not in stopped.value.message


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - what must be refused
def test_another_host_than_loopback_needs_consent(host: str) -> None:
    """It is not made for the internet."""
    with pytest.raises(SettingsError, match="ABLY_DEV_ALLOW_PUBLIC"):
        check_host(local(ABLY_DEV_HOST=host))
    check_host(local(ABLY_DEV_HOST=host, ABLY_DEV_ALLOW_PUBLIC="true"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_is_fine(host: str) -> None:
    """In all its spellings."""
    check_host(local(ABLY_DEV_HOST=host))


def test_faults_may_be_on_from_the_start_and_wrong_ones_stop_it() -> None:
    """By the environment."""
    assert plan_of(local()).faults == ()
    assert plan_of(local(ABLY_DEV_FAULTS='{"faults": [{"kind": "lose"}]}')).faults[0].kind == "lose"
    for text in ("{", '{"faults": [{"kind": "x"}]}', '{"faults": [{"kind": "lose", "channel": "["}]}'):
        with pytest.raises(SettingsError, match="ABLY_DEV_FAULTS"):
            plan_of(local(ABLY_DEV_FAULTS=text))
