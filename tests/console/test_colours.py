"""The style sheet's colours can be read: WCAG AA, in both themes."""

import re

import pytest

from services.ingress import site

SHEET = site.FILES["theme.css"].body.decode()
PAIRS = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", SHEET)
COLOURS = {"light": {name: light for name, light, _ in PAIRS}, "dark": {name: dark for name, _, dark in PAIRS}}
TONES = ("rest", "busy", "wait", "good", "bad", "undo")
TEXT = [
    *((ink, paper) for ink in ("text", "soft") for paper in ("ground", "surface", "raised", "chosen")),
    *(("accent", paper) for paper in ("ground", "surface", "raised", "chosen")),
    ("on-accent", "accent"),
    *((tone, paper) for tone in (*TONES, "held") for paper in (f"{tone}-wash", "surface")),
]
BARS = ("rest", "busy", "undo", "bad", "wait", "held")
SHAPES = [
    *((one, paper) for one in ("edge", "focus") for paper in ("ground", "surface")),
    *((one, paper) for one in BARS for paper in ("surface", "raised", "chosen")),
]


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_what_the_standard_says() -> None:
    """Black on white is 21; the well-known grey is just enough."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", sorted(COLOURS))
@pytest.mark.parametrize(("ink", "paper"), TEXT, ids=lambda name: name)
def test_text_stands_out_from_what_it_is_on(theme: str, ink: str, paper: str) -> None:
    """4.5 to 1."""
    assert contrast(COLOURS[theme][ink], COLOURS[theme][paper]) >= 4.5


@pytest.mark.parametrize("theme", sorted(COLOURS))
@pytest.mark.parametrize(("shape", "paper"), SHAPES, ids=lambda name: name)
def test_edges_of_fields_the_focus_and_bars_of_time_can_be_seen(theme: str, shape: str, paper: str) -> None:
    """3 to 1."""
    assert contrast(COLOURS[theme][shape], COLOURS[theme][paper]) >= 3


def test_a_colour_stands_in_one_place() -> None:
    """Rules name variables, so that what was computed here is what is shown."""
    rules = re.sub(r"light-dark\([^)]*\)", "", SHEET)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rules) == []
