"""Verdicts on a recommended surrogate, in words: accuracy, out of distribution, host, seeds."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from reports.formatting import format_count, format_number
from reports.views.finalists import FinalistView
from search.run.finalists import PairedComparison

SMALL_RISE = 1.5
"""An error out of distribution of up to so many times that on the test split counts as good."""

SMALL_SPREAD = 0.25
"""Errors over seeds that differ by up to this share of their smallest count as good."""


class Grade(StrEnum):
    """How a verdict is coloured."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """A verdict on a surrogate.

    Args:
        subject: What it is about.
        grade: The grade.
        text: The verdict in words, with its figures.
    """

    subject: str
    grade: Grade
    text: str


def verdicts(
    finalist: FinalistView,
    baselines: Sequence[FinalistView],
    mean_errors: Mapping[str, float],
    samples: Mapping[str, int],
) -> tuple[Verdict, ...]:
    """Return the four verdicts on a recommended surrogate.

    Args:
        finalist: The surrogate.
        baselines: The baselines among the finalists.
        mean_errors: Error of predicting the training mean, by split.
        samples: Number of samples of each split.
    """
    return (
        accuracy(finalist),
        out_of_distribution(finalist, mean_errors.get("shifted"), samples.get("shifted", 0)),
        in_the_host(finalist, baselines),
        over_seeds(finalist),
    )


def accuracy(finalist: FinalistView) -> Verdict:
    """Return the verdict on the error against the best baseline, on the same test samples."""
    subject, against = "accuracy", finalist.against_baseline
    if against is None:
        return Verdict(subject, Grade.UNKNOWN, "no baseline to compare with")
    grade, text = {
        "smaller": (Grade.GOOD, "its error is smaller than"),
        "alike": (Grade.FAIR, "its error can't be told from"),
        "larger": (Grade.BAD, "its error is larger than"),
    }[against.verdict]
    return Verdict(subject, grade, f"{text} that of {against.other} ({difference_text(against)})")


def difference_text(against: PairedComparison) -> str:
    """Return the difference of two errors and the share of samples with a smaller one, in words."""
    difference = against.difference
    text = (
        f"difference {format_number(difference.value)}, 90 %: {format_number(difference.low)} to "
        f"{format_number(difference.high)}"
    )
    if against.better_share is None:
        return text
    return f"{text}; smaller on {100.0 * against.better_share:.0f} % of single samples"


def out_of_distribution(finalist: FinalistView, mean_error: float | None, samples: int) -> Verdict:
    """Return the verdict on the error outside the training range.

    Args:
        finalist: The surrogate.
        mean_error: Error of predicting the training mean there, or None if it isn't known.
        samples: Number of samples there.
    """
    subject, shifted = "out of distribution", finalist.shifted
    if shifted is None:
        return Verdict(subject, Grade.UNKNOWN, "no samples from outside the training range")
    text = f"error {format_number(shifted.value)} on {format_count(samples, 'sample')}"
    if mean_error is not None and mean_error > 0.0:
        ratio = shifted.value / mean_error
        text += f", {format_number(ratio)} of that of predicting the training mean"
        if ratio >= 1.0:
            return Verdict(subject, Grade.BAD, f"{text}: no better than that")
    if finalist.test is None or not finalist.test.value > 0.0:
        return Verdict(subject, Grade.FAIR, text)
    rise = shifted.value / finalist.test.value
    text += f"; {format_number(rise)} times its error on the test split"
    return Verdict(subject, Grade.GOOD if rise <= SMALL_RISE else Grade.FAIR, text)


def in_the_host(finalist: FinalistView, baselines: Sequence[FinalistView]) -> Verdict:
    """Return the verdict on the host's result, against those with the baselines as its kernel.

    Args:
        finalist: The surrogate.
        baselines: The baselines.
    """
    subject, result = "in the host", finalist.host_result
    if result is None:
        return Verdict(subject, Grade.UNKNOWN, "the problem has no host")
    if result.reason:
        return Verdict(subject, Grade.BAD, result.reason)
    text = "; ".join(f"{name} {format_number(value)}" for name, value in result.scores.items())
    others = {
        each.name: each.host_result.scores
        for each in baselines
        if each.host_result and not each.host_result.reason
    }
    if not others:
        return Verdict(subject, Grade.UNKNOWN, f"{text}; no baseline to compare with")
    better = [name for name, scores in others.items() if _all_smaller(scores, result.scores)]
    if not better:
        return Verdict(subject, Grade.GOOD, f"{text}; no baseline departs less")
    grade = Grade.BAD if len(better) == len(others) else Grade.FAIR
    return Verdict(subject, grade, f"{text}; less with {', '.join(better)}")


def _all_smaller(scores: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return all(scores.get(name, float("inf")) < value for name, value in others.items())


def over_seeds(finalist: FinalistView) -> Verdict:
    """Return the verdict on the test error of trainings with other seeds."""
    subject, seeds = "over seeds", finalist.seeds
    if seeds is None or (seeds.seeds < 2 and not seeds.failed):
        return Verdict(subject, Grade.UNKNOWN, "trained once")
    if seeds.failed:
        return Verdict(subject, Grade.BAD, f"other seeds failed: {seeds.failed}")
    text = f"{format_number(seeds.low)} to {format_number(seeds.high)} in {seeds.seeds} trainings"
    spread = (seeds.high - seeds.low) / abs(seeds.low) if seeds.low else float("inf")
    if isfinite(spread) and spread <= SMALL_SPREAD:
        return Verdict(subject, Grade.GOOD, text)
    return Verdict(subject, Grade.FAIR, text)
