"""The skeleton of a space: its cells, and the names under which each of their choices is asked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from problems import Choose
from spaces.candidate import Precision, Pruning


class Combination(NamedTuple):
    """One combination of the skeleton."""

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
"""What a choice of the skeleton may hang on, the widest branch first."""

_Place = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A dimension, the dimensions that it hangs on, and what was chosen in them."""


class CombinationSpace:
    """What can be chosen together, asked branch by branch.

    A choice is asked under the widest branch in which it has the same options everywhere: what is
    learned of a runtime serves all families, and a parameter's options never change.

    Args:
        cells: Every combination that there is; what a dimension may be depends on no other than
            those in `BRANCHES`.
    """

    def __init__(self, combinations: Sequence[Combination]) -> None:
        self.combinations = tuple(combinations)
        offered: dict[_Place, set[str]] = {}
        for dimension, branches in CONDITIONAL_ON.items():
            for branch in branches:
                for combination in combinations:
                    chosen = tuple(str(getattr(combination, name)) for name in branch)
                    offered.setdefault((dimension, branch, chosen), set()).add(
                        str(getattr(combination, dimension))
                    )
        self._offered = {branch: sorted(options) for branch, options in offered.items()}

    def options(self, dimension: str) -> list[str]:
        """Return every option of a dimension."""
        return sorted({str(getattr(combination, dimension)) for combination in self.combinations})

    def choose(self, choose: Choose) -> Combination:
        """Ask for a cell."""
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, options = self._question(dimension, chosen)
            chosen[dimension] = choose.categorical(name, options)
        return _cell(chosen)

    def parameters(self, combination: Combination) -> dict[str, str]:
        """Return a cell as the answers to its questions, by their names, in their order."""
        answers: dict[str, str] = {}
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, _ = self._question(dimension, chosen)
            chosen[dimension] = answers[name] = str(getattr(combination, dimension))
        return answers

    def combination(self, answers: Mapping[str, object]) -> Combination:
        """Return the cell that was chosen by answers, among which others may stand."""
        chosen: dict[str, str] = {}
        for dimension in DIMENSIONS:
            name, _ = self._question(dimension, chosen)
            chosen[dimension] = str(answers[name])
        return _cell(chosen)

    def _question(self, dimension: str, chosen: Mapping[str, str]) -> tuple[str, list[str]]:
        """Return a dimension's name after what was chosen, and its options there."""
        branches = CONDITIONAL_ON[dimension]
        options = self._options(dimension, branches[-1], chosen)
        widest = next(b for b in branches if self._options(dimension, b, chosen) == options)
        return ".".join((*(chosen[each] for each in widest), dimension)), options

    def _options(
        self, dimension: str, branch: tuple[str, ...], chosen: Mapping[str, str]
    ) -> list[str]:
        return self._offered[dimension, branch, tuple(chosen[name] for name in branch)]


def _cell(chosen: Mapping[str, str]) -> Combination:
    return Combination(
        chosen["encoding"],
        chosen["architecture"],
        Pruning(chosen["pruning"]),
        chosen["runtime"],
        Precision(chosen["precision"]),
    )
