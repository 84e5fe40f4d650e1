"""The spread of the ensembles among the finalists, in words and figures."""

from collections.abc import Sequence
from typing import NamedTuple

from problems import Metric
from reports.formatting import format_count, format_duration, format_number, format_percent
from search.run.finalists import Finalist
from search.run.records import Timing
from search.run.spread_results import SplitSpread, SpreadResult

QUOTED_SHARE = 0.1
"""Share of the samples left to the simulation that the sentences quote."""


class SpreadView(NamedTuple):
    """The spread of an ensemble.

    Args:
        name: Name of the finalist.
        trial: Its number.
        result: The figures.
        sentences: The figures in words.
        total_times_s: Time per sample for each share left to the simulation on the test split, with
            the simulation's time [s]; empty where the time isn't known.
    """

    name: str
    trial: int
    result: SpreadResult
    sentences: tuple[str, ...]
    total_times_s: tuple[float, ...]


def spread_views(
    finalists: Sequence[Finalist], objective: Metric, *, has_time: bool
) -> tuple[SpreadView, ...]:
    """Return the spread of each ensemble among the finalists.

    Args:
        finalists: The finalists.
        objective: The error.
        has_time: Whether the simulation has a time of its own.
    """
    views: list[SpreadView] = []
    for finalist in finalists:
        result = finalist.spread
        if result is None or finalist.trial is None:
            continue
        times = _total_times_s(result) if has_time else ()
        views.append(
            SpreadView(
                finalist.name,
                finalist.trial,
                result,
                tuple(_sentences(finalist, result, objective, times)),
                times,
            )
        )
    return tuple(views)


def _total_times_s(result: SpreadResult) -> tuple[float, ...]:
    if result.timing is None or result.test is None:
        return ()
    timing = result.timing
    return tuple(timing.time_s + d.share * timing.reference_s for d in result.test.deferrals)


def _sentences(
    finalist: Finalist, result: SpreadResult, objective: Metric, times: Sequence[float]
) -> list[str]:
    members = f"{finalist.name[:1].upper()}{finalist.name[1:]} is an ensemble of {result.members}"
    if result.reason:
        return [f"{members} networks, whose spread isn't known: {result.reason}."]
    sentences = [f"{members} networks."]
    if result.test:
        sentences.append(_coverage(result.test, "test"))
        sentences += _deferral(result.test, objective, times)
    if result.shifted:
        sentences.append(_coverage(result.shifted, "shifted"))
    if result.timing:
        sentences.append(_time(result.timing, finalist.timing))
    return sentences


def _coverage(spread: SplitSpread, split: str) -> str:
    """Return what the intervals of a split cover."""
    samples = f"{format_count(spread.samples, f'{split} sample')}"
    if spread.groups is not None:
        samples += f" of {format_count(spread.groups, 'group')}"
    if not spread.coverage:
        return (
            f"On {samples} it predicts probabilities of labels: a label is 0 or 1, so that its "
            "intervals have no coverage."
        )
    parts = [
        f"{'the stated ' if place == 0 else ''}{format_percent(level)} intervals hold "
        f"{format_percent(held.value)} of the values (90 %: {format_percent(held.low)} to "
        f"{format_percent(held.high)})"
        for place, (level, held) in enumerate(
            zip(reversed(spread.levels), reversed(spread.coverage), strict=True)
        )
    ]
    widths = [field.width[-1] for field in spread.fields.values() if field.width]
    finite = [width for width in widths if width is not None]
    wide = ""
    if finite:
        mean = format_number(sum(finite) / len(finite))
        level = format_percent(spread.levels[-1])
        wide = (
            f" A {level} interval is {mean} standard deviations of its field wide, on average; the "
            "wider, the less it says."
        )
    return f"On {samples} {' and the '.join(parts)}.{wide}"


def _deferral(spread: SplitSpread, objective: Metric, times: Sequence[float]) -> list[str]:
    """Return what it brings to leave some samples to the simulation."""
    sentences: list[str] = []
    if spread.rank_correlation is not None:
        sentences.append(
            "The rank correlation of the deviation and the error of a sample is "
            f"{spread.rank_correlation:+.2f}."
        )
    errors = {deferral.share: deferral.error for deferral in spread.deferrals}
    alone, rest = errors.get(0.0), errors.get(QUOTED_SHARE)
    if alone is not None and rest is not None:
        name = objective.name.replace("_", " ")
        place = list(errors).index(QUOTED_SHARE)
        time = f", at {format_duration(times[place])} per sample in all" if times else ""
        sentences.append(
            f"If the {format_percent(QUOTED_SHARE)} of the samples with the largest deviations are "
            f"left to the simulation, the {name} of the others is {format_number(rest)} in place "
            f"of {format_number(alone)}{time}."
        )
    return sentences


def _time(timing: Timing, without: Timing) -> str:
    ratio = format_number(timing.time_s / without.time_s)
    return (
        f"A call with spread takes {format_duration(timing.time_s)} per sample, {ratio} times as "
        "long as one without."
    )
