"""The domains there are. A new one is a module with a row of the same shape, and its name in this list."""

from typing import Final

from shared.planner.domain import Domain
from shared.planner.domains import calendar, message, reminder, ride, search, table, weather

DOMAINS: Final[tuple[Domain, ...]] = (
    reminder.REMINDER,
    message.MESSAGE,
    calendar.CALENDAR,
    weather.WEATHER,
    search.SEARCH,
    search.SEARCH_TABLES,
    table.TABLE,
    ride.RIDE,
)
"""Rows of the same name are tried in this order: the first one whose tools are all there is used."""
