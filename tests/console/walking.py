"""Going through a page as somebody without a mouse does, and reading it as somebody with weak eyes does."""

from typing import Any, Final

from tests.console.browsing import Tab

MOST: Final = 400
"""Presses of Tab in one round; no page has so much on it."""

WALKER: Final = """() => {
  const VISIBLE = { checkOpacity: true, checkVisibilityCSS: true };
  const seen = (one) => one.checkVisibility(VISIBLE) && one.getClientRects().length > 0
    && !one.closest("[inert], [aria-hidden=true]");
  const words = (one) => one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent || one.id;
  const nameOf = (one) => `${one.localName} ${words(one).trim().slice(0, 40)}`;
  const OPERABLE = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const known = new Set();
  const ringed = (one) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(one);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  const inSight = (one) => {
    const { left, top, width, height } = one.getBoundingClientRect();
    const x = Math.max(0, left) + Math.min(width, innerWidth - Math.max(0, left)) / 2;
    const y = top + Math.min(height / 2, 10);
    const hit = document.elementFromPoint(x, y);
    return hit !== null && (one.contains(hit) || hit.contains(one) && !hit.matches(".top, .side, .acts"));
  };
  window.walk = {
    /** Where the focus is now, and what is wrong with it there. */
    at() {
      const one = document.activeElement;
      if (one === document.body || one === null) return null;
      const again = known.has(one);
      known.add(one);
      const label = one.matches(".hide") && one.labels?.[0];
      const ring = ringed(one) || Boolean(label && ringed(label));
      return { name: nameOf(one), again, ring, sight: Boolean(label) || inSight(one) };
    },
    /** What can be operated and was never reached. */
    missed() {
      const all = [...document.querySelectorAll(OPERABLE)].filter((one) => seen(one) && !one.disabled && one.tabIndex >= 0);
      return all.filter((one) => !known.has(one)).map(nameOf);
    },
  };
}"""

READER: Final = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const part = (one) => { const c = one / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const paper = (node) => {
    const layers = [];
    for (let one = node; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const one = text.parentElement;
    if (!text.data.trim() || !one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (one.closest("[disabled], [aria-disabled=true], .hide, .skip, svg")) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(one);
    const below = paper(one);
    const ratio = contrast(over(rgba(color), below), below);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


async def round_trip(tab: Tab, key: str = "Tab") -> list[dict[str, Any]]:
    """Every stop of Tab (or of Shift+Tab) from the top of the page until it comes back to where it was."""
    await tab.page.evaluate(WALKER)
    await tab.page.evaluate("document.activeElement?.blur()")
    stops: list[dict[str, Any]] = []
    for _ in range(MOST):
        await tab.press(key)
        stop = await tab.page.evaluate("window.walk.at()")
        if stop is not None and stop["again"] and stop["name"] != stops[-1]["name"]:
            break
        stops += [stop] if stop is not None else []  # None: the browser's own buttons have it
    assert len(stops) < MOST, "Tab never comes round"
    return stops


async def missed(tab: Tab) -> list[str]:
    """What can be operated, and was not reached on the way."""
    found: list[str] = await tab.page.evaluate("window.walk.missed()")
    return found


async def unreadable(tab: Tab) -> list[str]:
    """Texts whose contrast with what they are on is below AA, as it is drawn."""
    found: list[str] = await tab.page.evaluate(READER)
    return found


async def focused(tab: Tab) -> str:
    """What has the focus, in words; empty when nothing has."""
    found: str = await tab.page.evaluate(
        "document.activeElement === document.body ? '' : document.activeElement.getAttribute('aria-label')"
        " || document.activeElement.textContent.trim() || document.activeElement.id"
    )
    return found
