"""What a search tries next, without training anything."""

from collections import Counter
from pathlib import Path

import pytest

from problems import Problem
from search.objectives.goals import objective_values
from search.pareto import non_dominated_ranks
from search.run.checkpoints import load_checkpoint, save_checkpoint
from search.run.directory import RunDirectory
from search.run.records import Record, State, count_networks
from search.run.spec import Spec
from search.sampling import study as study_module
from search.sampling import trial_queue as agenda_module
from search.sampling.history import combination_of
from search.sampling.next_network import NetworkSuggester, NetworkSuggestion
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue, TrialRequest
from tests.builders import make_record, make_rung, make_spec, trained_families
from tests.search.journals import stored_study

TRIALS, DEPLOYMENTS = 5, 3


@pytest.fixture
def spec(problem: Problem) -> Spec:
    return make_spec(
        problem,
        trials=TRIALS,
        workers=2,
        deployments=DEPLOYMENTS,
        restrictions=trained_families(problem),
    )


@pytest.fixture
def run(spec: Spec, tmp_path: Path) -> RunDirectory:
    return RunDirectory.start(tmp_path / "run", spec)


def agenda(problem: Problem, spec: Spec, run: RunDirectory) -> TrialQueue:
    study = SearchStudy(run.journal, problem, spec)
    return TrialQueue(
        study, run, spec, study.interrupted_trials({r.number: r for r in run.records()})
    )


def ended(problem: Problem, asked: TrialRequest, state: State = State.COMPLETE) -> Record:
    """A record whose figures hang on the candidate alone."""
    error, time_s = (1.0 / (1 + int(asked.candidate.key[i : i + 4], 16)) for i in (0, 4))
    return make_record(
        asked.number,
        asked.candidate,
        error=error,
        time_s=time_s,
        objective=problem.objective.name,
        training=asked.training,
        state=state,
        unpruned_error=None if state is State.STOPPED else error,
        untrained_relative_time=time_s,
    )


def deployed_again(records: list[Record]) -> int:
    return sum(record.training is not None for record in records)


