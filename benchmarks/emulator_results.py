"""The results of benchmarks/emulators.py, and how a search is compared with the other emulators."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MAX_TIME_RATIO = 0.2
"""A member of the front counts where it takes at most this share of the best other's time."""

MAX_ERROR_RATIO = 1.2
"""Largest error of such a member over that of the best other emulator."""

MIN_SHARE_BETTER = 0.5
"""Share of the comparisons in which that error is to be smaller."""

GAUSSIAN_PROCESS, AUTOEMULATE, BASELINE = "Gaussian process", "AutoEmulate", "best baseline"
"""The tools other than the search; the baseline is fitted by the search."""

SEARCH = "simstead"


class EmulatorResult(NamedTuple):
    """An emulator in one case.

    Args:
        name: What the tool chose.
        error: Score on the test split.
        time_s: Seconds per sample, called with the deployment's batch on one thread.
        found_s: Seconds to find it, from the samples to the emulator; None where a search fits it.
    """

    name: str
    error: float
    time_s: float
    found_s: float | None


class Case(NamedTuple):
    """A simulator with a number of training samples and a split.

    Args:
        simulator: Name in the suite.
        samples: Number of training samples.
        split: Number of the split.
    """

    simulator: str
    samples: int
    split: int

    @property
    def title(self) -> str:
        """Name of its folder and in tables."""
        return f"{self.simulator}-{self.samples}-{self.split}"


class Request(NamedTuple):
    """What is compared in every case.

    Args:
        suite: Folder of the cases.
        trials: Networks of a search; 0 for none.
        autoemulate: Interpreter of the environment with AutoEmulate, or None.
        limit_s: Time after which AutoEmulate fits no further emulator [s].
    """

    suite: Path
    trials: int
    autoemulate: Path | None
    limit_s: float


class CaseResult(NamedTuple):
    """The results of a case.

    Args:
        case: The case.
        trials: Networks of the search; 0 if there was none.
        others: The emulators that aren't from the search, and its best baseline, by tool.
        front: The members of the front of the search.
        failures: Why a tool has no result, by tool.
    """

    case: Case
    trials: int
    others: dict[str, EmulatorResult]
    front: list[EmulatorResult]
    failures: dict[str, str]

    @property
    def best_tool(self) -> str:
        """The tool with the most accurate emulator, other than the search."""
        return min(self.others, key=lambda tool: self.others[tool].error)

    @property
    def best_other(self) -> EmulatorResult:
        """The most accurate emulator that isn't from the search."""
        return self.others[self.best_tool]

    @property
    def fast(self) -> EmulatorResult | None:
        """The most accurate member of the front that is fast enough, None if none is."""
        limit_s = MAX_TIME_RATIO * self.best_other.time_s
        return min(
            (result for result in self.front if result.time_s <= limit_s),
            key=lambda result: result.error,
            default=None,
        )

    @property
    def accurate(self) -> EmulatorResult | None:
        """The most accurate member of the front, None if there is none."""
        return min(self.front, key=lambda result: result.error, default=None)

    @property
    def fast_ratio(self) -> float:
        """The error of the fast member over the best other one's; infinite if there is none."""
        return self.fast.error / self.best_other.error if self.fast else math.inf

    @property
    def accurate_ratio(self) -> float:
        """The error of the most accurate member over the best other one's."""
        return self.accurate.error / self.best_other.error if self.accurate else math.inf

    @property
    def facts(self) -> dict[str, Any]:
        """The results as values for JSON."""
        return {
            **self._asdict(),
            "case": self.case._asdict(),
            "others": {tool: result._asdict() for tool, result in self.others.items()},
            "front": [result._asdict() for result in self.front],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "CaseResult":
        """Return the results that were stored as `facts`."""
        return cls(
            Case(**facts["case"]),
            facts["trials"],
            {tool: EmulatorResult(**result) for tool, result in facts["others"].items()},
            [EmulatorResult(**result) for result in facts["front"]],
            facts["failures"],
        )

    def answers(self, request: Request) -> bool:
        """Return whether these are the results of what is requested, and no tool failed."""
        complete = request.autoemulate is None or AUTOEMULATE in self.others
        return self.trials == request.trials and complete and not self.failures


class Comparison(NamedTuple):
    """A simulator with a number of samples: ratios of errors, medians over the splits.

    Args:
        simulator: Name in the suite.
        samples: Number of training samples.
        splits: Number of splits.
        fast: Error of the best network at a fifth of the time, over the best other emulator's.
        accurate: Error of the most accurate network on the front, over the best other emulator's.
    """

    simulator: str
    samples: int
    splits: int
    fast: float
    accurate: float


def compare_splits(results: Sequence[CaseResult]) -> list[Comparison]:
    """Return the comparisons, one for each simulator and number of samples with a search."""
    searched = [result for result in results if result.trials]
    pairs = dict.fromkeys((result.case.simulator, result.case.samples) for result in searched)
    comparisons: list[Comparison] = []
    for simulator, samples in pairs:
        splits = [r for r in searched if (r.case.simulator, r.case.samples) == (simulator, samples)]
        fast = float(np.median([result.fast_ratio for result in splits]))
        accurate = float(np.median([result.accurate_ratio for result in splits]))
        comparisons.append(Comparison(simulator, samples, len(splits), fast, accurate))
    return comparisons


class Counts(NamedTuple):
    """How many comparisons are within the target.

    Args:
        total: Number of comparisons.
        near: Those with an error of at most `MAX_ERROR_RATIO` times that of the best other.
        better: Those with a smaller error.
    """

    total: int
    near: int
    better: int

    @property
    def meet_target(self) -> bool:
        """Whether there are comparisons, all are near and enough are better."""
        near = 0 < self.near == self.total
        return near and self.better >= MIN_SHARE_BETTER * self.total


def count_within(comparisons: Sequence[Comparison]) -> Counts:
    """Return how many comparisons are within the target."""
    fast = [comparison.fast for comparison in comparisons]
    near = sum(ratio <= MAX_ERROR_RATIO for ratio in fast)
    return Counts(len(fast), near, sum(ratio < 1.0 for ratio in fast))
