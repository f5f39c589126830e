"""Before the first request: who may call, and where the server may listen."""

import pytest

from services.qstash_dev import users
from services.qstash_dev.main import banner, check_host
from shared.errors import SettingsError, Unauthorized
from shared.settings import DEV_CURRENT_KEY, DEV_TOKEN, Settings
from shared.settings_load import load

OWN = {
    "INTENTION_MODE": "production",
    "QSTASH_TOKEN": "own-token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_own1",
    "QSTASH_NEXT_SIGNING_KEY": "sig_own2",
    "INTERNAL_SIGNING_KEY": "internal",
}


def local(**more: str) -> Settings:
    """Settings of a development machine."""
    return load({"INTENTION_MODE": "local", **more})


def test_local_mode_has_the_four_public_users() -> None:
    """With their own tokens, keys and data."""
    found = users.of(local())
    assert [user.name for user in found] == ["defaultUser", "testUser1", "testUser2", "testUser3"]
    assert found == users.DEV_USERS
    assert len({user.keys.prefix for user in found}) == 4
    assert users.authenticate(found, found[2].token) is found[2]
    with pytest.raises(Unauthorized):
        users.authenticate(found, "")


def test_elsewhere_only_the_configured_token_is_taken() -> None:
    """Everybody knows the development tokens: they must open nothing outside local mode."""
    (own,) = users.of(load(OWN))
    assert (own.token, own.current_key, own.next_key) == ("own-token", "sig_own1", "sig_own2")
    with pytest.raises(SettingsError, match="public development token"):
        users.of(load(OWN | {"QSTASH_TOKEN": DEV_TOKEN}))
    with pytest.raises(SettingsError, match="QSTASH_TOKEN is empty"):
        users.of(load(OWN | {"QSTASH_TOKEN": ""}))


def test_keys_never_show_in_a_repr() -> None:
    """A user may end in a log line or a traceback of locals."""
    assert "sig_own1" not in repr(users.of(load(OWN)))
    assert "own-token" not in repr(users.of(load(OWN)))


def test_a_token_in_qstash_s_form_names_its_user() -> None:
    """Any other token gets a name of its own, without the token in it."""
    encoded = "eyJVc2VySUQiOiJtZSIsIlBhc3N3b3JkIjoieCJ9"
    assert users.of(load(OWN | {"QSTASH_TOKEN": encoded}))[0].name == "me"
    name = users.of(load(OWN))[0].name
    assert name.startswith("user-")
    assert "own-token" not in name


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - what must be refused
def test_another_host_than_loopback_needs_consent(host: str) -> None:
    """Whoever reaches the port could make this machine call any address."""
    with pytest.raises(SettingsError, match="QSTASH_DEV_ALLOW_PUBLIC"):
        check_host(local(QSTASH_DEV_HOST=host))
    check_host(local(QSTASH_DEV_HOST=host, QSTASH_DEV_ALLOW_PUBLIC="true"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_is_fine(host: str) -> None:
    """In all its spellings."""
    check_host(local(QSTASH_DEV_HOST=host))


def test_the_banner_has_the_official_lines() -> None:
    """The JS SDK's spawner waits for the first one; people copy the others."""
    assert banner(local(QSTASH_DEV_PORT="8123")).splitlines() == [
        "QStash server is running at http://127.0.0.1:8123",
        "QSTASH_URL=http://127.0.0.1:8123",
        f"QSTASH_TOKEN={DEV_TOKEN}",
        f"QSTASH_CURRENT_SIGNING_KEY={DEV_CURRENT_KEY}",
        "QSTASH_NEXT_SIGNING_KEY=sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
    ]
