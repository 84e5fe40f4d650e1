"""What a report says of the spread of ensembles."""

from typing import Any

import pytest

from problems import Metric
from reports.gallery.spread import coverage_chart, deferral_chart
from reports.views.spread import QUOTED_SHARE, spread_views
from search.run.records import ConfidenceInterval
from search.run.spread_results import Deferral, FieldCoverage, SplitSpread, SpreadResult
from tests.builders import make_finalist, make_timing

OBJECTIVE = Metric("error", "K", "an error")


def split_spread(**fields: Any) -> SplitSpread:
    ordinary: dict[str, Any] = {
        "samples": 100,
        "levels": (0.5, 0.9),
        "coverage": (
            ConfidenceInterval(value=0.52, low=0.5, high=0.54),
            ConfidenceInterval(value=0.87, low=0.85, high=0.88),
        ),
        "fields": {
            "y": FieldCoverage(coverage=(0.52, 0.87), width=(0.1, 0.3)),
            "z": FieldCoverage(coverage=(0.52, 0.87), width=(None, None)),
        },
        "rank_correlation": 0.6,
        "deferrals": (
            Deferral(share=0.0, error=2.0),
            Deferral(share=QUOTED_SHARE, error=1.5),
            Deferral(share=0.5, error=None),
        ),
    }
    return SplitSpread(**ordinary | fields)


def sentences(result: SpreadResult | None) -> str:
    finalist = make_finalist("trial 7", trial=7, spread=result, timing=make_timing(1e-3, 1.0))
    views = spread_views([finalist, make_finalist("linear")], OBJECTIVE, has_time=False)
    return " ".join(sentence for view in views for sentence in view.sentences)


def test_the_report_says_what_intervals_hold_and_what_the_rest_costs() -> None:
    timing = make_timing(4e-3, 1.0)
    told = sentences(SpreadResult(members=3, timing=timing, test=split_spread(groups=9)))
    for part in (
        "Trial 7 is an ensemble of 3 networks.",
        "On 100 test samples of 9 groups the stated 90 % intervals hold 87 % of the values",
        "(90 %: 85 % to 88 %) and the 50 % intervals hold 52 %",
        "A 90 % interval is 0.3 standard deviations of its field wide",
        "is +0.60",
        "the error of the others is 1.5 in place of 2.",
        "A call with spread takes 4 ms per sample, 4 times as long as one without.",
    ):
        assert part in told
    assert "shifted" not in told


def test_the_time_in_all_is_that_of_the_ensemble_and_its_share_of_the_simulation() -> None:
    result = SpreadResult(members=3, timing=make_timing(4e-3, 1.0), test=split_spread())
    finalist = make_finalist("trial 7", trial=7, spread=result)
    (view,) = spread_views([finalist], OBJECTIVE, has_time=True)
    assert view.total_times_s == pytest.approx([0.004, 0.104, 0.504])
    assert "in place of 2, at 104 ms per sample in all." in " ".join(view.sentences)
    (untimed,) = spread_views([finalist], OBJECTIVE, has_time=False)
    assert untimed.total_times_s == ()
    (series,) = deferral_chart((view,), OBJECTIVE).series
    assert series.x == [0.0, 100.0 * QUOTED_SHARE]
    assert series.y == [2.0, 1.5]


def test_coverage_is_drawn_with_what_was_stated() -> None:
    result = SpreadResult(members=3, test=split_spread(), shifted=split_spread())
    finalist = make_finalist("trial 7", trial=7, spread=result)
    views = spread_views([finalist], OBJECTIVE, has_time=True)
    test, shifted, stated = coverage_chart(views).series
    assert (test.name, shifted.name) == ("trial 7, test", "trial 7, shifted")
    assert test.x == [50.0, 90.0]
    assert test.y == [52.0, 87.0]
    assert list(stated.x) == list(stated.y)
    assert coverage_chart(()).is_empty
    assert deferral_chart((), OBJECTIVE).is_empty


def test_labels_have_no_coverage_in_words() -> None:
    labels = split_spread(levels=(), coverage=(), fields={}, rank_correlation=None)
    told = sentences(SpreadResult(members=3, test=labels))
    assert "its intervals have no coverage" in told
    assert "rank correlation" not in told


@pytest.mark.parametrize("result", [None, SpreadResult(members=2, reason="a member is missing")])
def test_what_has_no_spread_says_nothing_or_why(result: SpreadResult | None) -> None:
    told = sentences(result)
    assert ("whose spread isn't known: a member is missing." in told) is (result is not None)
    assert "intervals" not in told
