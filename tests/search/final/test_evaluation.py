"""Who comes into the final heat."""

import pytest

from problems import Problem, Size
from search.final.evaluation import (
    MAX_BUDGET_RATIO,
    SEARCH_SHARE,
    TIME_BUDGET_S,
    TINY_TIME_BUDGET_S,
    time_budget_s,
)
from search.objectives.recommendation import select_finalists
from search.run.records import NO_LIMITS, Record, State
from tests.builders import make_record, make_spec


def ended(problem: Problem, number: int, state: State, error: float, time: float) -> Record:
    return make_record(
        number, error=error, time_s=time, objective=problem.objective.name, state=state
    )


@pytest.mark.parametrize("state", [state for state in State if state is not State.COMPLETE])
def test_what_is_not_complete_is_on_no_front(problem: Problem, state: State) -> None:
    whole = [ended(problem, i, State.COMPLETE, 0.1 * (i + 1), 0.1 / (i + 1)) for i in range(3)]
    beaten = ended(problem, 3, State.COMPLETE, 0.9, 0.9)
    best = ended(problem, 4, state, 1e-6, 1e-6)
    members = select_finalists([*whole, beaten, best], problem.objective.name, NO_LIMITS)
    assert [member.number for member in members] == [0, 1, 2]
    assert select_finalists([best], problem.objective.name, NO_LIMITS) == []


@pytest.mark.parametrize(
    ("trial_s", "workers", "budget_s"),
    [
        (1.0, 1, TIME_BUDGET_S),
        (4e3, 4, SEARCH_SHARE * 3e3),
        (1e6, 2, MAX_BUDGET_RATIO * TIME_BUDGET_S),
    ],
)
def test_the_time_for_rounds_grows_with_the_search_within_bounds(
    trial_s: float, workers: int, budget_s: float
) -> None:
    records = [
        make_record(i, durations_s={"train": 0.75 * trial_s, "measure": 0.25 * trial_s})
        for i in range(3)
    ]
    spec = make_spec(workers=workers, size=Size.STANDARD)
    assert time_budget_s(spec, records) == pytest.approx(budget_s)
    assert time_budget_s(make_spec(size=Size.TINY), records) == TINY_TIME_BUDGET_S
