"""Goals become figures, and what a surrogate's time is held against is known or timed."""

from dataclasses import replace

import numpy as np
import pytest

from problems import BaselineMargin, Batch, Calibration, Dataset, Goals, Problem, Samples, UserError
from problems.dataset import generate
from problems.template import OUTPUTS, DampedOscillator, undamped
from problems.template import problem as template
from search import measurement
from search.goals import limits_of
from search.measurement import Yardstick, yardstick
from search.records import NO_LIMITS, Limits
from search.scoring import scored


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Dataset]:
    problem = replace(template, samples=Samples(32, 16, 16, 0), shifted=None)
    return problem, generate(problem, tmp_path_factory.mktemp("cache"))


def nothing(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    return {f.name: np.full((len(inputs["damping"]), *f.shape), np.nan) for f in OUTPUTS}


def constant(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    return {f.name: np.full((len(inputs["damping"]), *f.shape), 9.0) for f in OUTPUTS}


def test_a_relative_goal_is_a_share_of_the_best_baseline(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    wish = replace(
        problem,
        baselines={"constant": constant, "undamped": undamped, "nothing": nothing},
        goals=Goals(error=BaselineMargin(0.01), speedup=5.0),
    )
    limits = limits_of(wish, data)
    best = scored(problem, undamped, data.validation).metrics["error"]
    assert limits.error == pytest.approx(1.01 * best)
    assert (limits.baseline, limits.worse_by, limits.speedup) == ("undamped", 0.01, 5.0)
    with pytest.raises(UserError, match="give the error as a figure"):
        limits_of(replace(wish, baselines={"nothing": nothing}), data)


def test_a_goal_in_figures_stays_as_it_is(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    assert limits_of(problem, data) == NO_LIMITS
    assert not NO_LIMITS.any
    assert NO_LIMITS.met(1e9, 1e-9)
    wish = replace(problem, goals=Goals(error=0.1))
    assert limits_of(wish, data) == Limits(error=0.1)


@pytest.mark.parametrize(
    ("error", "speedup", "met"),
    [(0.1, 10.0, True), (0.1001, 10.0, False), (0.1, 9.9, False), (0.0, 1e6, True)],
)
def test_goals_are_met_together(error: float, speedup: float, met: bool) -> None:  # noqa: FBT001 - a table's column
    limits = Limits(error=0.1, speedup=10.0)
    assert limits.met(error, speedup) is met
    assert (max(limits.shortfalls(error, speedup).values()) <= 0.0) is met


def test_the_reference_is_timed_as_the_host_calls_it(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    stick = yardstick(problem, data.test)
    assert stick.samples == problem.deployment.batch
    (timed,) = stick.contenders(data.test).values()
    assert timed.samples == problem.deployment.batch
    np.testing.assert_allclose(stick.seconds({"reference": np.ones(3)}, 3), 1.0)


def test_a_calibration_comes_first(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    short = Calibration(DampedOscillator(steps_per_frame=5), share=0.2, samples=4)
    stick = yardstick(replace(problem, calibration=short), data.test)
    assert (stick.samples, stick.share) == (4, 0.2)
    np.testing.assert_allclose(stick.seconds({"reference": np.ones(2)}, 2), 5.0)


def test_a_long_reference_is_timed_once(
    small: tuple[Problem, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = small
    monkeypatch.setattr(measurement, "SLOWEST_SAMPLE_S", 0.0)
    stick = yardstick(problem, data.test)
    assert stick.run is None
    assert stick.known_s > 0.0
    assert stick.contenders(data.test) == {}
    np.testing.assert_array_equal(stick.seconds({}, 3), stick.known_s)


def test_recorded_data_bring_their_cost(small: tuple[Problem, Dataset]) -> None:
    assert Yardstick(None, known_s=3.0).contenders(small[1].test) == {}
    np.testing.assert_array_equal(Yardstick(None, known_s=3.0).seconds({}, 2), [3.0, 3.0])
