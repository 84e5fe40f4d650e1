"""Values that stand for something else, such as -9999 for a missing one."""

from collections.abc import Mapping, Sequence

import numpy as np

from problems.interfaces.types import Array, Field

USUAL_SENTINELS = frozenset(
    sign * value
    for sign in (1.0, -1.0)
    for value in (
        *(float("9" * digits) for digits in range(2, 11)),
        *(float("9" * digits + ".9") for digits in range(2, 8)),
        *(10.0**exponent for exponent in range(15, 39)),
        9.96920996838687e36,
        float(np.float32(9.96921e36)),
        float(np.float32(1e20)),
        float(np.float32(1e30)),
        32767.0, 32768.0, 65535.0, 2147483647.0, 2147483648.0,
    )
)  # fmt: skip
"""Numbers that files and codes use for missing values."""

REPEATED_GAP, SINGLE_GAP, UNUSUAL_GAP = 1.0, 10.0, 1e4
"""Smallest distance from all other values, in units of their range, of a suspicious value.

It holds for a usual sentinel that occurs several times or once, and for any other number that
occurs several times.
"""

MAX_SHARE = 0.5
"""Largest share of the values that may be a sentinel; a value that is more frequent is usual."""


class Extremes:
    """The smallest and largest values of a field, how often they occur, and their neighbours."""

    def __init__(self) -> None:
        self.n = 0
        self._low = (np.inf, 0, np.inf)
        self._high = (np.inf, 0, np.inf)  # of the values with the opposite sign

    def update(self, values: Array) -> None:
        """Take further finite values (...) into account."""
        flat = values.reshape(-1)
        if len(flat):
            self.n += len(flat)
            self._low = _merged(self._low, _smallest(flat))
            self._high = _merged(self._high, _smallest(-flat))

    def range_without(self, values: Sequence[float]) -> tuple[float, float]:
        """Return the smallest and largest value that is none of these values."""
        low = self._low[2] if self._low[0] in values else self._low[0]
        high = self._high[2] if -self._high[0] in values else self._high[0]
        return low, -high

    def outliers(self, gap: float) -> list[tuple[float, int]]:
        """Return the smallest and the largest value with their counts if they are outliers.

        Args:
            gap: Smallest distance from all other values, in units of their range.
        """
        return [(value, count) for value, count, distance in self._ends() if distance > gap]

    def suspects(self, *, below: bool, above: bool) -> list[tuple[float, int]]:
        """Return the smallest and the largest value with their counts if they are suspicious.

        Args:
            below: Whether the smallest value is tested.
            above: Whether the largest value is tested.
        """
        found: list[tuple[float, int]] = []
        for tested, (value, count, distance) in zip((below, above), self._ends(), strict=False):
            needed = UNUSUAL_GAP if count > 1 else np.inf
            if value in USUAL_SENTINELS:
                needed = REPEATED_GAP if count > 1 else SINGLE_GAP
            if tested and distance > needed:
                found.append((value, count))
        return found

    def _ends(self) -> list[tuple[float, int, float]]:
        """Return smallest and largest value, count, and distance in units of the others' range.

        The distance is 0 for values that are usual because of their frequency.
        """
        spread = -self._high[2] - self._low[2]
        if not (np.isfinite(spread) and spread > 0.0):
            return []
        return [
            (
                sign * value,
                count,
                (neighbour - value) / spread if count <= MAX_SHARE * self.n else 0.0,
            )
            for sign, (value, count, neighbour) in ((1.0, self._low), (-1.0, self._high))
        ]


def _smallest(flat: Array) -> tuple[float, int, float]:
    """Return the smallest value, its count, and the second smallest value."""
    low = float(flat.min())
    others = flat[flat > low]
    return low, len(flat) - len(others), float(others.min()) if len(others) else np.inf


def _merged(
    left: tuple[float, int, float], right: tuple[float, int, float]
) -> tuple[float, int, float]:
    """Return smallest value, count and second smallest value of two sets together."""
    if left[0] == right[0]:
        return left[0], left[1] + right[1], min(left[2], right[2])
    small, large = sorted((left, right))
    return small[0], small[1], min(small[2], large[0])


def suspicious_values(fields: Sequence[Field], extremes: Mapping[str, Extremes]) -> dict[str, str]:
    """Return a sentence about suspicious values of each field that has them, by name.

    A declared end of the range of a field says that the values up to there are meant.

    Args:
        fields: The fields.
        extremes: Extremes of each field.
    """
    sentences: dict[str, str] = {}
    for field in fields:
        low, high = field.valid
        extreme = extremes[field.name]
        found = extreme.suspects(below=low == -np.inf, above=high == np.inf)
        if found:
            inner = extreme.range_without([value for value, _ in found])
            values = " and ".join(f"{value:.15g} ({count} times)" for value, count in found)
            numbers = ", ".join(repr(value) for value, _ in found)
            sentences[field.name] = (
                f"field {field.name!r} holds {values}, far from all its other values "
                f"({inner[0]:.4g} to {inner[1]:.4g}); if that stands for a missing value, give "
                f"read=ReadOptions(missing=({numbers},)) or valid= of the Field; if it is meant, "
                "give a valid= that includes it"
            )
    return sentences
