"""The verdicts and first sentences of a report, against figures worked out by hand."""

from typing import Any

import pytest

from problems import Metric
from reports.views.finalists import FinalistView, HostResultView, SeedsView, finalist_views
from reports.views.headline import headline, payback
from reports.views.trials import trial_view
from reports.views.verdicts import accuracy, in_the_host, out_of_distribution, over_seeds
from search.run.finalists import BatchTiming, PairedComparison
from search.run.records import (
    NO_LIMITS,
    ConfidenceInterval,
    DatasetSummary,
    DeploymentSummary,
)
from tests.builders import make_finalist, make_record, make_timing

DATA = DatasetSummary(
    summary="heat",
    samples={"train": 60, "validation": 20, "test": 20, "shifted": 0},
    failed={"train": 10},
    metrics=(Metric("max_error", "K"),),
    exclusions=(),
    deployment=DeploymentSummary(batch=64, threads=2, batches=(8, 64)),
)


def exactly(value: float) -> ConfidenceInterval:
    return ConfidenceInterval(value=value, low=value, high=value)


def view(**changes: Any) -> FinalistView:
    finalist = make_finalist("trial 0", 0.5, 10.0, trial=0, shifted={"error": exactly(0.6)})
    record = trial_view(make_record(0, error=0.4, time_s=0.1), "error")
    return finalist_views([finalist], {0: record}, "error", NO_LIMITS, None)[0]._replace(**changes)


def against(low: float, high: float) -> PairedComparison:
    difference = ConfidenceInterval(value=(low + high) / 2, low=low, high=high)
    return PairedComparison(other="linear", difference=difference, samples=20)


@pytest.mark.parametrize(
    ("low", "high", "grade"), [(-2.0, -1.0, "good"), (-1.0, 1.0, "fair"), (1.0, 2.0, "bad")]
)
def test_accuracy_is_that_against_the_best_baseline(low: float, high: float, grade: str) -> None:
    found = accuracy(view(against_baseline=against(low, high)))
    assert found.grade == grade
    assert f"90 %: {low:g} to {high:g}" in found.text
    assert accuracy(view()).grade == "unknown"
    assert "single samples" not in found.text
    shared = against(low, high).model_copy(update={"better_share": 0.36})
    assert "smaller on 36 % of single samples" in accuracy(view(against_baseline=shared)).text


@pytest.mark.parametrize(
    ("shifted", "mean", "grade"),
    [(0.6, 2.0, "good"), (1.0, 2.0, "fair"), (1.08, 1.0, "bad"), (0.6, None, "good")],
)
def test_no_better_than_the_mean_is_bad_out_of_distribution(
    shifted: float, mean: float | None, grade: str
) -> None:
    found = out_of_distribution(view(shifted=exactly(shifted)), mean, 45)
    assert found.grade == grade
    assert f"error {shifted:g} on 45 samples" in found.text
    if mean:
        assert f"{shifted / mean:.3g} of that of predicting the training mean" in found.text
    assert out_of_distribution(view(shifted=None), 1.0, 0).grade == "unknown"


@pytest.mark.parametrize(
    ("own", "others", "grade"),
    [(1.0, [2.0, 3.0], "good"), (2.5, [2.0, 3.0], "fair"), (61.5, [2.0, 3.0], "bad")],
)
def test_the_host_departs_less_with_which_baseline(
    own: float, others: list[float], grade: str
) -> None:
    def hosted(value: float, reason: str = "") -> HostResultView:
        return HostResultView(reason, {"departure [K]": value}, 2.0, 3.0)

    baselines = [view(name=f"b{i}", host_result=hosted(v)) for i, v in enumerate(others)]
    found = in_the_host(view(host_result=hosted(own)), baselines)
    assert found.grade == grade
    assert f"departure [K] {own:g}" in found.text
    assert in_the_host(view(host_result=hosted(0.0, "it diverged")), baselines).grade == "bad"
    assert in_the_host(view(host_result=hosted(own)), []).grade == "unknown"
    assert in_the_host(view(), baselines).grade == "unknown"


