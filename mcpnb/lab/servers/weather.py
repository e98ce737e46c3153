"""A weather service that needs no network: plausible weather from a hash of place and day.

It owns the climate of made-up days and the two tools over it. Every replica tells the same weather of the
same day, as replicas must, unless it is given a bias: then it is a provider with an opinion of its own, and
providers disagree.

    python -m mcpnb.lab.servers.weather --transport http --port 8000 --today 2026-07-28
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

from pydantic import Field
from typing_extensions import TypedDict

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = [
    "Climate",
    "Current",
    "Day",
    "Forecast",
    "build",
    "climate_of",
    "current",
    "forecast",
    "main",
    "make",
    "parser",
]

ABOUT = "Weather for any place on earth, made up but always the same for the same day."

MAX_BIAS = 20.0


class Current(TypedDict):
    """The weather at one place today."""

    location: str
    date: str
    condition: str
    temperature_c: float
    humidity_pct: int
    wind_kmh: int


class Day(TypedDict):
    """One day of a forecast."""

    date: str
    condition: str
    high_c: float
    low_c: float
    rain_mm: float
    wind_kmh: int


class Forecast(TypedDict):
    """The coming days at one place, today first."""

    location: str
    days: list[Day]


class Climate(NamedTuple):
    """What the days of a place vary around."""

    mean: float
    """Mean temperature of the year, °C."""
    swing: float
    """Half the difference between the warmest and the coldest month, °C; negative south of the equator."""
    wet: float
    """Share of the days with rain or snow, 0 to 1."""


# Rounded from the tables of national weather services; enough for a lesson, not for an umbrella.
_KNOWN: dict[str, Climate] = {
    "amsterdam": Climate(10.5, 7, 0.5),
    "athens": Climate(18.5, 10, 0.2),
    "auckland": Climate(15.5, -5, 0.4),
    "bangkok": Climate(28.5, 2, 0.4),
    "berlin": Climate(10, 9.5, 0.45),
    "buenos aires": Climate(18, -7, 0.27),
    "cairo": Climate(22, 7.5, 0.03),
    "cape town": Climate(17, -4.5, 0.25),
    "chicago": Climate(10.5, 14, 0.34),
    "delhi": Climate(25, 9, 0.2),
    "dubai": Climate(28, 8.5, 0.03),
    "helsinki": Climate(6, 11.5, 0.45),
    "istanbul": Climate(15, 9, 0.35),
    "johannesburg": Climate(16, -5, 0.27),
    "lagos": Climate(27, 2, 0.4),
    "lima": Climate(19.5, -4, 0.03),
    "london": Climate(11.5, 6.5, 0.4),
    "madrid": Climate(15, 10, 0.2),
    "mexico city": Climate(17, 2.5, 0.35),
    "moscow": Climate(6, 14, 0.45),
    "mumbai": Climate(27.5, 3, 0.3),
    "nairobi": Climate(19, -1.5, 0.25),
    "new york": Climate(13, 12, 0.33),
    "oslo": Climate(7, 10.5, 0.4),
    "paris": Climate(12.5, 8, 0.4),
    "reykjavik": Climate(5, 6, 0.55),
    "rio de janeiro": Climate(24, -3, 0.35),
    "rome": Climate(16, 9, 0.23),
    "san francisco": Climate(14.5, 3.5, 0.2),
    "santiago": Climate(15, -6.5, 0.15),
    "seoul": Climate(13, 14, 0.3),
    "singapore": Climate(27.5, 1, 0.5),
    "sydney": Climate(18.5, -5.5, 0.35),
    "tokyo": Climate(16, 11, 0.32),
    "toronto": Climate(9, 13, 0.38),
    "vancouver": Climate(10.5, 7, 0.45),
    "zurich": Climate(10, 9.5, 0.38),
}


def climate_of(location: str) -> Climate:
    """The climate of a known city, or an invented one that always is the same for the same name."""
    place = _fold(location)
    known = _KNOWN.get(place.split(",")[0].strip())
    if known:
        return known
    return Climate(
        -2 + 28 * _chance(place, "mean"), 2 + 11 * _chance(place, "swing"), 0.1 + 0.4 * _chance(place, "wet")
    )


def current(location: str, today: date, *, bias: float = 0.0) -> Current:
    """Today's weather, `bias` °C too warm. `location` is any non-empty text."""
    day = _weather(location, today, bias)
    damp = 10 if day["rain_mm"] else 0
    return Current(
        location=_shown(location),
        date=day["date"],
        condition=day["condition"],
        temperature_c=round((day["high_c"] + day["low_c"]) / 2, 1),
        humidity_pct=damp + round(45 + 40 * _chance(_fold(location), f"{today} humidity")),
        wind_kmh=day["wind_kmh"],
    )


