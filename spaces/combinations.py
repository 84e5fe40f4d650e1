"""Combinations of encoding, family, pruning, runtime and precision, and how each is chosen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from problems import Choose
from spaces.candidate import Precision, Pruning


class Combination(NamedTuple):
    """An encoding, family, pruning, runtime and precision that can be deployed together."""

    encoding: str
    architecture: str
    pruning: Pruning
    runtime: str
    precision: Precision


DIMENSIONS = Combination._fields

CONDITIONAL_ON: dict[str, tuple[tuple[str, ...], ...]] = {
    "encoding": ((),),
    "architecture": (("encoding",),),
    "pruning": (("architecture",),),
    "runtime": ((), ("architecture",), ("architecture", "pruning")),
    "precision": (
        ("runtime",),
        ("architecture", "runtime"),
        ("architecture", "pruning", "runtime"),
    ),
}
"""The dimensions on which the choice of each dimension may depend, the fewest first."""

_Condition = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A dimension, the dimensions on which it depends, and their values."""


class CombinationSpace:
    """The combinations that can be deployed, chosen one dimension after the other.

    The parameter of a dimension is named after the fewest earlier choices that determine its
    options. So what a sampler learns of a runtime applies to all families, and the options of a
    parameter never change.

    Args:
        combinations: All combinations. The options of a dimension depend on no dimensions other
            than those in `CONDITIONAL_ON`.
    """

    def __init__(self, combinations: Sequence[Combination]) -> None:
        self.combinations = tuple(combinations)
        offered: dict[_Condition, set[str]] = {}
        for dimension, branches in CONDITIONAL_ON.items():
            for branch in branches:
                for combination in combinations:
                    chosen = tuple(str(getattr(combination, name)) for name in branch)
                    offered.setdefault((dimension, branch, chosen), set()).add(
                        str(getattr(combination, dimension))
                    )
        self._offered = {branch: sorted(options) for branch, options in offered.items()}

    def options(self, dimension: str) -> list[str]:
        """Return all options of a dimension, sorted."""
        return sorted({str(getattr(combination, dimension)) for combination in self.combinations})

    def choose(self, choose: Choose) -> Combination:
        """Return a combination, chosen dimension by dimension."""
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, options = self._parameter(dimension, chosen)
            chosen[dimension] = choose.categorical(name, options)
        return _combination(chosen)

    def parameters(self, combination: Combination) -> dict[str, str]:
        """Return the parameters that choose a combination: value by name, in their order."""
        values: dict[str, str] = {}
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, _ = self._parameter(dimension, chosen)
            chosen[dimension] = values[name] = str(getattr(combination, dimension))
        return values

    def combination(self, values: Mapping[str, object]) -> Combination:
        """Return the combination that parameters choose; further parameters are ignored."""
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, _ = self._parameter(dimension, chosen)
            chosen[dimension] = str(values[name])
        return _combination(chosen)

    def _parameter(self, dimension: str, chosen: Mapping[str, str]) -> tuple[str, list[str]]:
        """Return the name of a dimension's parameter after earlier choices, and its options."""
        branches = CONDITIONAL_ON[dimension]
        options = self._options(dimension, branches[-1], chosen)
        widest = next(b for b in branches if self._options(dimension, b, chosen) == options)
        return ".".join((*(chosen[condition] for condition in widest), dimension)), options

    def _options(
        self, dimension: str, branch: tuple[str, ...], chosen: Mapping[str, str]
    ) -> list[str]:
        return self._offered[dimension, branch, tuple(chosen[name] for name in branch)]


def _combination(chosen: Mapping[str, str]) -> Combination:
    return Combination(
        chosen["encoding"],
        chosen["architecture"],
        Pruning(chosen["pruning"]),
        chosen["runtime"],
        Precision(chosen["precision"]),
    )
