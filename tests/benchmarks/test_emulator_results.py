"""Comparisons of a search with other emulators: ratios, medians over splits and the target."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.emulator_results import (
    AUTOEMULATE,
    GAUSSIAN_PROCESS,
    Case,
    CaseResult,
    Counts,
    EmulatorResult,
    Request,
    compare_splits,
    count_within,
)


def emulator(error: float, time_s: float) -> EmulatorResult:
    return EmulatorResult("some", error, time_s, 1.0)


def case_result(split: int, *front: EmulatorResult, trials: int = 16) -> CaseResult:
    """Return a case in which AutoEmulate is best, with an error of 0.1 at 10 s."""
    others = {GAUSSIAN_PROCESS: emulator(0.2, 1.0), AUTOEMULATE: emulator(0.1, 10.0)}
    return CaseResult(Case("borehole", 128, split), trials, others, list(front), {})


def test_a_member_counts_at_a_fifth_of_the_time_of_the_most_accurate_other() -> None:
    result = case_result(0, emulator(0.05, 2.1), emulator(0.11, 2.0), emulator(0.5, 0.1))
    assert result.best_tool == AUTOEMULATE
    assert result.fast_ratio == pytest.approx(1.1)
    assert result.accurate_ratio == pytest.approx(0.5)
    assert case_result(0, emulator(0.05, 2.1)).fast_ratio == math.inf


def test_splits_are_compared_by_the_median_and_cases_without_search_left_out() -> None:
    errors = (0.09, 0.13, 0.5)
    results = [case_result(split, emulator(error, 1.0)) for split, error in enumerate(errors)]
    (comparison,) = compare_splits([*results, case_result(3, trials=0)])
    assert comparison.splits == len(errors)
    assert comparison.fast == pytest.approx(1.3)
    assert count_within([comparison]) == Counts(total=1, near=0, better=0)
    assert compare_splits([case_result(0, trials=0)]) == []


@pytest.mark.parametrize(
    ("counts", "met"),
    [(Counts(4, 4, 2), True), (Counts(4, 4, 1), False), (Counts(4, 3, 3), False)],
)
def test_the_target_needs_all_to_be_near_and_half_to_be_better(counts: Counts, met: bool) -> None:  # noqa: FBT001
    assert counts.meet_target is met
    assert not Counts(0, 0, 0).meet_target


def test_results_survive_json_and_answer_what_they_were_measured_for(tmp_path: Path) -> None:
    result = case_result(2, emulator(0.1, 1.0))
    again = CaseResult.of(json.loads(json.dumps(result.facts)))
    assert again == result
    request = Request(tmp_path, 16, Path("python"), 600.0)
    assert again.answers(request)
    assert not again.answers(request._replace(trials=24))
    assert not again._replace(failures={AUTOEMULATE: "killed"}).answers(request)
    alone = again._replace(others={GAUSSIAN_PROCESS: emulator(0.2, 1.0)})
    assert alone.answers(request._replace(autoemulate=None))
    assert not alone.answers(request)
