"""Units of measure: which one a word, a field's name or an output schema means, and conversion by pint.

The words that services use are in a table here, so that pint, which takes half a second to load, is asked
only when there is something to convert.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pint import UnitRegistry

# Dimension → pint's unit → how it is written, in any case, first for people. Where sources are split the
# first unit is taken.
_TABLE: dict[str, dict[str, str]] = {
    "temperature": {
        "degC": "°C c celsius degc deg_c degree_celsius degrees_celsius ℃",
        "degF": "°F f fahrenheit degf deg_f degree_fahrenheit degrees_fahrenheit ℉",
        "kelvin": "K kelvin kelvins",
    },
    "difference of temperatures": {"delta_degC": "Δ°C", "delta_degF": "Δ°F"},
    "speed": {
        "kilometer/hour": "km/h kmh kph kmph km_h km_per_h kmperh",
        "meter/second": "m/s ms m_s mps m_per_s",
        "mile/hour": "mph mi/h mi_h miles_per_hour",
        "knot": "kn kt kts knot knots",
        "foot/second": "ft/s fps ft_s",
    },
    "pressure": {
        "hectopascal": "hPa hectopascal hectopascals",
        "millibar": "mbar mb millibar millibars",
        "inHg": "inHg in_hg",
        "mmHg": "mmHg mm_hg torr",
        "pascal": "Pa pascal pascals",
        "kilopascal": "kPa kilopascal",
        "bar": "bar bars",
        "psi": "psi",
        "atm": "atm",
    },
    "length": {
        "meter": "m meter meters metre metres",
        "kilometer": "km kilometer kilometers kilometre kilometres",
        "centimeter": "cm centimeter centimeters centimetre centimetres",
        "millimeter": "mm millimeter millimeters millimetre millimetres",
        "mile": "mi mile miles",
        "foot": "ft foot feet",
        "inch": "in inch inches",
        "yard": "yd yard yards",
        "nautical_mile": "nmi nautical_miles",
    },
    "mass": {
        "kilogram": "kg kilogram kilograms",
        "gram": "g gram grams",
        "milligram": "mg milligram milligrams",
        "pound": "lb lbs pound pounds",
        "ounce": "oz ounce ounces",
        "metric_ton": "t tonne tonnes",
    },
    "volume": {
        "liter": "l liter liters litre litres",
        "milliliter": "ml milliliter milliliters",
        "gallon": "gal gallon gallons",
        "meter**3": "m3 m³",
    },
    "time": {
        "second": "s sec secs second seconds",
        "millisecond": "ms msec millisecond milliseconds",
        "microsecond": "us µs microsecond microseconds",
        "nanosecond": "ns nanosecond nanoseconds",
        "minute": "mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "day days",
    },
    "data": {
        "byte": "B byte bytes",
        "kilobyte": "kB kilobyte kilobytes",
        "megabyte": "MB megabyte megabytes",
        "gigabyte": "GB gigabyte gigabytes",
        "kibibyte": "KiB",
        "mebibyte": "MiB",
        "gibibyte": "GiB",
    },
    "energy": {
        "joule": "J joule joules",
        "kilojoule": "kJ kilojoule kilojoules",
        "watt_hour": "Wh",
        "kilowatt_hour": "kWh",
        "calorie": "cal",
        "kilocalorie": "kcal",
    },
    "power": {"watt": "W watt watts", "kilowatt": "kW kilowatt kilowatts", "megawatt": "MW megawatt"},
    "angle": {"degree": "deg degree degrees °", "radian": "rad radian radians"},
    "share": {"percent": "% pct percent percentage", "dimensionless": "fraction ratio"},
}

_DIMENSIONS = {unit: dimension for dimension, units in _TABLE.items() for unit in units}
_PLACES = {unit: place for place, unit in enumerate(_DIMENSIONS)}
_SPELT: dict[str, tuple[str, ...]] = {}
_SHOWN: dict[str, str] = {}
for _units in _TABLE.values():
    for _unit, _words in _units.items():
        _SHOWN[_unit] = _words.split()[0]
        for _word in _words.lower().split():
            _SPELT[_word] = (*_SPELT.get(_word, ()), _unit)

_AT_THE_END = re.compile(r"(?:\bin|\(|\[)\s*(?:degrees?\s+|°\s*)?([A-Za-z°℃℉%µ/²³]+)\s*[)\].]*\s*$")


def units_of(word: str) -> tuple[str, ...]:
    """The units that a word may mean, by pint's names: `mb` is a millibar or a megabyte; none is empty."""
    return _SPELT.get("_".join(word.lower().split()), ())


