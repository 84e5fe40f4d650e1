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
    dominating: FinalistView | None,
    data: DatasetSummary,
    trials: Sequence[TrialView],
) -> Headline:
    """Return the first sentences of a report.

    Args:
        finalist: The recommended surrogate.
        dominating: A baseline that is at least as accurate and as fast, or None.
        data: Summary of the data, with the metrics.
        trials: All trials, whose durations are the cost of the search.
    """
    grade, worth = _worth(finalist, dominating, data, payback(finalist, data, trials))
    return Headline(
        grade, (*_comparison(finalist), _error(finalist, data), _speed(finalist, data), *worth)
    )


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


def _worth(
    finalist: FinalistView,
    dominating: FinalistView | None,
    data: DatasetSummary,
    pays: Payback | None,
) -> tuple[Grade, tuple[str, ...]]:
    """Return the grade, and sentences on whether the surrogate is worth deploying."""
    if dominating is not None:
        speed = f"{format_number(dominating.timing.speedup)}{speed_scale(data).unit}"
        better = f"the baseline {dominating.name} is at least as accurate and as fast ({speed})"
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