def test_every_trained_network_is_deployed_again(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    plan = agenda(problem, spec, run)
    while asked := plan.next():
        plan.ended(ended(problem, asked))
    assert plan.finished
    records = run.records()
    assert count_networks(records) == TRIALS
    assert len(records) > TRIALS
    assert deployed_again(records) <= TRIALS * DEPLOYMENTS, (
        "a network that ended gives one more turn"
    )
    for first in (record for record in records if record.training is None):
        own = [record for record in records if record.training == first.number]
        assert len({combination_of(record) for record in (first, *own)}) == 1 + len(own)
        for record in own:
            pruned = {"pruning", "pruning_settings", "precision", "runtime"}
            same = record.candidate.model_dump(exclude=pruned)
            assert same == first.candidate.model_dump(exclude=pruned)


def test_networks_on_the_front_are_deployed_further(
    problem: Problem, spec: Spec, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        study_module, "next_deployment", lambda _, combinations, *__: combinations[0]
    )
    plan = agenda(problem, spec.model_copy(update={"initial_design_size": 1}), run)
    while asked := plan.next():
        plan.ended(ended(problem, asked))
    assert plan.finished
    records = run.records()
    points = [objective_values(problem, record) for record in records]
    best = {
        r.network_id
        for r, rank in zip(records, non_dominated_ranks(points), strict=True)
        if rank == 0
    }
    deployed = Counter(record.network_id for record in records)
    assert all(deployed[each] >= DEPLOYMENTS for each in best)
    assert max(deployed.values()) > DEPLOYMENTS
    assert deployed_again(records) == TRIALS * DEPLOYMENTS


def test_after_the_last_network_the_front_is_deployed_for_a_share_of_the_time(
    problem: Problem, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        study_module, "next_deployment", lambda _, combinations, *__: next(iter(combinations), None)
    )

    def trials(share: float) -> int:
        monkeypatch.setattr(agenda_module, "LATE_SHARE", share)
        plan = agenda(problem, spec, RunDirectory.start(tmp_path / f"{share}", spec))
        while asked := plan.next():
            record = ended(problem, asked)
            plan.ended(record.model_copy(update={"durations_s": {"measure": 1.0}}))
        assert plan.finished
        return len(plan.records)

    with_late = trials(0.3)
    assert 0 < with_late - trials(0.0) <= 0.3 * with_late + 1.0


def test_what_was_stopped_has_no_network_to_deploy(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    plan = agenda(problem, spec, run)
    while asked := plan.next():
        plan.ended(ended(problem, asked, State.STOPPED))
    assert len(run.records()) == TRIALS


def test_it_waits_for_what_may_be_deployed_again(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    plan = agenda(problem, spec, run)
    begun = [plan.next() for _ in range(TRIALS)]
    assert plan.next() is None
    assert not plan.finished
    (first, *_) = begun
    assert first is not None
    plan.ended(ended(problem, first))
    further = plan.next()
    assert further is not None
    assert further.training == first.number


def test_networks_of_the_initial_design_are_deployed_again_after_it(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    plan = agenda(problem, spec.model_copy(update={"initial_design_size": 3}), run)
    trained: list[int | None] = []
    for _ in range(4):
        asked = plan.next()
        assert asked is not None
        trained.append(asked.training)
        plan.ended(ended(problem, asked))
    assert trained == [None, None, None, 0]


def test_an_interrupted_deployment_is_tried_again(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    spec = spec.model_copy(update={"initial_design_size": 1})
    plan = agenda(problem, spec, run)
    first = plan.next()
    assert first is not None
    plan.ended(ended(problem, first))
    further, new = plan.next(), plan.next()
    assert further is not None
    assert new is not None
    run.checkpoint_path(new.number).parent.mkdir()
    run.checkpoint_path(new.number).touch()

    later = agenda(problem, spec, run)
    again = [later.next(), later.next()]
    assert [each and each.candidate for each in again] == [further.candidate, new.candidate]
    assert [each and each.training for each in again] == [first.number, new.training]
    if new.training is None:
        assert again[1] is not None
        assert run.checkpoint_path(again[1].number).exists()
    asked = [each for each in again if each]
    while asked:
        later.ended(ended(problem, asked.pop(0)))
        asked += [each for each in [later.next()] if each]
    records = run.records()
    assert count_networks(records) == TRIALS
    assert deployed_again(records) <= TRIALS * DEPLOYMENTS


def test_a_run_that_wants_fewer_networks_repeats_none_until_it_wants_more(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    plan = agenda(problem, spec, run)
    first, interrupted = plan.next(), plan.next()
    assert first is not None
    assert interrupted is not None
    plan.ended(ended(problem, first))
    fewer = spec.model_copy(update={"trials": 1, "deployments": 1})
    assert agenda(problem, fewer, run).finished
    assert agenda(problem, fewer, run).next() is None
    again = agenda(problem, spec, run).next()
    assert again is not None
    assert again.candidate == interrupted.candidate


def test_a_stopped_network_is_resumed(
    problem: Problem, spec: Spec, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec.model_copy(update={"initial_design_size": 1})
    plan = agenda(problem, spec, run)
    first = plan.next()
    assert first is not None
    rungs = tuple(make_rung(share=n / 4, epoch=n) for n in (1, 2))
    stopped = ended(problem, first, State.STOPPED).model_copy(update={"rungs": rungs})
    save_checkpoint(run.checkpoint_path(first.number), {"epochs": 2})
    plan.ended(stopped)

    parameters = stored_study(run.journal).trials[0].params
    wanted = NetworkSuggestion(parameters, resumes=first.number)
    with monkeypatch.context() as patch:
        patch.setattr(NetworkSuggester, "suggest_by_acquisition", lambda *_: wanted)
        on = plan.next()
    assert on is not None
    assert on == TrialRequest(on.number, first.candidate, None, first.number, resumed_share=0.5)
    assert load_checkpoint(run.checkpoint_path(on.number)) == {"epochs": 2}
    assert not run.checkpoint_path(first.number).exists()

    later = agenda(problem, spec, run)  # the driver was killed meanwhile
    again = later.next()
    assert again == on._replace(number=again.number if again else -1)
    assert again is not None
    assert load_checkpoint(run.checkpoint_path(again.number)) == {"epochs": 2}
    later.ended(ended(problem, again))
    assert not run.checkpoint_path(again.number).exists()
    while asked := later.next():
        later.ended(ended(problem, asked))
    assert count_networks(run.records()) == TRIALS


def test_of_many_stopped_networks_the_best_checkpoints_are_kept(
    problem: Problem, spec: Spec, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda_module, "MAX_CHECKPOINTS", 2)
    plan = agenda(problem, spec, run)
    for error in (0.3, 0.1, 0.4, 0.2):
        asked = plan.next()
        assert asked is not None
        save_checkpoint(run.checkpoint_path(asked.number), {"error": error})
        stopped = ended(problem, asked, State.STOPPED)
        plan.ended(stopped.model_copy(update={"rungs": (make_rung(error),)}))

    def errors() -> list[float]:
        return sorted(
            load_checkpoint(path)["error"] for path in run.folder.glob("trainings/*.unfinished")
        )

    assert errors() == [0.1, 0.2]
    run.discard_checkpoints()
    assert errors() == []


def test_one_deployment_is_the_trainings_own(
    problem: Problem, spec: Spec, run: RunDirectory
) -> None:
    alone = spec.model_copy(update={"deployments": 1})
    plan = agenda(problem, alone, run)
    while asked := plan.next():
        assert asked.training is None
        plan.ended(ended(problem, asked))
    assert plan.finished
    assert agenda(problem, alone, run).finished
