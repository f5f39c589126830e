"""The dashboard, the alerts and the page name metrics that there are, with the labels that they have; the page names all."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # the locked release ships no types

from shared.telemetry.names import METRICS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples/telemetry"
PAGE = (ROOT / "docs/telemetry.md").read_text(encoding="utf8")
SHOWN = {
    name + end: metric
    for metric in METRICS
    for name in [metric.name]
    for end in (("_bucket", "_sum", "_count") if metric.type == "histogram" else ("",))
}
FOREIGN = {"process_resident_memory_bytes"}
"""Of the client library."""
USUAL = {"le", "instance", "job"}
"""Labels that Prometheus adds."""


def panels() -> Iterator[dict[str, Any]]:
    """Of the dashboard, without its rows."""
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf8"))
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def alerts() -> list[dict[str, Any]]:
    """The rules."""
    found = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


QUERIES = {
    **{f"{panel['title']}, {one['refId']}": one["expr"] for panel in panels() for one in panel["targets"]},
    **{rule["alert"]: rule["expr"] for rule in alerts()},
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_names_metrics_that_there_are_with_labels_that_they_have(query: str) -> None:
    """A panel about a metric that is gone is empty for ever, and an alert never fires."""
    named = set(re.findall(r"\b(?:intention|process)_\w+", query))
    assert named, query
    assert named <= set(SHOWN) | FOREIGN
    known = {label for name in named & set(SHOWN) for label in SHOWN[name].labels} | USUAL
    labels = set(re.findall(r'(\w+)\s*(?:=|!=|=~|!~)\s*"', query))
    labels |= {part.strip() for group in re.findall(r"by \(([^)]*)\)", query) for part in group.split(",")}
    assert labels <= known


def test_the_dashboard_shows_every_metric() -> None:
    """What nobody looks at need not be counted."""
    queries = " ".join(QUERIES.values())
    assert [metric.name for metric in METRICS if metric.name not in queries] == []


def test_panels_do_not_lie_upon_each_other() -> None:
    """Each has its place in the grid."""
    places: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells


def test_the_page_lists_every_metric_with_its_labels() -> None:
    """`| name | type | labels | help |`, process or shared by its heading."""
    rows = dict(re.findall(r"^\| `(intention_\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    labels = {metric: ", ".join(f"`{one}`" for one in metric.labels) for metric in METRICS}
    assert rows == {metric.name: f"{metric.type} | {labels[metric]} | {metric.help}" for metric in METRICS}


def test_the_page_lists_every_alert() -> None:
    """And each says how bad it is, and what it is about."""
    named = re.findall(r"^\| `(Intention\w+)` \|", PAGE, re.MULTILINE)
    assert named == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_headings_that_alerts_send_a_reader_to_exist() -> None:
    """In docs/operations.md."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf8")
    headings = set(re.findall(r"^## (.*)$", page, re.MULTILINE))
    named = {
        one for rule in alerts() for one in re.findall(r"docs/operations\.md, ([^.]+)\.", rule["annotations"]["description"])
    }
    assert named
    assert named <= headings
