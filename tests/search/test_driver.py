import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from problems import Problem, UserError
from problems.sources import ProblemSource
from search.driver import signals_as_interrupt
from search.request import make_spec, restrictions_for
from search.run.directory import RunDirectory
from search.run.environment import collect_environment
from search.run.records import DatasetSummary
from search.run.spec import Spec
from spaces.restrictions import Restrictions
from spaces.user_restrictions import parse_restrictions

FIRST, SECOND = ["runtime=eager,onnxruntime"], ["runtime=eager"]


def spec(problem: Problem, folder: Path, only: list[str]) -> Spec:
    restrictions = restrictions_for(problem, parse_restrictions(None, only, []), folder)
    asked: dict[str, Any] = {"size": "tiny", "seed": 0, "trials": 4, "workers": 1}
    return make_spec(problem, ProblemSource(problem.name, ""), restrictions=restrictions, **asked)


@pytest.fixture
def ctrl_c_ignored() -> Generator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_ignored")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGUSR1])
def test_a_batch_system_ends_what_a_script_put_in_the_background(sign: signal.Signals) -> None:
    before = signal.getsignal(sign)
    with pytest.raises(KeyboardInterrupt), signals_as_interrupt():
        signal.raise_signal(sign)
    assert signal.getsignal(sign) is before


def test_a_run_is_resumed_in_its_own_space(problem: Problem, tmp_path: Path) -> None:
    begun = spec(problem, tmp_path / "run", FIRST)
    RunDirectory.start(tmp_path / "run", begun)
    assert spec(problem, tmp_path / "run", []) == begun
    assert spec(problem, tmp_path / "run", ["runtime=onnxruntime,eager"]) == begun
    assert RunDirectory.start(tmp_path / "run", begun).spec().restrictions == begun.restrictions
    assert spec(problem, tmp_path / "other", []).restrictions == Restrictions()


@pytest.mark.parametrize(("begun", "other"), [(FIRST, SECOND), ([], SECOND)])
def test_another_space_is_another_search(
    problem: Problem, tmp_path: Path, begun: list[str], other: list[str]
) -> None:
    RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", begun))
    with pytest.raises(UserError, match="belongs to another search"):
        RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", other))


def test_what_a_long_reference_took_holds_for_later_sessions_on_such_a_processor(
    problem: Problem, tmp_path: Path
) -> None:
    run = RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", []))
    here = collect_environment()
    assert run.reference_s(here.processor) is None
    facts: dict[str, Any] = {
        "summary": "",
        "samples": {},
        "failed": {},
        "metrics": (),
        "exclusions": (),
    }
    run.write("data.json", DatasetSummary(**facts, reference_s=60.0, processor=here.processor))
    assert run.reference_s(here.processor) == 60.0
    assert run.reference_s("another") is None


def test_a_run_whose_space_is_not_to_be_had_is_told(problem: Problem, tmp_path: Path) -> None:
    lost = spec(problem, tmp_path / "run", []).model_copy(
        update={"restrictions": Restrictions(keep={"architecture": ("of another version",)})}
    )
    RunDirectory.start(tmp_path / "run", lost)
    with pytest.raises(UserError, match=r"run .*: unknown option of architecture"):
        spec(problem, tmp_path / "run", [])
