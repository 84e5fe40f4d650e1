import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from problems import Dataset, Problem, Size, Target
from problems.contract import RandomChoice
from problems.interfaces.types import take_samples
from search.final import seeds
from search.final.seeds import Repetition, complete_trial, retrain
from search.objectives.goals import objective_values
from search.run.checkpoints import load_checkpoint
from search.run.directory import RunDirectory
from search.run.records import MAX_TRACEBACK_CHARS, NO_LIMITS, Limits, Record, State
from search.run.spec import ExtraObjective
from search.timing import reference
from search.timing.reference import ReferenceTiming, time_reference
from search.trial import checkpointing, deployment, preparation
from search.trial.context import SearchContext
from search.trial.lifecycle import PATIENCE_SHARE, RUNG_SHARES, run_trial
from search.trial.preparation import (
    BestWeights,
    TaskCache,
    TrainingTask,
    initialise_learner,
    prepare_training,
    training_epochs,
)
from search.trial.record_builder import RungReport
from search.trial.scoring import score_split
from spaces.candidate import Arithmetic, Candidate, Precision
from spaces.registered import ARCHITECTURES
from spaces.restrictions import Restrictions
from spaces.space import Space
from spaces.surrogate import Surrogate

EPOCHS = 12
"""Of every training here, which need learn little."""


@pytest.fixture
def brief(problem: Problem, data: Dataset) -> Problem:
    """A problem whose trainings are short, with a fitted score."""
    epochs = min(problem.epochs or EPOCHS, EPOCHS)
    return replace(problem, epochs=epochs, score=problem.fitted_score(data.train))


@pytest.fixture(scope="module")
def timed_reference(problem: Problem, data: Dataset) -> ReferenceTiming:
    """How the reference is timed: a slow one beforehand, though in fewer calls than in a search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "PRETIMING_BUDGET_S", 0.5)
        return time_reference(problem, data.test)


@pytest.fixture
def timed(
    brief: Problem,
    data: Dataset,
    tmp_path: Path,
    timed_reference: ReferenceTiming,
    monkeypatch: pytest.MonkeyPatch,
) -> SearchContext:
    """A context whose clock is real, but is read for a shorter time than in a search."""
    monkeypatch.setattr(reference, "SLOT_BUDGET_S", 0.2)
    monkeypatch.setattr(reference, "MAX_SLOT_S", 1.0)
    return SearchContext(brief, data, timed_reference, NO_LIMITS, RunDirectory(tmp_path))


@pytest.fixture
def context(
    brief: Problem,
    data: Dataset,
    tmp_path: Path,
    constant_timing: None,  # noqa: ARG001 - it is set
) -> SearchContext:
    """The same with a clock that says one thing: most of a life isn't about time."""
    return SearchContext(
        brief, data, ReferenceTiming(None, 1e-3), NO_LIMITS, RunDirectory(tmp_path)
    )


@pytest.fixture
def candidate(problem: Problem) -> Candidate:
    """A candidate that is trained in epochs and quick to lower, without a teacher."""
    trained = tuple(name for name in ARCHITECTURES if not ARCHITECTURES[name].solved)
    space = Space(problem, Restrictions(keep={"architecture": trained}))
    drawn = space.choose_candidate(Size.TINY, RandomChoice(np.random.default_rng(0)), 0)
    quick = {"labelled": 0, "labelled_paths": 0, "augmented": 0, "arithmetic": Arithmetic.FP32}
    training = drawn.training.model_copy(update=quick)
    return drawn.model_copy(
        update={"runtime": "eager", "precision": Precision.FP32, "training": training}
    )


def test_a_whole_life(timed: SearchContext, candidate: Candidate) -> None:
    *rungs, record = run_trial(timed, candidate, 7)
    assert isinstance(record, Record)
    assert record.state is State.COMPLETE, record.reason
    assert [rung.rung for rung in rungs if isinstance(rung, RungReport)] == list(record.rungs)
    assert record.timing is not None
    ratio = record.timing.reference_s / record.timing.time_s
    assert record.timing.speedup == pytest.approx(ratio, rel=0.5)
    assert set(record.metrics) == {metric.name for metric in timed.problem.metrics}
    assert (timed.run.artefact_path(7) / "manifest.json").is_file()
    assert Record.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("problem", ["planets"], indirect=True)