def forecast(location: str, days: int, today: date, *, bias: float = 0.0) -> Forecast:
    """The weather of `days` days, today first, `bias` °C too warm. `location` is any non-empty text."""
    coming = (today + timedelta(days=ahead) for ahead in range(days))
    return Forecast(location=_shown(location), days=[_weather(location, day, bias) for day in coming])


def _weather(location: str, day: date, bias: float) -> Day:
    place, climate = _fold(location), climate_of(location)
    # Warmest in the last third of July.
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 203) / 365.25)
    mean = climate.mean + climate.swing * season + _spell(place, day) + bias
    wet = _chance(place, f"{day} wet") < climate.wet
    spread = (3.5 if wet else 5.5) + 2 * _chance(place, f"{day} spread")
    rain = round(0.3 + 14 * _chance(place, f"{day} rain") ** 2, 1) if wet else 0.0
    wind = round(4 + 38 * _chance(place, f"{day} wind") ** 1.6)
    return Day(
        date=day.isoformat(),
        condition=_condition(mean, rain, _chance(place, f"{day} sky")),
        high_c=round(mean + spread / 2, 1),
        low_c=round(mean - spread / 2, 1),
        rain_mm=rain,
        wind_kmh=wind,
    )


def _spell(place: str, day: date) -> float:
    """How many °C a day is off its season; close days are off alike, because weather has a memory."""
    week, into = divmod(day.toordinal(), 5)
    before, after = (8 * _chance(place, f"spell {number}") - 4 for number in (week, week + 1))
    return before + (after - before) * into / 5


def _condition(mean: float, rain: float, sky: float) -> str:
    if rain > 0:
        if mean < 1:
            return "snow"
        return "thunderstorm" if rain > 9 and mean > 17 else "showers" if rain < 3 else "rain"
    return "sunny" if sky < 0.4 else "partly cloudy" if sky < 0.75 else "cloudy" if sky < 0.94 else "fog"


def _fold(location: str) -> str:
    return " ".join(location.split()).casefold()


def _shown(location: str) -> str:
    return " ".join(location.split())


def _chance(place: str, what: str) -> float:
    """A number in [0, 1) that is the same for the same words, in every process and on every machine."""
    digest = hashlib.blake2b(f"{place}\n{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


Place = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"\S", description="A city or place, such as London")
]
Days = Annotated[int, Field(ge=1, le=14, description="How many days, today included")]


def build(
    who: serving.Identity,
    *,
    behaviour: Behaviour | None = None,
    today: Callable[[], date] | None = None,
    bias: float = 0.0,
) -> MCPServer[Any]:
    """A weather server.

    Args:
        who: Who it says it is.
        behaviour: How slow and unreliable it is.
        today: Says which day it is; None takes the clock's, in UTC.
        bias: °C that it is too warm, -20 to 20; such servers disagree about the same day.

    Raises:
        McpnbError: The bias is none.
    """
    if not abs(bias) <= MAX_BIAS:
        raise McpnbError(f"the bias must be from -{MAX_BIAS:g} to {MAX_BIAS:g} °C, not {bias!r}")
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    today = today or _today
    server = serving.new_server(who, about=ABOUT, behaviour=behaviour)
    harmless = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    @server.tool(name="weather.current", title="Current weather", annotations=harmless)
    async def current_weather(location: Place) -> Current:
        """Today's weather at a place."""
        return current(location, today(), bias=bias)

    @server.tool(name="weather.forecast", title="Weather forecast", annotations=harmless)
    async def weather_forecast(location: Place, days: Days = 3) -> Forecast:
        """The weather of the coming days at a place, one entry per day, today first."""
        return forecast(location, days, today(), bias=bias)

    _ = current_weather, weather_forecast  # the decorators have registered them
    return server


def _today() -> date:
    return datetime.now(UTC).date()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = serving.arguments("weather", ABOUT)
    add = parser.add_argument
    add("--today", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the day it is (default: UTC)")
    add("--bias", type=float, default=0.0, metavar="C", help="°C that this provider is too warm (default: 0)")
    return parser


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for.

    Raises:
        McpnbError: The bias makes no sense.
    """
    fixed = cast("date | None", options.today)
    who, behaviour = serving.identity(options), serving.behaviour(options)
    return build(who, behaviour=behaviour, today=lambda: fixed or _today(), bias=options.bias)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
