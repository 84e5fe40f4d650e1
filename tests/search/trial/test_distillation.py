"""Further training samples: inputs like those of training, outputs of the teacher."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, Size, Split
from problems.contract import RandomChoice
from problems.template.problem import DampedOscillator
from problems.template.problem import problem as oscillator
from search.trial import preparation
from search.trial.distillation import NoTeacherError, interpolated_inputs, with_labelled
from search.trial.preparation import (
    STEPS_WITH_TEACHER,
    initialise_learner,
    prepare_training,
    training_epochs,
)
from spaces.candidate import Candidate
from spaces.space import choose_candidate

RNG = np.random.default_rng(0)
GRU = {"width": 32, "layers": 1}


@pytest.fixture(scope="module")
def train() -> Split:
    inputs = DampedOscillator().draw(64, np.random.default_rng(1))
    return Split(inputs, DampedOscillator().run(inputs, RNG))


def test_the_teacher_answers_for_new_inputs_in_the_range_of_training(train: Split) -> None:
    def teacher(inputs: Batch, rng: np.random.Generator) -> Batch:
        outputs = {name: np.array(a) for name, a in DampedOscillator().run(inputs, rng).items()}
        outputs["position"][::100] = np.nan  # a prediction that fails
        return outputs

    more = with_labelled(oscillator, train, teacher, 300, seed=0)
    assert len(more) == 64 + 297
    for name, values in train.inputs.items():
        np.testing.assert_array_equal(more.inputs[name][:64], values)
        assert len(np.unique(more.inputs[name])) == len(more)
    assert (more.inputs["frequency"] >= 0.5).all()
    assert (more.inputs["frequency"] <= 3.0).all()
    exact = DampedOscillator().run(more.inputs, RNG)
    np.testing.assert_array_equal(more.outputs["velocity"], exact["velocity"])
    again = with_labelled(oscillator, train, teacher, 300, seed=0)
    np.testing.assert_array_equal(more.inputs["damping"], again.inputs["damping"])


def test_recorded_inputs_are_moved_towards_their_neighbours() -> None:
    x = RNG.normal(size=(50, 3))
    inputs = {"x": x, "kind": RNG.integers(0, 3, 50).astype(float), "scale": 1e6 * x[:, 0]}
    between = interpolated_inputs(inputs, 400, RNG)
    assert set(np.unique(between["kind"])) <= {0.0, 1.0, 2.0}
    np.testing.assert_allclose(between["scale"], 1e6 * between["x"][:, 0])
    assert (between["x"] <= x.max(axis=0)).all()
    assert (between["x"] >= x.min(axis=0)).all()
    distances = np.linalg.norm(between["x"][:, None] - x, axis=-1).min(axis=1)
    typical = np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, 5].max()
    assert 0.0 < distances.max() < typical


def with_labels(problem: Problem) -> Candidate:
    drawn = choose_candidate(problem, Size.STANDARD, RandomChoice(np.random.default_rng(0)), 0)
    network = {"width": 64, "depth": 1, "residual": False, "activation": "relu"}
    return drawn.model_copy(
        update={
            "training": drawn.training.model_copy(
                update={"labelled": 128, "labelled_paths": 0, "augmented": 0}
            ),
            "encoding": "path",
            "encoding_settings": {},
            "architecture": "mlp",
            "architecture_settings": network,
        }
    )


def test_a_network_learns_from_both_in_stated_steps(train: Split) -> None:
    empty = train.take(np.arange(0))
    data = Dataset(train, empty, empty, empty)
    problem = replace(oscillator, epochs=30)
    candidate = with_labels(problem)
    task = prepare_training(problem, candidate, data, DampedOscillator().run)
    assert len(task.pairs.inputs) == 3 * 64
    assert training_epochs(problem, task, initialise_learner(candidate, task.shape)) == (
        30 // 3 * STEPS_WITH_TEACHER
    )
    with pytest.raises(NoTeacherError, match="no standard baseline"):
        prepare_training(problem, candidate, data)


@pytest.mark.parametrize(("pairs", "further"), [(100, 100), (10, 64)])
def test_further_samples_make_no_more_pairs_than_memory_holds(
    train: Split, monkeypatch: pytest.MonkeyPatch, pairs: int, further: int
) -> None:
    monkeypatch.setattr(preparation, "MAX_LABELLED_PAIRS", pairs)
    empty = train.take(np.arange(0))
    data = Dataset(train, empty, empty, empty)
    task = prepare_training(oscillator, with_labels(oscillator), data, DampedOscillator().run)
    assert len(task.pairs.inputs) == 64 + further


def test_a_roll_out_learns_from_further_paths_in_as_many_steps(train: Split) -> None:
    empty = train.take(np.arange(0))
    data = Dataset(train, empty, empty, empty)
    candidate = with_labels(oscillator).model_copy(
        update={"encoding": "steps", "architecture": "gru", "architecture_settings": GRU}
    )
    paths = candidate.training.model_copy(update={"labelled": 0, "labelled_paths": 128})
    candidate = candidate.model_copy(update={"training": paths})
    task = prepare_training(oscillator, candidate, data, DampedOscillator().run)
    alone = paths.model_copy(update={"labelled_paths": 0})
    plain = prepare_training(oscillator, candidate.model_copy(update={"training": alone}), data)
    assert len(task.pairs.inputs) == 3 * len(plain.pairs.inputs)
    learner = initialise_learner(candidate, task.shape)
    steps = [training_epochs(oscillator, t, learner) * len(t.pairs.inputs) for t in (task, plain)]
    assert steps[0] == pytest.approx(steps[1], rel=0.05)


def test_keys_of_candidates_without_a_teacher_are_those_of_older_versions() -> None:
    candidate = with_labels(oscillator)
    plain = candidate.model_copy(
        update={"training": candidate.training.model_copy(update={"labelled": 0})}
    )
    stored = plain.model_dump(mode="json")
    assert "ensemble_seeds" not in stored
    assert not {"labelled", "labelled_paths", "teacher"} & set(stored["training"])
    assert Candidate.model_validate(stored) == plain
    assert Candidate.model_validate_json(candidate.model_dump_json()) == candidate
    assert candidate.key != plain.key
