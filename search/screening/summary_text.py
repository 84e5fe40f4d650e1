"""What a screening tells on the terminal."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from search.run.records import ConfidenceInterval
from search.screening import ScreeningSummary
from search.screening.decision import ClassifierComparison
from search.screening.threshold import CONFIDENCE

_CONFIDENT = f"{100.0 * CONFIDENCE:.0f} %"


def lines(summary: ScreeningSummary) -> Iterator[str]:
    """Say what was promised, run, reached and saved."""
    asked, took = summary.screening, summary.compute
    yield from _promise(summary)
    failed = "".join(f"; {n} failed: {reason}" for reason, n in summary.failed.items())
    yield (
        f"sweep        {asked.points:,} points: {summary.kept:,} run, {summary.skipped:,} skipped, "
        f"{summary.audited:,} of these run as the audit{failed}"
    )
    yield f"recall       {_recall(summary)}"
    yield (
        f"compute      saved {_percent(took.saved)} of {took.full_sweep_s:,.3g} s on one core; "
        f"{_percent(took.without_audit)} without the audit"
    )
    yield (
        f"             spent {took.kept_s:,.3g} s on what was run, {took.audited_s:,.3g} s on the "
        f"audit, {took.surrogate_s:,.3g} s on the surrogate"
    )
    yield (
        f"             what was skipped would have taken {_seconds(took.skipped_s)}; timed in "
        f"calls of {summary.decided.call}, intervals of {_CONFIDENT}"
    )
    yield from _comparison(summary)


def _promise(summary: ScreeningSummary) -> Iterator[str]:
    chosen, asked = summary.decided.threshold, summary.screening
    kind = f"class {asked.keep}"
    guaranteed_recall = (
        math.floor(1e3 * chosen.guaranteed_recall) / 1e3
    )  # never more than is promised
    yield (
        f"promise      recall {guaranteed_recall:.3f} or more of points like the validation split's, with "
        f"{_CONFIDENT} confidence"
    )
    if chosen.guaranteed_recall < asked.keep_recall:
        required_positives = (
            "no number is"
            if chosen.required_positives is None
            else f"{chosen.required_positives:,} are"
        )
        yield (
            f"             not the {asked.keep_recall:g} asked for: {chosen.positives} samples of "
            f"{kind} in the validation split aren't enough, {required_positives}"
        )
    yield (
        f"threshold    what has a probability of {chosen.score:.3g} or more to be of {kind} is "
        f"run; of the validation split's {chosen.positives} at most {chosen.missed} have less"
    )


def _comparison(summary: ScreeningSummary) -> Iterator[str]:
    test_samples = (
        f"compared     by the same rule on the test split's {summary.decided.test_samples} samples"
    )
    if summary.decided.has_costs:
        yield f"{test_samples}, each weighed by what it costs; everyone's own time is taken off"
        return
    yield f"{test_samples}, which count alike: the problem doesn't say what each costs."
    yield (
        f"             Where class {summary.screening.keep} costs more than the other, less is "
        "saved; everyone's own time is taken off"
    )


def _recall(summary: ScreeningSummary) -> str:
    reached, asked = summary.recall, summary.screening.keep_recall
    if reached is None:
        return f"unknown: no point of class {summary.screening.keep} was found"
    if reached.low >= asked:
        verdict = f"at least the {asked:g} asked for"
    elif reached.high < asked:
        verdict = f"less than the {asked:g} asked for"
    else:
        verdict = f"whether it is the {asked:g} asked for, an audit of this size can't tell"
    return (
        f"{reached.value:.3f} ({reached.low:.3f} to {reached.high:.3f}): {summary.found:,} found, "
        f"and {summary.found_by_audit} among the {summary.audited:,} audited; {verdict}"
    )


def table(summary: ScreeningSummary) -> Table:
    """Return the comparison with the baselines."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("")
    for column in ("recall", "own time a point", "compute saved"):
        shown.add_column(column, justify="right")
    each_s = summary.compute.full_sweep_s / summary.screening.points
    for one in summary.decided.compared:
        shown.add_row(*map(Text, _row(one, each_s)))
    return shown


def _row(one: ClassifierComparison, each_s: float) -> tuple[str, ...]:
    if one.recall is None or one.skipped is None:
        return one.name, f"failed: {one.reason}"
    own, shares = one.time_s / each_s, one.skipped
    saved = ConfidenceInterval(
        value=shares.value - own, low=shares.low - own, high=shares.high - own
    )
    return one.name, _percent(one.recall), f"{one.time_s:.2g} s", _percent(saved)


def _percent(share: ConfidenceInterval) -> str:
    if math.isnan(share.low):
        return f"{100.0 * share.value:.1f} % (too few audited for an interval)"
    return f"{100.0 * share.value:.1f} % ({100.0 * share.low:.1f} to {100.0 * share.high:.1f})"


def _seconds(seconds: ConfidenceInterval) -> str:
    if math.isnan(seconds.low):
        return f"{seconds.value:,.3g} s"
    return f"{seconds.value:,.3g} s ({seconds.low:,.3g} to {seconds.high:,.3g})"
