"""Comparisons of finalists on the same test samples, and their errors on single samples."""

from collections.abc import Mapping, Sequence

import numpy as np

from problems import Problem, Target
from problems.interfaces.types import take_samples
from search.run.finalists import Finalist, PairedComparison
from search.trial.scoring import (
    SplitScore,
    paired_difference,
    paired_interval,
    resampled_error,
)

MAX_SAMPLES = 256
"""Largest number of samples that are scored one by one."""


class Comparisons:
    """The results of finalists on the test split, which are compared in pairs.

    Args:
        problem: The problem with the score.
        tests: Scores on the test split by name.
        sample_errors: Errors on single samples by name, as `sample_errors` returns them.
    """

    def __init__(
        self,
        problem: Problem,
        tests: Mapping[str, SplitScore],
        sample_errors: Mapping[str, Sequence[float]],
    ) -> None:
        self._problem, self._tests, self._sample_errors = problem, tests, sample_errors
        self._errors = {
            name: None if test.failed else resampled_error(problem, test)
            for name, test in tests.items()
        }

    def compare(self, name: str, other: str) -> PairedComparison | None:
        """Return a finalist's error against another's; None if one of them has none.

        Args:
            name: Name of the finalist.
            other: Name of the other finalist.
        """
        one, two = self._errors[name], self._errors[other]
        samples = len(self._tests[name].valid_indices)
        if one is not None and two is not None:
            difference = paired_interval(one, two)
        else:
            tests = self._tests[name], self._tests[other]
            difference = paired_difference(self._problem, *tests)
            common = np.intersect1d(tests[0].valid_indices, tests[1].valid_indices)
            samples = len(common)
        if difference is None:
            return None
        return PairedComparison(
            other=other,
            difference=difference,
            samples=samples,
            better_share=self._better_share(name, other),
        )

    def _better_share(self, name: str, other: str) -> float | None:
        """Return the share of common samples on which the first error is smaller, or None."""
        errors: list[dict[int, float]] = []
        for each in (name, other):
            of_samples = self._sample_errors.get(each, ())
            indices = self._tests[each].valid_indices[: len(of_samples)].tolist()
            errors.append(dict(zip(indices, of_samples, strict=True)))
        one, two = errors
        common = one.keys() & two.keys()
        if not common:
            return None
        return sum(one[index] < two[index] for index in common) / len(common)


def with_comparisons(
    comparisons: Comparisons,
    finalists: Sequence[Finalist],
    baseline: str | None,
    recommended: str | None,
) -> list[Finalist]:
    """Return the finalists with their comparisons.

    Surrogates are compared with the baseline, and all others with the recommended surrogate.

    Args:
        comparisons: The results of the finalists.
        finalists: The finalists.
        baseline: Name of the best baseline on the validation split, None without baselines.
        recommended: Name of the recommended surrogate, or None.
    """
    return [
        finalist.model_copy(
            update={
                "against_baseline": comparisons.compare(finalist.name, baseline)
                if baseline is not None and finalist.trial is not None
                else None,
                "against_recommended": comparisons.compare(finalist.name, recommended)
                if recommended is not None and recommended != finalist.name
                else None,
            }
        )
        for finalist in finalists
    ]


def sample_errors(problem: Problem, encoding: str | None, result: SplitScore) -> tuple[float, ...]:
    """Return the objective of single samples (n,), in the order of the split.

    Returns () where the objective has no meaning for a single sample (labels, distributions,
    policies) or isn't finite.

    Args:
        problem: The problem.
        encoding: Encoding of the surrogate; None for a baseline.
        result: The score on the split.
    """
    encodings = problem.encodings
    targets = {each.target for each in encodings.values()}
    if encoding is not None:
        targets = {encodings[encoding].target}
    if Target.VALUE not in targets or not result.metrics:
        return ()
    valid_outputs, split = result.valid_outputs, result.valid_samples
    errors: list[float] = []
    for index in map(np.array, ([i] for i in range(min(len(split), MAX_SAMPLES)))):
        sample, outputs = split.take(index), take_samples(valid_outputs, index)
        try:
            with np.errstate(all="ignore"):
                metrics = problem.score(outputs, sample.outputs, sample.inputs)
        except (ValueError, ArithmeticError, IndexError):  # a score that needs several samples
            return ()
        errors.append(float(metrics[problem.objective.name]))
    return tuple(errors) if np.isfinite(errors).all() else ()