def test_memory_is_measured_where_it_is_an_objective(
    timed: SearchContext, candidate: Candidate
) -> None:
    asked = replace(timed, extra_objectives=(ExtraObjective.MEMORY,))
    first, *_, record = run_trial(asked, candidate, 7)
    assert isinstance(first, RungReport)
    assert isinstance(record, Record)
    assert record.state is State.COMPLETE, record.reason
    assert first.memory_bytes == record.untrained_memory_bytes
    assert record.memory_bytes is not None
    assert record.parameters is not None
    # Weights and what lies between layers; not the runtime's libraries.
    assert 4 * record.parameters <= record.memory_bytes < 100e6
    assert len(objective_values(timed.problem, record)) == 3


@pytest.mark.parametrize("problem", ["planets"], indirect=True)
@pytest.mark.parametrize("learning_rate", [1e-3, 1e3])
def test_a_training_never_ends_worse_than_what_its_encoding_corrects(
    context: SearchContext, candidate: Candidate, data: Dataset, learning_rate: float
) -> None:
    image = {"coordinates": "cartesian", "window": 5}
    drawn = candidate.model_copy(
        update={
            "encoding": "image",
            "encoding_settings": image,
            "architecture": "mlp",
            "architecture_settings": {
                "width": 64, "depth": 1, "residual": False, "activation": "relu",
            },
            "training": candidate.training.model_copy(
                update={"learning_rate": learning_rate, "unrolled": 1, "augmented": 0}
            ),
        }
    )  # fmt: skip
    *_, record = run_trial(context, drawn, 3)
    assert isinstance(record, Record)
    persistence = score_split(
        context.problem, context.problem.baseline_runs["persistence"], data.validation
    ).metrics["element_error"]
    assert record.unpruned_error is not None
    assert record.untrained_error is not None
    assert record.untrained_error == pytest.approx(persistence, rel=1e-3)
    assert record.unpruned_error <= record.untrained_error
    if learning_rate > 1.0:
        assert record.unpruned_error == record.untrained_error
        assert record.rungs[-1].error > record.untrained_error, "rungs tell what training reached"
        assert record.metrics["element_error"] == pytest.approx(persistence, rel=1e-3)


def test_a_further_deployment_is_of_the_trained_network(
    context: SearchContext, candidate: Candidate
) -> None:
    *_, first = run_trial(context, candidate, 3)
    assert isinstance(first, Record)
    (again,) = run_trial(context, candidate, 5, training=3)
    assert isinstance(again, Record)
    assert again.state is State.COMPLETE, again.reason
    assert again.training == 3
    assert "train" not in again.durations_s
    assert again.unpruned_error == first.unpruned_error
    assert (again.metrics, again.artefact_hash) == (first.metrics, first.artefact_hash)
    other = candidate.model_copy(update={"runtime": "onnxruntime"})
    (elsewhere,) = run_trial(context, other, 6, training=3)
    assert isinstance(elsewhere, Record)
    assert elsewhere.eager_error == first.eager_error
    assert (context.run.artefact_path(6) / "manifest.json").is_file()


def test_a_training_that_is_lost_is_a_reason(context: SearchContext, candidate: Candidate) -> None:
    (record,) = run_trial(context, candidate, 5, training=3)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, "load")
    assert "0003.trained can't be read" in record.reason


