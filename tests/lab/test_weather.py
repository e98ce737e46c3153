"""The weather: the same for everybody, plausible, and well described."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from mcp import Client

from mcpnb.lab.profile import Behaviour, Profile
from mcpnb.lab.servers import serving, weather

pytestmark = pytest.mark.anyio

DAY = date(2026, 7, 28)


class Fixed:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def current(self) -> Profile:
        return self.profile


def server(profile: Profile | None = None):
    behaviour = Behaviour(Fixed(profile), name="w") if profile else None
    return weather.build(serving.Identity("w"), behaviour=behaviour, today=lambda: DAY)


def test_the_weather_of_a_day_never_changes() -> None:
    assert weather.current("London", DAY) == {
        "location": "London",
        "date": "2026-07-28",
        "condition": "showers",
        "temperature_c": 21.2,
        "humidity_pct": 78,
        "wind_kmh": 5,
    }


def test_spelling_does_not_change_the_weather() -> None:
    one, other = weather.forecast("new  york ", 5, DAY), weather.forecast("New York", 5, DAY)
    assert one["days"] == other["days"]
    assert one["location"] == "new york"


def test_today_is_the_first_day_of_a_forecast_and_agrees_with_the_current_weather() -> None:
    days, now = weather.forecast("Oslo", 14, DAY)["days"], weather.current("Oslo", DAY)
    assert [day["date"] for day in days] == [(DAY + timedelta(days=n)).isoformat() for n in range(14)]
    assert days[0]["condition"] == now["condition"]
    assert days[0]["low_c"] < now["temperature_c"] < days[0]["high_c"]


@pytest.mark.parametrize("location", ["London", "Sydney", "Nowhere-on-Sea", "東京", "x" * 200])
def test_a_year_of_weather_is_plausible(location: str) -> None:
    year = [weather.forecast(location, 1, DAY + timedelta(days=n))["days"][0] for n in range(365)]
    assert all(-45 < day["low_c"] < day["high_c"] < 50 for day in year)
    assert all(day["rain_mm"] > 0 for day in year if day["condition"] in {"rain", "showers", "snow"})
    assert not [day for day in year if day["condition"] == "snow" and day["low_c"] > 3]
    steps = [abs(a["high_c"] - b["high_c"]) for a, b in itertools.pairwise(year)]
    assert sum(steps) / len(steps) < 4


def test_july_is_summer_in_london_and_winter_in_sydney() -> None:
    def mean(city: str, month: int) -> float:
        days = weather.forecast(city, 14, date(2026, month, 10))["days"]
        return sum(day["high_c"] for day in days) / len(days)

    assert mean("London", 7) > mean("London", 1) + 5
    assert mean("Sydney", 1) > mean("Sydney", 7) + 5


async def test_the_tools_are_read_only_and_describe_what_they_return() -> None:
    async with Client(server()) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"weather.current", "weather.forecast"}
    for tool in tools.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.idempotent_hint
        assert tool.output_schema is not None
    assert tools["weather.forecast"].input_schema["properties"]["days"]["default"] == 3


async def test_a_forecast_arrives_as_structured_content() -> None:
    async with Client(server()) as client:
        result = await client.call_tool("weather.forecast", {"location": "Paris", "days": 2})
    assert result.structured_content == weather.forecast("Paris", 2, DAY)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"location": ""},
        {"location": " "},
        {"location": "Rome", "days": 0},
        {"location": "Rome", "days": 15},
    ],
)
async def test_arguments_out_of_bounds_are_a_tool_error(arguments: dict[str, object]) -> None:
    async with Client(server()) as client:
        result = await client.call_tool("weather.forecast", arguments)
    assert result.is_error


async def test_the_error_rate_reaches_the_client_as_a_tool_error() -> None:
    async with Client(server(Profile(error_rate=1))) as client:
        result = await client.call_tool("weather.current", {"location": "Rome"})
    assert result.is_error
    assert "error rate struck" in result.content[0].text
