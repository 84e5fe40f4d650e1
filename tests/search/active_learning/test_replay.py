"""Emulators that choose inputs, and the replay that decides whether they do."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from numpy.linalg import LinAlgError

from problems import Dataset, Problem, Samples
from problems.baselines.linear_models import fit_linear
from problems.baselines.standard import StandardBaseline
from problems.baselines.training_rows import FittedModel, TrainingRows
from search.active_learning.emulator import ChoosingEmulator, usable_baselines
from search.active_learning.replay import MIN_SAMPLES, replay_choice
from search.run.simulations import Replay, ReplayPoint
from tests.search.active_learning.simulations import Waves, make_data, make_problem


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Dataset]:
    problem = make_problem(simulation=Waves(fails_above=3.0), samples=Samples(96, 60, 16, 0))
    return problem, make_data(problem, tmp_path_factory.mktemp("waves"))


@pytest.mark.parametrize("name", ["linear", "nearest neighbours", "Gaussian process"])
def test_every_emulator_has_a_covariance(name: str, waves: tuple[Problem, Dataset]) -> None:
    problem, data = waves
    emulator = ChoosingEmulator.fit(problem, data.train, name)
    covariance = emulator.covariance(data.validation.inputs, np.random.default_rng(0))
    assert covariance is not None
    matrix, noise = covariance
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    assert np.diag(matrix).max() > 0.0
    assert noise >= 0.0
    assert emulator.error(data.validation) > 0.0


def test_members_that_can_not_be_fitted_are_left_out(waves: tuple[Problem, Dataset]) -> None:
    problem, data = waves
    emulator = ChoosingEmulator.fit(problem, data.train, "linear")
    calls = count()

    def two_of_eight(rows: TrainingRows) -> FittedModel:
        if next(calls) not in {3, 5}:
            raise LinAlgError("singular")
        return fit_linear(rows)

    for method, known in ((two_of_eight, True), (two_of_eight, False)):
        failing = replace(emulator, baseline=StandardBaseline(method, emulator.baseline.encoding))
        covariance = failing.covariance(data.validation.inputs, np.random.default_rng(0))
        assert (covariance is not None) is known


def test_a_problem_without_standard_baselines_can_choose_inputs() -> None:
    assert "Gaussian process" in usable_baselines(make_problem(standard_baselines=False))


def test_choosing_beats_random_draws_on_a_smooth_function(waves: tuple[Problem, Dataset]) -> None:
    problem, data = waves
    steps: list[tuple[int, int]] = []
    replay = replay_choice(
        problem, data.train, data.validation, 200, lambda done, total: steps.append((done, total))
    )
    assert replay.chooses
    assert replay.error_ratio is not None
    assert replay.error_ratio < 0.5
    assert replay.points[0].chosen == replay.points[0].random
    assert steps[-1][0] == steps[-1][1]


def test_few_samples_are_not_compared(waves: tuple[Problem, Dataset]) -> None:
    problem, data = waves
    few = data.train.take(np.arange(MIN_SAMPLES - 1))
    replay = replay_choice(problem, few, data.validation, 200, lambda *_: None)
    assert replay.emulator
    assert replay.error_ratio is None
    assert not replay.chooses


def test_a_rule_that_is_no_better_is_not_used() -> None:
    def point(samples: int, chosen: float) -> ReplayPoint:
        return ReplayPoint(samples=samples, chosen=(chosen,), random=(0.5,))

    worse = Replay(emulator="linear", points=(point(8, 0.1), point(16, 0.6), point(32, 0.1)))
    assert worse.error_ratio == pytest.approx(1.2)
    assert not worse.chooses
