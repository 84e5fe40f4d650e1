"""Who comes into the final heat."""

import pytest

from problems import Problem
from search.objectives.recommendation import select_finalists
from search.run.records import NO_LIMITS, Record, State
from tests.builders import make_record


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
