"""What the driver does with what its workers say, without a cluster."""

import io
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import TrialScheduler
from rich.console import Console

from problems import Dataset, Deployment, InterruptedRunError, Problem
from search import driver
from search.objectives.baselines import NO_BASELINES
from search.progress import ProgressDisplay
from search.run.checkpoints import save_checkpoint
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, State
from search.run.spec import Spec
from search.sampling.history import has_trained_network
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.reference import ReferenceTiming
from search.trial.lifecycle import RungReport, SearchContext
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import RungScheduler, SearchStopper, StudySearcher
from tests.builders import make_rung, make_spec


@pytest.fixture
def spec(problem: Problem) -> Spec:
    return make_spec(problem)


@pytest.fixture
def run(spec: Spec, tmp_path: Path) -> RunDirectory:
    return RunDirectory.start(tmp_path / "run", spec)


@pytest.fixture
def searcher(problem: Problem, spec: Spec, run: RunDirectory) -> StudySearcher:
    progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
    agenda = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    return StudySearcher(agenda, run, progress, spec.workers)


def at_rung(error: float = 0.5) -> dict:
    return RungReport(make_rung(error), 1e-4, {"train": 3.0}).as_result()


def test_a_trial_that_was_stopped_is_pruned_with_its_rungs(
    searcher: StudySearcher, run: RunDirectory
) -> None:
    searcher.suggest()
    searcher.on_trial_result("0", at_rung())
    searcher.on_trial_complete("0", at_rung())
    (record,) = run.records()
    assert record.state is State.STOPPED
    assert [rung.error for rung in record.rungs] == [0.5, 0.5]
    assert record.untrained_relative_time == 1e-4
    assert record.durations_s == {"train": 3.0}


def test_a_resumed_network_passes_the_rung_where_it_was_stopped(searcher: StudySearcher) -> None:
    came: list[float] = []

    class Noting(SuccessiveHalving):
        def should_continue(self, share: float, error: float, *costs: float) -> bool:
            came.append(error)
            return super().should_continue(share, error, *costs)

    halving = Noting()
    scheduler = RungScheduler(halving, searcher)
    halving.should_continue(0.25, 0.1, 1e-5)

    def decided(passes: float) -> str:
        trial = SimpleNamespace(config={"resumed_share": passes})
        return scheduler.on_trial_result(None, trial, at_rung(9.0))

    assert decided(0.0) == TrialScheduler.STOP
    assert decided(0.25) == TrialScheduler.CONTINUE
    assert came == [0.1, 9.0], "it came to its rung once"


def test_a_dead_worker_gives_its_reason(searcher: StudySearcher, run: RunDirectory) -> None:
    searcher.suggest()
    searcher.record_worker_death("0", "its worker died: out of memory")
    searcher.on_trial_complete("0", error=True)
    (record,) = run.records()
    assert (record.state, record.stage) == (State.INFEASIBLE, "worker")
    assert record.reason == "its worker died: out of memory"


def test_a_dead_trial_leaves_its_trained_network_to_be_deployed(
    searcher: StudySearcher, run: RunDirectory
) -> None:
    asked = searcher.suggest()
    assert asked
    save_checkpoint(run.trained_network_path(asked.number), {"learner": {}, "error": 0.25})
    searcher.on_trial_complete("0", error=True)
    (record,) = run.records()
    assert record.state is State.INFEASIBLE
    assert record.unpruned_error == 0.25
    assert has_trained_network(record)


@pytest.mark.parametrize("where", ["save_record", "check_disk_space"])
def test_a_full_disk_ends_the_search_and_blames_no_candidate(
    searcher: StudySearcher,
    run: RunDirectory,
    problem: Problem,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    asked = searcher.suggest()
    assert asked

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, where, full)
        searcher.on_trial_complete("0", error=True)
    assert searcher.storage_error is not None
    assert SearchStopper(searcher).stop_all()
    assert searcher.suggest() is None
    assert run.records() == []
    later = SearchStudy(run.journal, problem, run.spec())
    (fixed,) = later.interrupted_trials({})
    assert later.ask(fixed)[1] == asked.candidate


def test_infinity_travels(searcher: StudySearcher, run: RunDirectory) -> None:
    searcher.suggest()
    searcher.on_trial_complete("0", at_rung(math.inf))
    (record,) = run.records()
    assert record.rungs[0].error == math.inf


def test_a_stop_request_ends_the_suggestions(searcher: StudySearcher, run: RunDirectory) -> None:
    assert not SearchStopper(searcher).stop_all()
    run.request_stop()
    assert SearchStopper(searcher).stop_all()
    assert searcher.suggest() is None
    assert searcher.is_finished()


def test_a_trial_is_granted_a_core_for_every_thread(
    problem: Problem, spec: Spec, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[dict[str, float]] = []

    def with_resources(_: object, resources: dict[str, float]) -> None:
        granted.append(resources)

    monkeypatch.setattr(tune, "with_parameters", lambda actor, **_: actor)
    monkeypatch.setattr(tune, "with_resources", with_resources)
    monkeypatch.setattr(tune, "Tuner", lambda *_, **__: SimpleNamespace(fit=lambda: None))
    threaded = replace(problem, deployment=Deployment(batch=1, threads=3))
    nothing: Any = SimpleNamespace()
    data = Dataset(nothing, nothing, nothing, nothing)
    context = SearchContext(threaded, data, ReferenceTiming(None, 1.0), NO_LIMITS, run)
    with pytest.raises(InterruptedRunError):
        driver.run_remaining_trials(
            context,
            spec,
            run,
            ProgressDisplay(problem, 4, Console(file=io.StringIO())),
            lambda _: NO_BASELINES,
        )
    assert granted == [{"cpu": 3}]


def test_no_more_run_at_a_time_than_there_are_workers(searcher: StudySearcher) -> None:
    assert searcher.suggest()
    assert searcher.suggest() is None
    searcher.on_trial_complete("0", at_rung())
    assert searcher.suggest()
