from search.run.finalists import Finalist, Recommendation, non_dominated_names, recommend_finalists
from search.run.records import NO_LIMITS, ConfidenceInterval, Limits, Timing

GOOD = Limits(error=0.1)
"""A goal that some of the members below meet."""


def finalist(number: int, speedup: float, error: float) -> Finalist:
    timing = Timing(
        time_s=1.0, reference_s=speedup, speedup=speedup, speedup_low=speedup,
        speedup_high=speedup, rounds=6,
    )  # fmt: skip
    test = {"error": ConfidenceInterval(value=error, low=error, high=error)}
    return Finalist(
        name=f"trial {number}", trial=number, timing=timing, test=test, shifted={}, failed={}
    )


def test_goals_are_held_against_what_chose_and_not_against_what_is_quoted() -> None:
    finalists = [finalist(0, 10.0, 0.2), finalist(1, 50.0, 0.2), finalist(2, 90.0, 0.05)]
    errors = {"trial 0": 0.01, "trial 1": 0.05, "trial 2": 0.5}
    found = recommend_finalists(finalists, errors, "error", GOOD)
    assert found == Recommendation("trial 1", "trial 0", within_goals=True)


def test_without_goals_the_fastest_is_on_the_front() -> None:
    finalists = [finalist(0, 10.0, 0.01), finalist(1, 50.0, 0.2)]
    baseline = finalist(2, 60.0, 0.1).model_copy(update={"name": "baseline", "trial": None})
    errors = {"trial 0": 0.01, "trial 1": 0.2}
    every = [*finalists, baseline]
    assert non_dominated_names(every, "error") == {"trial 0", "baseline"}
    either = Recommendation("trial 0", "trial 0", within_goals=False)
    assert recommend_finalists(every, errors, "error", NO_LIMITS) == either
    assert recommend_finalists(finalists, errors, "error", NO_LIMITS) == Recommendation(
        "trial 1", "trial 0", within_goals=False
    )


def test_where_no_member_was_scored_none_is_recommended() -> None:
    assert recommend_finalists([finalist(0, 10.0, 0.1)], {}, "error", GOOD) is None
    assert non_dominated_names([], "error") == set()
