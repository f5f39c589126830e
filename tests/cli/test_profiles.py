"""Whom the command line speaks with: the order of what is said, and which key goes where."""

from pathlib import Path

import pytest

from shared.cli.api import Failed
from shared.cli.profiles import chosen, config_file, read, using

TEXT = """# mine
profile = "one"  # for now

[profiles.one]
url = "https://one.example/"
key = "key-of-one"
actor = "ann"

[profiles.two]
url = "https://two.example"
"""
ENV_FILE = {"API_KEYS": "acme:key-of-env-file", "INTENTION_ACTOR": "file"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment that names a configuration file."""
    file = tmp_path / "config.toml"
    file.write_text(TEXT)
    file.chmod(0o600)
    return {"INTENTION_CONFIG": str(file)}


def who(environ: dict[str, str], file: dict[str, str] | None = None, **options: str) -> tuple[str, str, str]:
    """Address, key and actor."""
    found = chosen(environ, ENV_FILE if file is None else file, **options)
    return found.url, found.key, found.actor


def test_without_a_profile_it_is_as_the_settings_say(tmp_path: Path) -> None:
    """The environment, then `.env`, then this machine."""
    none = {"INTENTION_CONFIG": str(tmp_path / "none")}
    assert who(none, {}) == ("http://127.0.0.1:3000", "", "")
    assert who(none) == ("http://127.0.0.1:3000", "key-of-env-file", "file")
    assert who(none | {"INGRESS_PORT": "1", "INTENTION_KEY": "k"}) == ("http://127.0.0.1:1", "k", "file")


def test_the_profile_in_use_wins_over_the_env_file(environ: dict[str, str]) -> None:
    """Whole: no key of `.env` goes to its address."""
    assert who(environ) == ("https://one.example", "key-of-one", "ann")
    assert who(environ | {"INTENTION_PROFILE": "two"}) == ("https://two.example", "", "")


def test_the_environment_wins_over_the_profile_in_use(environ: dict[str, str]) -> None:
    """An address of its own takes the profile's key out, a key of its own goes to the profile's address."""
    assert who(environ | {"INTENTION_URL": "http://env"}) == ("http://env", "key-of-env-file", "file")
    assert who(environ | {"INTENTION_KEY": "k", "INTENTION_ACTOR": "env"}) == ("https://one.example", "k", "env")
    assert who(environ | {"API_KEYS": "acme:x"}) == ("https://one.example", "key-of-one", "ann")


def test_options_win_over_everything(environ: dict[str, str]) -> None:
    """A profile that is named by hand is an option; the key of no profile goes to an address that was named."""
    loud = environ | {"INTENTION_URL": "http://env", "INTENTION_KEY": "k"}
    assert who(loud, profile="one") == ("https://one.example", "key-of-one", "ann")
    assert who(environ, url="http://opt") == ("http://opt", "key-of-env-file", "file")
    assert who(environ, url="http://opt", profile="one", key="o", actor="me") == ("http://opt", "o", "me")


def test_keys_are_in_no_repr(environ: dict[str, str]) -> None:
    """Nor in a traceback of locals."""
    assert "key-of" not in repr(chosen(environ, {})) + repr(read(Path(environ["INTENTION_CONFIG"])))


def test_a_file_with_keys_that_others_may_read_is_warned_of(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do, and without the key."""
    file = Path(environ["INTENTION_CONFIG"])
    read(file)
    assert capsys.readouterr().err == ""
    file.chmod(0o640)
    read(file)
    told = capsys.readouterr().err
    assert f"chmod 600 {file}" in told
    assert "key-of-one" not in told


@pytest.mark.parametrize(
    "text", ["profile = 3", "[profiles.x]\nurl = 1", "[profiles.x]\nkey = 'k'", "= =", "[profil.x]\nurl='x'"]
)
def test_a_file_that_is_wrong_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    """And how one is written."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(Failed, match=r"config\.toml: .*[\s\S]*a profile is \[profiles\.NAME\]"):
        read(file)


def test_a_profile_that_is_not_there_names_those_that_are(environ: dict[str, str]) -> None:
    """By whoever it was named."""
    with pytest.raises(Failed, match=r"no profile 'three'; it has: one, two"):
        who(environ, profile="three")


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        ({"INTENTION_CONFIG": "/x/y"}, "/x/y"),
        ({"XDG_CONFIG_HOME": "/c"}, "/c/intention/config.toml"),
        ({"HOME": "/h"}, "/h/.config/intention/config.toml"),
    ],
)
def test_where_the_file_is(environ: dict[str, str], file: str) -> None:
    """As desktops have it."""
    assert config_file(environ) == Path(file)


def test_another_profile_in_use_changes_one_line() -> None:
    """Remarks and tables stay."""
    rest = TEXT.replace('profile = "one"  # for now\n', "")
    assert using(TEXT, "two") == 'profile = "two"\n' + rest
    assert using(TEXT, "") == rest
    assert using(using(TEXT, ""), "one") == 'profile = "one"\n' + rest
    assert using("", "") == "\n"
