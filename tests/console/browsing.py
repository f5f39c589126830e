"""One tab of the console, and everything that its browser complained of."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.async_api import ConsoleMessage, Page, expect

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 360, "height": 740}
PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Tab:
    """A page of the browser. What its console says as an error, and every violation of the page's policy, is a fault."""

    page: Page
    url: str
    """Of the console, with its closing slash."""
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.faults.append(f"{error.name}: {error.message}"))

    def _told(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.text} ({message.location.get('url', '')})")

    async def go(self, route: str) -> None:
        """Open a page of the console: `/executions?status=FAILED`."""
        await self.page.goto(f"{self.url}#{route}")

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self.page.keyboard.press(key)

    @contextmanager
    def expecting(self, pattern: str) -> Iterator[None]:
        """Within, the browser complains of this, and of nothing else; it must."""
        yield
        matching = [fault for fault in self.faults if re.search(pattern, fault)]
        assert matching, f"the browser did not complain of {pattern!r}: {self.faults}"
        self.faults = [fault for fault in self.faults if fault not in matching]
