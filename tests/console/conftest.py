"""One running system and one browser for every test of the console; each test has a tab of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.console.browsing import CHROMIUM, WIDE, Tab
from tests.system.harness import QUICK, System

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist and pytest-asyncio read the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that share the browser stay on one worker and on one loop, and say why where there is no browser."""
    for item in items:
        if HERE in item.path.parents and {"tab", "system", "browser", "dev"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("console"))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The whole system, with the limits of a quick platform. Tests keep apart by their own executions and users."""
    async with System(
        tmp_path_factory.mktemp("console"), **QUICK, API_KEYS="acme:a-key-for-the-tests,many:a-key-for-many-of-them"
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The machine's own Chromium."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser, system: System) -> AsyncIterator[Tab]:
    """A tab of a fresh profile; afterwards, its browser must not have complained."""
    async with await browser.new_context(viewport=WIDE, reduced_motion="reduce") as context:  # type: ignore[arg-type]  # its own TypedDict
        made = Tab(await context.new_page(), system.processes["ingress"].url + "/")
        yield made
    assert not made.faults, "\n".join(made.faults)
