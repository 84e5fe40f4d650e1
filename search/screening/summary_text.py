"""The summary of a screening as text for the terminal."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from search.run.records import ConfidenceInterval
from search.screening import ScreeningSummary
from search.screening.decision import ClassifierComparison
from search.screening.threshold import CONFIDENCE

_CONFIDENCE = f"{100.0 * CONFIDENCE:.0f} %"


def format_screening(summary: ScreeningSummary) -> Iterator[str]:
    """Yield lines with the guaranteed recall, the recall reached, and the compute saved."""
    spec, compute = summary.screening, summary.compute
    yield from _guarantee(summary)
    failed = "".join(f"; {n} failed: {reason}" for reason, n in summary.failed.items())
    yield (
        f"sweep        {spec.points:,} points: {summary.kept:,} run, {summary.skipped:,} skipped, "
        f"{summary.audited:,} of these run as the audit{failed}"
    )
    yield f"recall       {_recall(summary)}"
    yield (
        f"compute      saved {_percent(compute.saved)} of {compute.full_sweep_s:,.3g} s on one "
        f"core; {_percent(compute.without_audit)} without the audit"
    )
    yield (
        f"             spent {compute.kept_s:,.3g} s on the points kept, "
        f"{compute.audited_s:,.3g} s on the audit, {compute.surrogate_s:,.3g} s on the surrogate"
    )
    yield (
        f"             all skipped points would have taken {_seconds(compute.skipped_s)}; timed in "
        f"calls of {summary.decided.call}, intervals of {_CONFIDENCE}"
    )
    yield from _comparison(summary)


def _guarantee(summary: ScreeningSummary) -> Iterator[str]:
    threshold, spec = summary.decided.threshold, summary.screening
    guaranteed_recall = math.floor(1e3 * threshold.guaranteed_recall) / 1e3  # never rounded up
    yield (
        f"guaranteed   recall {guaranteed_recall:.3f} or more, for points distributed as the "
        f"validation split, with {_CONFIDENCE} confidence"
    )
    if threshold.guaranteed_recall < spec.keep_recall:
        required = (
            "no number is"
            if threshold.required_positives is None
            else f"{threshold.required_positives:,} are"
        )
        yield (
            f"             less than the requested {spec.keep_recall:g}: {threshold.positives} "
            f"samples of class {summary.decided.kept_class} in the validation split aren't "
            f"enough, {required}"
        )
    yield (
        f"threshold    points with a probability of {threshold.score:.3g} or more of class "
        f"{summary.decided.kept_class} are run; at most {threshold.missed} of "
        f"{threshold.positives} samples in the validation split have less"
    )


def _comparison(summary: ScreeningSummary) -> Iterator[str]:
    test_samples = (
        f"compared     by the same rule on the {summary.decided.test_samples} samples of the test "
        "split"
    )
    if summary.decided.has_costs:
        yield f"{test_samples}, weighted by their costs; each classifier's own time is subtracted"
        return
    yield f"{test_samples}, with equal weights: the problem doesn't state their costs."
    yield (
        f"             Where class {summary.decided.kept_class} costs more than others, less is "
        "saved; each classifier's own time is subtracted"
    )


def _recall(summary: ScreeningSummary) -> str:
    recall, requested = summary.recall, summary.screening.keep_recall
    if recall is None:
        return f"unknown: no point of class {summary.decided.kept_class} was found"
    if recall.low >= requested:
        verdict = f"at least the requested {requested:g}"
    elif recall.high < requested:
        verdict = f"less than the requested {requested:g}"
    else:
        verdict = f"the audit is too small to tell whether it is the requested {requested:g}"
    return (
        f"{recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f}): {summary.positives:,} among "
        f"the points kept, {summary.audited_positives} among the {summary.audited:,} audited; "
        f"{verdict}"
    )


def comparison_table(summary: ScreeningSummary) -> Table:
    """Return the comparison of the surrogate with the baselines."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in ("recall", "own time a point", "compute saved"):
        table.add_column(column, justify="right")
    per_point_s = summary.compute.full_sweep_s / summary.screening.points
    for comparison in summary.decided.compared:
        table.add_row(*map(Text, _row(comparison, per_point_s)))
    return table


def _row(comparison: ClassifierComparison, per_point_s: float) -> tuple[str, ...]:
    skipped, name = comparison.skipped, comparison.name
    if comparison.recall is None or skipped is None:
        return name, f"failed: {comparison.reason}"
    own_share = comparison.time_s / per_point_s
    saved = ConfidenceInterval(
        value=skipped.value - own_share, low=skipped.low - own_share, high=skipped.high - own_share
    )
    return name, _percent(comparison.recall), f"{comparison.time_s:.2g} s", _percent(saved)


def _percent(share: ConfidenceInterval) -> str:
    if math.isnan(share.low):
        return f"{100.0 * share.value:.1f} % (the audit is too small for an interval)"
    return f"{100.0 * share.value:.1f} % ({100.0 * share.low:.1f} to {100.0 * share.high:.1f})"


def _seconds(seconds: ConfidenceInterval) -> str:
    if math.isnan(seconds.low):
        return f"{seconds.value:,.3g} s"
    return f"{seconds.value:,.3g} s ({seconds.low:,.3g} to {seconds.high:,.3g})"
