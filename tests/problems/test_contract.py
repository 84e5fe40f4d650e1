"""Every registered problem, and the template that users start from, pass all contract checks."""

from pathlib import Path

import pytest

from problems import Problem, Size, UserError, known_problems, load_problem
from problems.contract import CHECKS, CheckStage, Evidence, check_declarations, run_checks
from problems.template.write import TEMPLATE

EVERY = {name: (name, Size.TINY) for name in known_problems()} | {"template": (str(TEMPLATE), None)}


@pytest.fixture(scope="module", params=list(EVERY))
def evidence(request: pytest.FixtureRequest, cache: Path) -> Evidence:
    return Evidence(load_problem(*EVERY[request.param]), cache)


@pytest.mark.parametrize("check", CHECKS)
def test_check(check: str, evidence: Evidence) -> None:
    assert CHECKS[check].violations(evidence) == []


def test_stages_come_in_order() -> None:
    stages = list(CheckStage)
    order = [stages.index(check.stage) for check in CHECKS.values()]
    assert order == sorted(order)


def test_a_later_stage_waits_for_the_earlier(evidence: Evidence) -> None:
    broken = Problem(
        simulation=evidence.problem.simulation,
        encodings={},
        score=evidence.problem.score,
    )
    evidence = Evidence(broken, Path("/nonexistent"))
    results = list(run_checks(lambda name: CHECKS[name].violations(evidence)))
    assert [result.check.description for result in results if result.violations]
    assert {result.check.stage for result in results if result.was_run} == {CheckStage.DECLARATIONS}
    with pytest.raises(UserError, match="encodings is empty"):
        check_declarations(broken)
