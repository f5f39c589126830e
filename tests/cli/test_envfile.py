"""The `.env` editor: whatever is not ours survives byte for byte, and every reader reads what was set."""

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cli import envfile

NAMES = ("QSTASH_URL", "QSTASH_TOKEN", "REDIS_URL")
HEADINGS = {"QSTASH_URL": "QUEUE", "QSTASH_TOKEN": "QUEUE", "REDIS_URL": "STORE"}
GUIDE = """\
# RELIABLE QUEUE (Upstash QStash) - For Saga Execution
QSTASH_URL="https://qstash-us-east-1.upstash.io"
QSTASH_TOKEN="your_token_here"
UPSTASH_QSTASH_TOKEN="your_token_here"  # Can be same as QSTASH_TOKEN

OTHER=1
"""


def quotable(value: str) -> bool:
    """Whether the editor takes the value."""
    try:
        envfile.quote(value)
    except envfile.EnvFileError:
        return False
    return True


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
values = st.one_of(texts, st.text("ab$`'\"\\{}#=! é~*", max_size=12)).filter(quotable)
wanted = st.dictionaries(st.sampled_from(NAMES), values, min_size=1)
word = st.from_regex(r"[a-zA-Z0-9_./:@%+=,-]{0,12}", fullmatch=True)
other_line = st.one_of(
    texts.map(lambda text: f"# {text}"),
    st.just(""),
    st.just("  "),
    st.builds("OTHER_{}={}{}".format, st.integers(0, 9), word, st.sampled_from(["", " # why"])),
    st.builds("export OTHER_{}={}".format, st.integers(0, 9), word),
    st.builds("MULTI='{}\n{}=not mine\n{}'".format, word, st.sampled_from(NAMES), word),
)
own_line = st.builds(
    "{}{}={}{}".format,
    st.sampled_from(["", "export ", "  "]),
    st.sampled_from(NAMES),
    st.one_of(word, values.map(envfile.quote), word.map(lambda w: f"'{w}'")),
    st.sampled_from(["", " # kept", "   "]),
)
files = st.lists(st.one_of(other_line, own_line), max_size=8).flatmap(
    lambda lines: st.sampled_from(["", "\n"]).map(lambda end: "\n".join(lines) + end if lines else "")
)
anything = st.one_of(files, st.text(max_size=60), st.text("QSTASH_URL=#'\"\\ \n\r${}", max_size=60))


def others(text: str) -> list[str]:
    """The statements and comments that are not ours, as written; the last line may lack its end."""
    found = [binding.original.string for binding in parse_stream(io.StringIO(text)) if binding.key not in NAMES]
    return [line.removesuffix("\n") for line in found if line.strip()]


@given(text=anything, new=wanted)
def test_any_file_keeps_what_is_not_ours_and_reads_back_what_was_set(text: str, new: dict[str, str]) -> None:
    """Or is refused whole, when a line in it would swallow ours. A second edit changes nothing."""
    try:
        edited = envfile.edit(text, new, {})
    except envfile.EnvFileError:
        assert envfile.unreadable(text)
        return
    found = dotenv_values(stream=io.StringIO(edited))
    assert {name: found[name] for name in new} == new
    assert others(edited) == others(text)
    assert envfile.edit(edited, new, {}) == edited


@given(text=files, new=wanted)
def test_lines_that_are_not_ours_survive_byte_for_byte_in_their_order(text: str, new: dict[str, str]) -> None:
    """Seen without the parser: take our lines out of both, and the rest is the same."""
    edited = envfile.edit(text, new, HEADINGS)
    strip = [line for line in text.split("\n") if not is_ours(line)]
    rest = [line for line in edited.split("\n") if not is_ours(line)]
    assert rest[: len(strip[:-1])] == strip[:-1]


def is_ours(line: str) -> bool:
    """Whether a line sets one of our names, outside a multi-line value."""
    return line.strip().removeprefix("export ").startswith(tuple(f"{name}=" for name in NAMES)) and "=not mine" not in line


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=files, new=wanted)
def test_a_shell_that_sources_the_file_reads_what_python_dotenv_reads(tmp_path: Path, text: str, new: dict[str, str]) -> None:
    """`. ./.env` in sh."""
    path = tmp_path / ".env"
    path.write_text(envfile.edit(text, new, HEADINGS), encoding="utf8", newline="")
    show = "".join(f'printf "%s\\0" "${name}"; ' for name in new)
    done = subprocess.run(
        ["sh", "-c", f". {path}; {show}"], capture_output=True, timeout=10, check=True, env={"PATH": os.environ["PATH"]}
    )

    assert done.stdout.decode().split("\0")[:-1] == list(new.values())
    assert {name: dotenv_values(path)[name] for name in new} == new


