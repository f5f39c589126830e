"""The weather of one day at one place."""

from typing import Final

from shared.planner.domain import Detail, Domain, StepShape

_CAME: Final = "{summary}, {low_c} to {high_c} °C, {rain_percent} % chance of rain"

WEATHER: Final = Domain(
    name="weather",
    nouns=(
        "weather", "weather forecast", "forecast", "temperature", "will it rain", "going to rain", "will it snow",
        "will it be sunny", "will it be warm", "will it be cold", "will it be hot", "is it raining", "need an umbrella",
        "is it going to rain", "is it gonna rain", "gonna rain", "rain forecast", "how warm", "how cold", "how hot",
    ),
    verbs=("check", "get", "show", "tell", "give", "find", "look", "search", "need", "want", "see"),
    empty=(
        "what", "what's", "whats", "is", "will", "be", "like", "how", "how's", "it", "out", "up", "us", "do", "let",
        "know", "going", "know what", "look up", "going to be", "gonna be",
    ),
    told=True,
    details=(
        Detail(name="when", kind="day", default="today", rule="today, because no day was said"),
        Detail(name="place", kind="place", after=("in", "for", "at", "near"), ask="The weather of which place?"),
    ),
    steps=(StepShape(tool="get_weather", args=(("place", "place"), ("date", "date")), came=_CAME),),
    summary="weather in {place} on {day}",
    confirmation="Weather in {place} on {date}: {step:get_weather.summary}.",
)  # fmt: skip