def test_seeds_that_differ_or_fail_are_told() -> None:
    assert over_seeds(view(seeds=SeedsView(3, 1.0, 1.2, ""))).grade == "good"
    assert over_seeds(view(seeds=SeedsView(3, 1.0, 2.0, ""))).grade == "fair"
    assert over_seeds(view(seeds=SeedsView(2, 1.0, 1.0, "1 x it diverged"))).grade == "bad"
    assert over_seeds(view()).grade == "unknown"


def test_a_surrogate_pays_for_itself_after_data_and_search() -> None:
    """110 runs for the data and 70 s of trials; each run saves 0.9 s of 1 s."""
    trials = [
        trial_view(make_record(n, error=0.4, time_s=0.1, durations_s={"train": 35.0}), "error")
        for n in range(2)
    ]
    pays = payback(view(), DATA, trials)
    assert pays is not None
    assert (pays.data, pays.search) == (110, 70.0)
    assert pays.runs == pytest.approx(180.0 / 0.9)
    recorded = payback(view(), DATA.model_copy(update={"recorded": True}), trials)
    assert recorded is not None
    assert recorded.runs == pytest.approx(70.0 / 0.9)
    assert payback(view(timing=make_timing(2.0)), DATA, trials) is None


def test_the_first_sentences_are_the_verdict_in_words() -> None:
    batches = tuple(
        BatchTiming(batch=n, call_time_s=0.25, low_s=0.2, high_s=0.3, speedup=speedup)
        for n, speedup in ((1, 4.0), (8, 9.0), (64, 10.0), (512, 11.0))
    )
    found = headline(view(against_baseline=against(-0.2, -0.1), batches=batches), None, DATA, [])
    assert found.grade == "good"
    comparison, error, speed, advantage, worth = found.sentences
    assert advantage == "No baseline has as small an error."
    assert comparison == (
        "The recommended surrogate, trial 0, is more accurate than linear, the best baseline on "
        "the validation split (on the same 20 test samples: difference -0.15, 90 %: -0.2 to -0.1)."
    )
    assert error == "Its max error is 0.5 K on 20 test samples (90 %: 0.5 to 0.5)."
    assert speed == (
        "It is 10x as fast as the reference with 64 samples a call on 2 threads, 4x with 1, 9x "
        "with 8."
    )
    assert worth == (
        "It saves time from 122 runs of the reference on (110 runs for the data, 0 runs' time for "
        "the trials)."
    )
    worse = headline(view(against_baseline=against(0.1, 0.2)), None, DATA, [])
    assert worse.grade == "bad"
    assert "trial 0, is less accurate than linear, the best baseline" in worse.sentences[0]
    alike = headline(view(against_baseline=against(-0.1, 0.1)), None, DATA, [])
    assert "trial 0, can't be told in accuracy from linear" in alike.sentences[0]
    assert "only where its speed counts more than accuracy" in worse.sentences[-2]
    slower = view(name="linear", timing=make_timing(0.25))
    faster = headline(view(against_baseline=against(-0.1, 0.1)), slower, DATA, [])
    assert (
        "Of the baselines that are at least as accurate, the fastest is linear: the surrogate is "
        "2.5x as fast." in faster.sentences
    )
    beaten = headline(view(), view(name="linear"), DATA, [])
    assert beaten.grade == "bad"
    assert beaten.sentences[-1].startswith("It isn't worth deploying: the baseline linear")
    slow = headline(view(timing=make_timing(2.0)), None, DATA, [])
    assert slow.sentences[-1].startswith("It isn't worth deploying: the reference itself")


def test_a_reference_without_a_time_is_compared_with_no_run_of_it() -> None:
    labels = DATA.model_copy(update={"reference_has_time": False, "recorded": True})
    assert payback(view(), labels, []) is None
    alone = headline(view(), None, labels, [])
    assert alone.grade == "unknown"
    assert alone.sentences[0].startswith("The max error of the recommended surrogate, trial 0, is")
    assert (
        alone.sentences[-1] == "It answers 10 samples a second with 64 samples a call on 2 threads."
    )
    timed = labels.model_copy(update={"timed_baseline": "linear"})
    found = headline(view(against_baseline=against(0.1, 0.2)), None, timed, [])
    assert found.sentences[-3].startswith("It is 10x as fast as the baseline linear with 64")
    assert found.sentences[-1].startswith("It is worth deploying only")