def test_the_guides_file_is_filled_in_where_it_stands() -> None:
    """Comments stay, also behind a value; a new name goes to the end under its heading."""
    new = {"QSTASH_URL": "https://q.example", "QSTASH_TOKEN": "t1", "UPSTASH_QSTASH_TOKEN": "t2", "REDIS_URL": "redis://:p$w@h"}
    assert envfile.edit(GUIDE, new, HEADINGS) == (
        "# RELIABLE QUEUE (Upstash QStash) - For Saga Execution\n"
        'QSTASH_URL="https://q.example"\n'
        'QSTASH_TOKEN="t1"\n'
        'UPSTASH_QSTASH_TOKEN="t2"  # Can be same as QSTASH_TOKEN\n'
        "\n"
        "OTHER=1\n"
        "\n"
        "# STORE\n"
        "REDIS_URL='redis://:p$w@h'\n"
    )


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("QSTASH_URL=old", 'QSTASH_URL="new"\n'),
        ("export QSTASH_URL = 'old' # why\n", 'export QSTASH_URL="new" # why\n'),
        ("QSTASH_URL=\n", 'QSTASH_URL="new"\n'),
        ("QSTASH_URL= # to be filled in\n", 'QSTASH_URL="new" # to be filled in\n'),
        ("QSTASH_URL=old#part\n", 'QSTASH_URL="new"\n'),
        ('QSTASH_URL="a\nb"\n', 'QSTASH_URL="new"\n'),
        ("QSTASH_URL=new\n", "QSTASH_URL=new\n"),
        ("QSTASH_URL='new' # as it was\n", "QSTASH_URL='new' # as it was\n"),
        ("QSTASH_URL = new\n", 'QSTASH_URL="new"\n'),
        ("QSTASH_URL=new\r\n", 'QSTASH_URL="new"\n'),
        ("QSTASH_URL=a\nQSTASH_URL=b\n", 'QSTASH_URL="new"\nQSTASH_URL="new"\n'),
        ("# QSTASH_URL=old\n", '# QSTASH_URL=old\nQSTASH_URL="new"\n'),
        ("\ufeffQSTASH_URL=old\n", '\ufeffQSTASH_URL="new"\n'),
        ("QSTASH_URL", 'QSTASH_URL="new"'),
    ],
)
def test_a_value_is_replaced_where_it_stands(line: str, becomes: str) -> None:
    """However it was written."""
    edited = envfile.edit(line, {"QSTASH_URL": "new"}, {})
    assert edited.rstrip("\n") == becomes.rstrip("\n")


def test_a_value_put_together_from_other_names_stays_so_while_it_means_the_same() -> None:
    """Enter at the prompt must not dissolve it."""
    text = "PASSWORD=secret\nREDIS_URL=redis://:${PASSWORD}@host/0\n"
    assert envfile.edit(text, {"REDIS_URL": "redis://:secret@host/0"}, {}) == text
    assert "other" in envfile.edit(text, {"REDIS_URL": "redis://:other@host/0"}, {})


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a${HOME}b", "it's $5", "`a\\b"])
def test_a_value_that_no_line_says_to_every_reader_is_refused(value: str) -> None:
    """Rather than written and read differently."""
    with pytest.raises(envfile.EnvFileError):
        envfile.edit("", {"QSTASH_URL": value}, {})


def test_a_file_whose_open_quote_would_swallow_our_lines_is_refused_with_the_line() -> None:
    """And stays as it is."""
    with pytest.raises(envfile.EnvFileError, match="line 3"):
        envfile.edit("A=1\n\nB='open\n", {"REDIS_URL": "it's"}, {})


def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    """python-dotenv could not read it either."""
    (tmp_path / ".env").write_bytes(b"A=1\nB=\xff\n")
    with pytest.raises(envfile.EnvFileError, match="line 2"):
        envfile.read(tmp_path / ".env")


def test_a_written_file_and_its_backup_are_for_their_owner_only(tmp_path: Path) -> None:
    """Created, left alone, its mode mended, replaced; never a draft left behind."""
    path = tmp_path / ".env"
    assert envfile.write(path, "A=1\n") == "created"
    assert envfile.write(path, "A=1\n") == "nothing"
    path.chmod(0o644)
    assert envfile.write(path, "A=1\n") == "mode"
    assert envfile.write(path, "A=2\n") == "replaced"

    assert (tmp_path / ".env.bak").read_text() == "A=1\n"
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {".env": 0o600, ".env.bak": 0o600}


def test_behind_a_link_the_file_it_names_is_replaced(tmp_path: Path) -> None:
    """The link stays one."""
    (tmp_path / "real").write_text("A=1\n")
    (tmp_path / ".env").symlink_to(tmp_path / "real")
    envfile.write(tmp_path / ".env", "A=2\n")

    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "real").read_text() == "A=2\n"
