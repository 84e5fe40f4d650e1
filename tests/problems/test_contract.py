"""Every registered problem, and the template that users start from, keep every promise."""

from pathlib import Path

import pytest

from problems import Problem, Size, UserError, known_problems, load_problem
from problems.contract import LAWS, Evidence, Stage, examine, refuse_undeclared
from problems.template.write import TEMPLATE

EVERY = {name: (name, Size.TINY) for name in known_problems()} | {"template": (str(TEMPLATE), None)}


@pytest.fixture(scope="module", params=list(EVERY))
def evidence(request: pytest.FixtureRequest, cache: Path) -> Evidence:
    return Evidence(load_problem(*EVERY[request.param]), cache)


@pytest.mark.parametrize("law", LAWS)
def test_law(law: str, evidence: Evidence) -> None:
    assert LAWS[law].breaches(evidence) == []


def test_stages_come_in_order() -> None:
    stages = list(Stage)
    order = [stages.index(law.stage) for law in LAWS.values()]
    assert order == sorted(order)


def test_a_later_stage_waits_for_the_earlier(evidence: Evidence) -> None:
    broken = Problem(
        simulation=evidence.problem.simulation,
        encodings={},
        score=evidence.problem.score,
    )
    verdicts = list(examine(Evidence(broken, Path("/nonexistent"))))
    assert [verdict.law.says for verdict in verdicts if verdict.breaches]
    assert {verdict.law.stage for verdict in verdicts if verdict.tried} == {Stage.DECLARED}
    with pytest.raises(UserError, match="encodings is empty"):
        refuse_undeclared(broken)
