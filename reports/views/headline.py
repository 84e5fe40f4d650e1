"""The first sentences of a report: which surrogate, how good and fast, and is it worth it."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.formatting import format_count, format_number, format_speedup
from reports.views.finalists import FinalistView
from reports.views.speed_scale import speed_scale
from reports.views.trials import TrialView
from reports.views.verdicts import Grade, accuracy, difference_text
from search.run.records import DatasetSummary


class Payback(NamedTuple):
    """From which number of runs of the reference on a surrogate saves time.

    Args:
        runs: The number of runs: what data and search cost, over what one run saves.
        data: Runs of the reference for the data; 0 where the data were recorded.
        search: Time of all trials, in runs of the reference.
    """

    runs: float
    data: int
    search: float


class Headline(NamedTuple):
    """The verdict of a report in words.

    Args:
        grade: Grade of the recommended surrogate's accuracy, BAD where nothing is worth deploying.
        sentences: The sentences.
    """

    grade: Grade
    sentences: tuple[str, ...]


def headline(
    finalist: FinalistView,
    as_accurate: FinalistView | None,
    data: DatasetSummary,
    trials: Sequence[TrialView],
) -> Headline:
    """Return the first sentences of a report.

    Args:
        finalist: The recommended surrogate.
        as_accurate: The fastest baseline that is at least as accurate, or None.
        data: Summary of the data, with the metrics.
        trials: All trials, whose durations are the cost of the search.
    """
    grade, worth = _worth(finalist, as_accurate, data, payback(finalist, data, trials))
    sentences = (_error(finalist, data), _speed(finalist, data), *_advantage(finalist, as_accurate))
    return Headline(grade, (*_comparison(finalist), *sentences, *worth))


def payback(
    finalist: FinalistView, data: DatasetSummary, trials: Sequence[TrialView]
) -> Payback | None:
    """Return when a surrogate pays for itself; None if it is no faster than the reference.

    A reference without a time has no such number of runs.

    Args:
        finalist: The surrogate.
        data: Summary of the data.
        trials: All trials.
    """
    timing = finalist.timing
    if timing.speedup <= 1.0 or not data.reference_has_time:
        return None
    made = 0 if data.recorded else sum(data.samples.values()) + sum(data.failed.values())
    search_s = sum(sum(trial.durations_s.values()) for trial in trials)
    search = search_s / timing.reference_s
    return Payback((made + search) / (1.0 - timing.relative_time), made, search)


def _error(finalist: FinalistView, data: DatasetSummary) -> str:
    metric, test = data.metrics[0], finalist.test
    name = metric.name.replace("_", " ")
    subject = f"Its {name}"
    if finalist.against_baseline is None:
        subject = f"The {name} of the recommended surrogate, {finalist.name},"
    if test is None:
        return f"{subject} isn't known."
    samples = format_count(data.samples.get("test", 0), "test sample")
    unit = "" if metric.unit in {"", "1"} else f" {metric.unit}"
    return (
        f"{subject} is {format_number(test.value)}{unit} on {samples} "
        f"(90 %: {format_number(test.low)} to {format_number(test.high)})."
    )


def _comparison(finalist: FinalistView) -> tuple[str, ...]:
    """Return the sentence on the best baseline, () if there is none."""
    against = finalist.against_baseline
    if against is None:
        return ()
    verdict = {
        "smaller": "is more accurate than",
        "alike": "can't be told in accuracy from",
        "larger": "is less accurate than",
    }[against.verdict]
    samples = format_count(against.samples, "test sample")
    sentence = (
        f"The recommended surrogate, {finalist.name}, {verdict} {against.other}, the best baseline "
        f"on the validation split (on the same {samples}: {difference_text(against)})."
    )
    return (sentence,)


def _speed(finalist: FinalistView, data: DatasetSummary) -> str:
    scale, deployment = speed_scale(data), data.deployment
    if scale.compared_with:
        speed = format_speedup(finalist.timing.speedup)
        text = f"It is {speed} as fast as {scale.compared_with}"
    else:
        text = f"It answers {format_number(finalist.timing.speedup)} samples a second"
    if deployment is None:
        return f"{text}."
    threads = format_count(deployment.threads, "thread")
    text += f" with {format_count(deployment.batch, 'sample')} a call on {threads}"
    others = [
        f"{format_number(each.speedup)}{scale.unit} with {each.batch}"
        for each in finalist.batches
        if each.batch in {1, *deployment.batches} - {deployment.batch} and each.speedup is not None
    ]
    return f"{', '.join([text, *others])}."


def _advantage(finalist: FinalistView, as_accurate: FinalistView | None) -> tuple[str, ...]:
    """Return the sentence on the speed of a baseline with no larger error, () if it is faster."""
    if as_accurate is None:
        return ("No baseline has as small an error.",) if finalist.against_baseline else ()
    if is_as_fast(as_accurate, finalist):
        return ()
    times = format_speedup(as_accurate.timing.relative_time / finalist.timing.relative_time)
    fastest = f"Of the baselines that are at least as accurate, the fastest is {as_accurate.name}"
    return (f"{fastest}: the surrogate is {times} as fast.",)


def is_as_fast(baseline: FinalistView, finalist: FinalistView) -> bool:
    """Return whether a baseline takes no more time than a surrogate."""
    return baseline.timing.relative_time <= finalist.timing.relative_time


def _worth(
    finalist: FinalistView,
    as_accurate: FinalistView | None,
    data: DatasetSummary,
    pays: Payback | None,
) -> tuple[Grade, tuple[str, ...]]:
    """Return the grade, and sentences on whether the surrogate is worth deploying."""
    if as_accurate is not None and is_as_fast(as_accurate, finalist):
        speed = f"{format_number(as_accurate.timing.speedup)}{speed_scale(data).unit}"
        better = f"the baseline {as_accurate.name} is at least as accurate and as fast ({speed})"
        return Grade.BAD, (f"It isn't worth deploying: {better}.",)
    if pays is None and data.reference_has_time:
        return Grade.BAD, ("It isn't worth deploying: the reference itself is as fast.",)
    grade, sentences = accuracy(finalist).grade, list[str]()
    if grade is Grade.BAD:
        sentences.append("It is worth deploying only where its speed counts more than accuracy.")
    if pays is not None:
        cost = f"{format_number(pays.search)} runs' time for the trials"
        if pays.data:
            cost = f"{format_count(pays.data, 'run')} for the data, {cost}"
        runs = format_number(pays.runs)
        sentences.append(f"It saves time from {runs} runs of the reference on ({cost}).")
    return grade, tuple(sentences)