def test_an_interrupted_training_is_resumed(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, whole = run_trial(context, candidate, 0)
    assert isinstance(whole, Record)
    monkeypatch.setattr(checkpointing, "CHECKPOINT_INTERVAL_S", 0.0)
    life = run_trial(context, candidate, 1)
    rungs = [next(life), next(life)]
    life.close()
    context.run.transfer_checkpoint(1, 2)
    epochs: list[int] = []
    update = BestWeights.update

    def counted(self: BestWeights, network: nn.Module) -> None:
        epochs.append(1)
        update(self, network)

    monkeypatch.setattr(BestWeights, "update", counted)
    *again, record = run_trial(context, candidate, 2)
    assert isinstance(record, Record)
    assert record.rungs == whole.rungs
    assert [event.rung for event in again if isinstance(event, RungReport)] == list(whole.rungs)
    assert [event.rung for event in rungs if isinstance(event, RungReport)] == list(whole.rungs)
    assert (record.metrics, record.artefact_hash) == (whole.metrics, whole.artefact_hash)
    assert 0 < len(epochs) <= math.ceil(0.75 * whole_epochs(context, candidate))


def test_a_network_stopped_at_a_rung_is_resumed_from_there(
    context: SearchContext, candidate: Candidate
) -> None:
    *_, whole = run_trial(context, candidate, 0)
    assert isinstance(whole, Record)
    life = run_trial(context, candidate, 1)
    first = next(life)
    assert isinstance(first, RungReport)
    life.close()
    trainer = load_checkpoint(context.run.checkpoint_path(1))
    assert trainer["rungs"] == [first.rung.model_dump()]
    context.run.transfer_checkpoint(1, 2)
    *_, record = run_trial(context, candidate, 2)
    assert isinstance(record, Record)
    assert (record.rungs, record.metrics) == (whole.rungs, whole.metrics)


def test_another_candidates_checkpoint_is_not_restored(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = candidate.model_copy(update={"seed": candidate.seed + 1})
    *_, own = run_trial(context, other, 0)
    assert isinstance(own, Record)
    monkeypatch.setattr(checkpointing, "CHECKPOINT_INTERVAL_S", 0.0)
    life = run_trial(context, candidate, 1)
    next(life)
    next(life)
    life.close()
    *_, record = run_trial(context, other, 1)
    assert isinstance(record, Record)
    assert (record.rungs, record.metrics) == (own.rungs, own.metrics)


def test_a_network_that_is_trained_again_is_limited_as_a_trial_is(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    @contextmanager
    def limited() -> Generator[None]:
        begun.append(1)
        yield

    *_, trained = run_trial(context, candidate, 3)
    assert isinstance(trained, Record)
    monkeypatch.setattr(seeds, "watchdog", limited)
    again = retrain(context, Repetition(trained, 1))
    assert not again.reason
    assert len(begun) == len(RUNG_SHARES) + 2


@pytest.mark.parametrize("problem", ["planets", "stability"], indirect=True)
def test_the_mean_over_seeds_is_deployed_as_one_network(
    context: SearchContext, candidate: Candidate
) -> None:
    *_, trained = run_trial(context, candidate, 3)
    assert isinstance(trained, Record)
    assert not retrain(context, Repetition(trained, 1)).reason
    members = (candidate.seed, candidate.seed + 1)
    ensemble = candidate.model_copy(update={"ensemble_seeds": members})
    record = complete_trial(context, ensemble, 4, training=3)
    assert record.state is State.COMPLETE, record.reason
    assert record.network_id == 4
    task = prepare_training(context.problem, candidate, context.data)
    inputs, outputs = task.pairs.inputs[: context.problem.deployment.batch], list[np.ndarray]()
    kept = (
        context.run.trained_network_path(3),
        context.run.retrained_network_path(3, candidate.seed + 1),
    )
    for seed, path in zip(members, kept, strict=True):
        learner = initialise_learner(candidate.model_copy(update={"seed": seed}), task.shape)
        learner.load_state_dict(load_checkpoint(path)["learner"])
        outputs.append(learner.network(torch.from_numpy(inputs)).detach().numpy())
    surrogate = Surrogate.load(context.run.artefact_path(4), context.problem)
    deployed = surrogate.network(inputs)
    np.testing.assert_allclose(deployed, np.mean(outputs, axis=0), rtol=1e-4, atol=1e-5)
    assert not np.allclose(outputs[0], outputs[1])
    few = take_samples(context.data.validation.inputs, slice(8))
    prediction = surrogate.run(few, np.random.default_rng(0), spread=True)
    of_labels = task.encoding.target is Target.LABEL
    assert bool(prediction.calibration.fields) is not of_labels
    for name, array in surrogate.run(few, np.random.default_rng(0)).items():
        np.testing.assert_array_equal(prediction.outputs[name], array)
        assert prediction.deviations[name].shape == array.shape
        assert prediction.deviations[name].min() >= 0.0
    # A field that a network of these settings doesn't decide is the same for all members.
    assert max(deviations.max() for deviations in prediction.deviations.values()) > 0.0


def test_a_training_in_which_nothing_gets_better_ends_early(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = {metric.name: 1.0 for metric in context.problem.metrics}
    alike = replace(context.problem, score=lambda *_: scored)
    offered: list[float] = []
    update = BestWeights.update

    def noted(best: BestWeights, network: nn.Module) -> None:
        update(best, network)
        offered.append(best.error)

    monkeypatch.setattr(BestWeights, "update", noted)
    task = prepare_training(alike, candidate, context.data)
    epochs = training_epochs(alike, task, initialise_learner(candidate, task.shape))
    untrained = int(task.encoding.corrected_baseline is not None)
    ends = 1 + math.ceil(PATIENCE_SHARE * epochs)
    assert ends < epochs
    *rungs, _ = run_trial(replace(context, problem=alike), candidate, 3)
    assert len(rungs) == len(RUNG_SHARES)
    scaled = int(candidate.training.temperature)
    assert len(offered) == untrained + ends + scaled
    *_, again = run_trial(replace(context, problem=alike), candidate, 3)  # as after an interruption
    assert isinstance(again, Record)
    assert again.unpruned_error == 1.0
    assert len(offered) == 2 * (untrained + scaled) + ends


@pytest.mark.parametrize("problem", ["planets"], indirect=True)
def test_augmentation_trains_on_more_pairs(
    problem: Problem, data: Dataset, candidate: Candidate
) -> None:
    assert problem.symmetries
    more = candidate.training.model_copy(update={"augmented": 2})
    plain = prepare_training(problem, candidate, data)
    richer = prepare_training(problem, candidate.model_copy(update={"training": more}), data)
    assert len(richer.pairs.inputs) == 3 * len(plain.pairs.inputs)


def test_a_further_deployment_is_prepared_as_if_it_were_the_first(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[TrainingTask] = []

    def noted(*asked: Any) -> TrainingTask:
        made.append(prepare_training(*asked))
        return made[-1]

    monkeypatch.setattr(preparation, "prepare_training", noted)
    first = [*run_trial(context, candidate, 0)][-1]
    again = [*run_trial(context, candidate, 1, training=0)][-1]
    elsewhere = replace(context, task_cache=TaskCache())
    anew = [*run_trial(elsewhere, candidate, 2, training=0)][-1]
    assert isinstance(first, Record)
    assert isinstance(again, Record)
    assert isinstance(anew, Record)
    assert first.metrics == again.metrics == anew.metrics
    assert first.artefact_hash == again.artefact_hash == anew.artefact_hash
    acting = made[0].environment is not None
    assert len(made) == (3 if acting else 2)


def whole_epochs(context: SearchContext, candidate: Candidate) -> int:
    task = prepare_training(context.problem, candidate, context.data)
    learner = initialise_learner(candidate, task.shape)
    return training_epochs(context.problem, task, learner)


def test_the_same_seed_gives_the_same_error(context: SearchContext, candidate: Candidate) -> None:
    first, second = ([*run_trial(context, candidate, n)][-1] for n in (0, 1))
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert first.metrics == second.metrics
    assert first.artefact_hash == second.artefact_hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"limits": Limits(speedup=1e9), "reference_timing": ReferenceTiming(None, 1.0)},
            "the goal is 1e+09x",
        ),
        ({"reference_timing": ReferenceTiming(None, 1e-9)}, "times as long as the reference"),
    ],
)
def test_too_slow_is_infeasible_before_training(
    timed: SearchContext, candidate: Candidate, change: dict[str, Any], words: str
) -> None:
    (record,) = run_trial(replace(timed, **change), candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, "time first")
    assert words in record.reason
    assert "train" not in record.durations_s
    assert not timed.run.artefact_path(0).exists()


def test_nothing_is_too_slow_for_a_reference_without_a_time(
    timed: SearchContext, candidate: Candidate
) -> None:
    timeless = replace(timed, reference_timing=ReferenceTiming(None, 1e-9, has_time=False))
    first, *_ = run_trial(timeless, candidate, 0)
    assert isinstance(first, RungReport)


@pytest.mark.parametrize(
    ("module", "name", "stage"),
    [
        (deployment, "initialise_learner", "prepare"),
        (preparation, "Trainer", "train"),
        (deployment, "measure", "time first"),
        (deployment, "write_artefact", "time first"),
    ],
)
@pytest.mark.parametrize("error", [MemoryError("none left"), RuntimeError("line one\nline two")])
def test_whatever_goes_wrong_is_a_record(  # noqa: PLR0917 - fixtures
    context: SearchContext,
    candidate: Candidate,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    stage: str,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise type(error)(*error.args)  # one that was raised before brings its traceback

    monkeypatch.setattr(module, name, fail)
    *_, record = run_trial(context, candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, stage)
    assert type(error).__name__ in record.reason
    assert str(error) in record.reason
    assert record.traceback.startswith("Traceback (most recent call last)")
    assert record.traceback.rstrip().endswith(f"{type(error).__name__}: {error}")


def test_a_record_keeps_the_end_of_a_long_traceback(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("long " * MAX_TRACEBACK_CHARS + "end")

    monkeypatch.setattr(preparation, "prepare_training", fail)
    (record,) = run_trial(context, candidate, 0)
    assert isinstance(record, Record)
    assert len(record.traceback) == MAX_TRACEBACK_CHARS
    assert record.traceback.endswith("end\n")


def test_a_record_without_a_traceback_is_read(context: SearchContext, candidate: Candidate) -> None:
    (record,) = run_trial(context, candidate, 5, training=3)
    assert isinstance(record, Record)
    older = record.model_dump(mode="json", exclude={"traceback"})
    assert Record.model_validate(older).traceback == ""


def test_a_stopped_trial_stops_and_leaves_no_artefact(
    context: SearchContext, candidate: Candidate
) -> None:
    life = run_trial(context, candidate, 0)
    first = next(life)
    assert isinstance(first, RungReport)
    assert list(first.durations_s) == ["prepare", "time first", "train"]
    life.close()
    assert list(life) == []
    assert list((context.run.folder / "artefacts").iterdir()) == []


def test_a_score_that_is_no_number_is_a_reason(
    context: SearchContext, candidate: Candidate
) -> None:
    def score(*_: object) -> dict[str, float]:
        return dict.fromkeys((metric.name for metric in context.problem.metrics), math.nan)

    odd = replace(context, problem=replace(context.problem, score=score))
    *_, record = run_trial(odd, candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, "validate")
    assert "not a finite number" in record.reason


@pytest.mark.parametrize("problem", ["planets"], indirect=True)
def test_data_that_cannot_be_encoded_name_the_field(
    context: SearchContext, candidate: Candidate
) -> None:
    outputs = dict(context.data.train.outputs)
    name = next(iter(outputs))
    outputs[name] = np.array(outputs[name], dtype=float)
    outputs[name][3] = np.inf
    data = replace(context.data, train=replace(context.data.train, outputs=outputs))
    (record,) = run_trial(replace(context, data=data), candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, "prepare")
    assert f"output {name!r}" in record.reason
    assert "isn't finite" in record.reason


def test_a_goal_that_is_missed_is_a_constraint_and_no_failure(
    context: SearchContext, candidate: Candidate
) -> None:
    wish = replace(context, limits=Limits(error=1e-9))
    *_, record = run_trial(wish, candidate, 0)
    assert isinstance(record, Record)
    assert record.state is State.COMPLETE
    assert record.timing is not None
    error = record.metrics[context.problem.objective.name]
    assert wish.limits.constraint_values(error, record.timing.speedup)["error"] > 0.0
    assert not wish.limits.met(error, record.timing.speedup)
