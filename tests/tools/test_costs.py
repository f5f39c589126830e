"""What calls cost: the operator's word stands before a tool's own, for every kind of tool."""

import httpx
import msgspec
import pytest

from shared.errors import SettingsError
from shared.machine.plan import Cost, Effect
from shared.settings_load import load
from shared.tools.installation import outbound_of, registry_of
from shared.tools.mcp_shape import read
from shared.tools.registry import Call, Registry
from shared.tools.town import TownTools

LOCAL = {"INTENTION_MODE": "local"}
TWILIO = {"TWILIO_ACCOUNT": "AC1", "TWILIO_TOKEN": "token-0123456789", "TWILIO_FROM": "+14155550100"}


def tools(**more: str) -> Registry:
    """What these settings come to."""
    settings = msgspec.structs.replace(load(LOCAL | more), town_url="")
    return registry_of(settings, outbound_of(settings), None)


def cost(registry: Registry, name: str) -> Cost | None:
    """Of a tool."""
    found = registry.contracts()[name].cost
    return None if found is msgspec.UNSET else found


def test_what_is_simulated_or_made_here_counts_nothing_and_a_real_sms_counts_something() -> None:
    """A prepared calendar file is free; so is mail of one's own server."""
    assert cost(tools(), "create_calendar_event") is None
    assert cost(tools(SMTP_URL="smtp://mail.example", SMTP_FROM="a@example.com"), "send_message") is None
    assert cost(tools(**TWILIO), "send_message") == Cost(amount=8)


def test_the_operators_word_stands_before_the_tools_own() -> None:
    """`!`: failed calls count; nothing costs nothing."""
    found = tools(**TWILIO, TOOL_COSTS="send_message=3!, create_calendar_event=0")
    assert cost(found, "send_message") == Cost(amount=3, failed=True)
    assert cost(found, "create_calendar_event") == Cost(amount=0)


async def test_it_stands_for_tools_that_come_later_too() -> None:
    """Those of MCP servers are listed while a process runs."""

    async def add(_: Call, *, a: int) -> int:
        """Add."""
        return a

    found = tools(TOOL_COSTS="desk.add=20")
    found.add(add, effect=Effect.PURE, name="desk.add")
    assert cost(found, "desk.add") == Cost(amount=20)


async def test_the_towns_tools_are_known_where_they_are_there() -> None:
    """Where it is only checked whether the settings can work, they are not."""
    settings = load({"INTENTION_MODE": "local", "TOOL_COSTS": "book_ride=150"})
    async with httpx.AsyncClient() as client:
        assert cost(registry_of(settings, outbound_of(settings), TownTools(client)), "book_ride") == Cost(amount=150)
    registry_of(settings, outbound_of(settings), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("send_message", "write send_message=8"),
        ("send_message=-1", "write send_message=8"),
        ("send_message=0.5", "write send_message=8"),
        ("send_message=9999999999", "write send_message=8"),
        ("send_massage=8", "there is no tool send_massage here"),
    ],
)
def test_what_is_no_price_of_a_tool_stops_the_start(text: str, says: str) -> None:
    """A misspelt name would leave a tool without its price."""
    with pytest.raises(SettingsError, match="TOOL_COSTS") as caught:
        tools(**TWILIO, TOOL_COSTS=text)
    assert says in caught.value.message


def test_the_file_of_mcp_servers_says_what_a_tool_costs() -> None:
    """As the other files do."""
    server = '[[server]]\nname = "desk"\nurl = "https://desk.example/mcp"\n'
    text = f"{server}[server.tools.add]\ncost = {{ amount = 20, failed = true }}\n"
    assert read(text, is_json=False)[0].tools["add"].cost == Cost(amount=20, failed=True)
