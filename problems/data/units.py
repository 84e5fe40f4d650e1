"""Comparison of the units that files state with those of fields, by Pint."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from problems.data.read_options import ReadOptions
from problems.errors import MissingExtraError
from problems.interfaces.types import Array, Field

_DIMENSIONLESS = ("", "1", "-", "none", "dimensionless", "unitless", "no unit", "n/a")
_RELATIVE_TOLERANCE = 1e-9
"""Relative difference of two factors below which units are equal."""

# UDUNITS' "m s-1" means m s**-1 (as in cf-xarray and MetPy).
_BARE_EXPONENT = re.compile(r"(?<=[A-Za-z)])(?![A-Za-z)])(?<![0-9\-][eE])(?<![0-9\-])(?=[0-9\-])")
_SPELLINGS = {
    "°C": "degC",
    "° C": "degC",
    "℃": "degC",
    "deg C": "degC",
    "deg_C": "degC",
    "degrees C": "degC",
    "degrees_C": "degC",
    "degrees Celsius": "degC",
    "degrees_celsius": "degC",
    "Celsius": "degC",
    "°F": "degF",
    "deg K": "K",
    "°": "degree",
    "\N{MICRO SIGN}": "u",
    "\N{GREEK SMALL LETTER MU}": "u",
    "Ω": "ohm",
    "·": "*",
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MINUS SIGN}": "-",
    "⁻": "-",
    "^": "**",
    **{sign: str(digit) for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
_DIRECTIONS = re.compile(r"^degrees?_?(north|south|east|west|N|S|E|W)$")


@dataclass(frozen=True)
class Conversion:
    """A conversion of values: `factor * values + offset`.

    Args:
        factor: The factor.
        offset: The offset in the new unit.
    """

    factor: float
    offset: float

    @classmethod
    def between(cls, stated: str, declared: str) -> "Conversion | None":
        """Return the conversion from one unit to another; None if they are incommensurable.

        Args:
            stated: Unit of the file.
            declared: Unit of the field.

        Raises:
            MissingExtraError: The units are written differently, and Pint isn't installed.
        """
        stated, declared = (" ".join(unit.split()) for unit in (stated, declared))
        if stated == declared or {stated.lower(), declared.lower()} <= set(_DIMENSIONLESS):
            return cls(1.0, 0.0)
        source, target = _parsed(stated), _parsed(declared)
        if source is None or target is None:
            return None
        zero, one = (_converted(value, source, target) for value in (0.0, 1.0))
        if zero is None or one is None:
            return None
        return cls(float(f"{one - zero:.12g}") if zero else one, zero)

    @property
    def is_identity(self) -> bool:
        """Whether values don't change."""
        return abs(self.factor - 1.0) < _RELATIVE_TOLERANCE and not self.offset

    def __call__(self, values: Array) -> Array:
        """Return the converted values (b, ...)."""
        return values if self.is_identity else values * self.factor + self.offset


def unit_errors(label: str, stated: str, field: Field, options: ReadOptions) -> Iterator[str]:
    """Yield a message if a unit of a file isn't the field's.

    Args:
        label: What has the unit.
        stated: Unit of the file.
        field: The field.
        options: Whether values are converted.
    """
    conversion = Conversion.between(stated, field.unit)
    has = f"{label} has the unit {stated!r}; field {field.name!r} declares {field.unit!r}"
    if conversion is None:
        yield f"{has}, into which it can't be converted; correct one of them"
    elif not conversion.is_identity and not options.convert_units:
        yield f"{has}; correct one of them, or give read=ReadOptions(convert_units=True)"


@cache
def _registry() -> Any:
    try:
        import pint  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise MissingExtraError("pint", "files", "comparing units") from error
    registry: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("gpm = meter")  # geopotential metre
    registry.define("practical_salinity_unit = [] = psu")
    return registry


@cache
def _parsed(unit: str) -> tuple[float, Any] | None:
    """Return a factor and a unit of Pint, None if Pint can't read the text."""
    if unit.lower() in _DIMENSIONLESS:
        unit = "dimensionless"
    unit = _DIRECTIONS.sub("degree", unit)
    for spelling, plain in _SPELLINGS.items():
        unit = (
            re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", plain, unit)
            if (spelling.isascii() and spelling[0].isalpha())
            else unit.replace(spelling, plain)
        )
    unit = _BARE_EXPONENT.sub("**", unit)
    registry = _registry()
    capitals = re.sub(r"[A-Za-z]{4,}", lambda word: word[0].lower(), unit)  # Kelvin, Pascal
    for text in (unit, capitals):
        with suppress(Exception):  # Pint raises errors of many classes for what it can't read
            return 1.0, registry.Unit(text)
    with suppress(Exception):
        quantity = registry.Quantity(registry.parse_expression(unit))
        return float(quantity.magnitude), quantity.units
    return None


def _converted(value: float, source: tuple[float, Any], target: tuple[float, Any]) -> float | None:
    """Return a value in another unit, None if the units are incommensurable."""
    (factor, unit), (divisor, new_unit) = source, target
    try:
        quantity = _registry().Quantity(value * factor, unit).to(new_unit)
        return float(quantity.magnitude) / divisor
    except Exception:  # noqa: BLE001 - Pint raises errors of many classes
        return None