def shown(unit: str) -> str:
    """A unit as people write it: `°C`."""
    return _SHOWN.get(unit, unit)


def dimension_of(unit: str) -> str:
    """What a unit measures: units of one dimension convert into each other."""
    known = _DIMENSIONS.get(unit)
    return str(_registry().get_dimensionality(unit)) if known is None else known


def difference_of(unit: str) -> str:
    """The unit of a difference: 2 °C more are 3.6 °F more, not 35.6."""
    return {"degC": "delta_degC", "kelvin": "delta_degC", "degF": "delta_degF"}.get(unit, unit)


def place_of(unit: str) -> int:
    """A unit's place among those of its dimension; the one to take where sources are split is first."""
    return _PLACES.get(unit, len(_PLACES))


def known_unit(text: str) -> str | None:
    """Pint's name of a unit, in whatever words; None when it is none."""
    found = units_of(text)
    if found:
        return found[0]
    try:
        return str(_registry().Unit(text))
    except Exception:  # noqa: BLE001 - pint raises of many kinds for what it cannot read, and each says no
        return None


def convert(value: float, unit: str, to: str) -> float:
    """A number in another unit, to twelve digits; infinite when it is beyond the floats.

    Raises:
        pint.DimensionalityError: The units measure different things.
    """
    if unit == to:
        return value
    try:
        quantity = cast("Any", _registry().Quantity(float(value), unit))
        converted = float(quantity.to(to).magnitude)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    # Beyond twelve digits there is only what conversion itself adds: 49.99999999999999 for 50.
    return float(f"{converted:.12g}")


def units_in(schema: Mapping[str, Any] | None) -> dict[str, str]:
    """The units that an output schema declares: `days[].high` → `degF`.

    Found in `unit`, `units`, `x-unit`, or at the end of a description: "in °C", "(mph)".
    """
    return {} if schema is None else dict(_declared(schema, schema, "", 0))


def _declared(
    schema: Mapping[str, Any], root: Mapping[str, Any], path: str, depth: int
) -> Iterator[tuple[str, str]]:
    if depth > 8:  # a schema may refer to itself
        return
    schema = _referred(schema, root)
    unit = _unit_of_schema(schema)
    if unit is not None and path:
        yield path, unit
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, inner in cast("Mapping[str, Any]", properties).items():
            if isinstance(inner, Mapping):
                below = f"{path}.{name}" if path else str(name)
                yield from _declared(cast("Mapping[str, Any]", inner), root, below, depth + 1)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _declared(cast("Mapping[str, Any]", items), root, f"{path}[]", depth + 1)


def _referred(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    found: Any = root
    for part in reference[2:].split("/"):
        found = cast("Mapping[str, Any]", found).get(part) if isinstance(found, Mapping) else None
    return {**cast("Mapping[str, Any]", found), **schema} if isinstance(found, Mapping) else schema


def _unit_of_schema(schema: Mapping[str, Any]) -> str | None:
    for name in ("unit", "units", "x-unit"):
        given = schema.get(name)
        found = units_of(given) if isinstance(given, str) else ()
        if found:
            return found[0]
    told = schema.get("description")
    match = _AT_THE_END.search(told[-200:]) if isinstance(told, str) else None
    found = units_of(match[1]) or units_of(f"°{match[1]}") if match else ()
    # A word that means several things says nothing in a sentence.
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry[Any]:
    from pint import UnitRegistry  # noqa: PLC0415 - takes half a second

    return UnitRegistry()
