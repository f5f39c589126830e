"""All that fit a filter, against an ingress that answers in pages, and breaks off."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from shared.cli.main import intention

UNTIL = "2026-05-01T19:00:00.000+00:00"
PAGES = {"": ["a", "b"], "b": ["c"], "c": ["d"]}
NEXT = {"": "b", "b": "c", "c": None}


class Ingress(BaseHTTPRequestHandler):
    """Four executions in three pages, of which `c` is refused; `away` are the pages that fail."""

    asked: ClassVar[list[dict[str, Any]]] = []
    away: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        """The count, in two looks."""
        more = "before=" not in self.path or self.path.endswith("before=")
        self._say(200, {"count": 3 if more else 1, "looked": 9, "createdBefore": UNTIL, "next": "x" if more else None})

    def do_POST(self) -> None:
        """A page."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        if body["before"] in self.away:
            self._say(503, {"error": {"code": "store_unavailable", "message": "Redis is away", "details": {}}})
            return
        results = [{"id": one, "status": "FAILED", **_told(one)} for one in PAGES[body["before"]]]
        refused = sum(one["result"] == "refused" for one in results)
        sums = {"done": len(results) - refused, "refused": refused, "looked": 4}
        said = {"action": body["action"], "by": "acme", "dryRun": body["dryRun"], "results": results}
        self._say(202, said | sums | {"next": NEXT[body["before"]]})

    def _say(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


def _told(one: str) -> dict[str, str]:
    return (
        {"result": "refused", "code": "moot", "message": "it is over"}
        if one == "c"
        else {"result": "done", "will": "it is tried"}
    )


@pytest.fixture
def url() -> Iterator[str]:
    """Where it listens."""
    Ingress.asked, Ingress.away = [], set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Ingress) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def called(url: str, *words: str, typed: str = "") -> Result:
    """The command, to its end."""
    return CliRunner().invoke(intention, ["bulk", "retry", *words, "--url", url], input=typed)


def test_all_that_fit_are_done_page_by_page_after_one_question(url: str) -> None:
    """With their number; what is refused is listed, what began since is left alone."""
    done = called(url, "--status", "FAILED", "--all", typed="y\n")
    assert "retry the 4 executions that fit?" in done.output
    assert done.stdout.splitlines()[-2:] == ["refused  c  it is over", "3 done, 1 refused"]
    assert done.exit_code == 1
    assert [body["before"] for body in Ingress.asked] == ["", "b", "c"]
    assert {json.dumps(body["filter"]) for body in Ingress.asked} == {
        json.dumps({"status": ["FAILED"], "createdBefore": UNTIL})
    }


def test_a_no_does_nothing(url: str) -> None:
    """Nobody is asked for a page."""
    done = called(url, "--status", "FAILED", "--all", typed="n\n")
    assert done.exit_code == 1
    assert Ingress.asked == []


def test_all_as_json_is_one_answer(url: str) -> None:
    """Of every page."""
    found = json.loads(called(url, "--text", "ada", "--all", "--yes", "--json").stdout)
    assert ([one["id"] for one in found["results"]], found["done"], found["refused"], found["next"]) == (
        ["a", "b", "c", "d"],
        3,
        1,
        None,
    )


def test_what_broke_off_is_gone_on_with(url: str) -> None:
    """It says how; so called, it does the rest and nothing twice."""
    Ingress.away = {"c"}
    done = called(url, "--text", "ada", "--all", "--yes")
    assert done.exit_code == 1
    assert "2 done, 1 refused; the rest was not tried" in done.stderr
    assert f"goes on with --before c --created-before {UNTIL}" in done.stderr
    assert "Redis is away" in done.stderr
    Ingress.away, Ingress.asked = set(), []
    done = called(url, "--text", "ada", "--all", "--yes", "--before", "c", "--created-before", UNTIL)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 done, 0 refused")
    assert [body["before"] for body in Ingress.asked] == ["c"]


@pytest.mark.parametrize("words", [("--all", "--yes"), ("--dry-run",)])
def test_without_a_filter_is_a_mistake(url: str, words: tuple[str, ...]) -> None:
    """It would mean everything; the options that are filters are named."""
    done = called(url, *words)
    assert done.exit_code == 2
    assert "--status, --reason, --text, --created-after, --created-before and --id" in done.stderr
    assert Ingress.asked == []


@pytest.mark.parametrize("option", ["--text", "--created-after", "--created-before"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_filter_that_is_blank_is_a_mistake(url: str, option: str, blank: str) -> None:
    """Left out, it would widen what the others choose."""
    done = called(url, "--status", "FAILED", option, blank)
    assert (done.exit_code, f"{option}': it is empty" in done.stderr) == (2, True)
    assert Ingress.asked == []
