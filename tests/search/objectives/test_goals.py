"""Goals become figures, and what a surrogate's time is held against is known or timed."""

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from problems import (
    BaselineMargin,
    Batch,
    Calibration,
    Dataset,
    Goals,
    Problem,
    Recorded,
    Run,
    Samples,
    Size,
    Split,
    UserError,
)
from problems.contract import RandomChoice
from problems.data.dataset import generate, search_digest
from problems.template.problem import OUTPUTS, DampedOscillator, undamped
from problems.template.problem import problem as template
from search.objectives.baselines import (
    baseline_errors,
    mean_error,
    score_baselines,
    time_baselines,
)
from search.objectives.goals import limits_from_goals
from search.objectives.recommendation import MAX_FRONT_MEMBERS, recommendation, select_finalists
from search.run.records import NO_LIMITS, Limits, Record
from search.timing import reference
from search.timing.reference import ReferenceTiming, time_reference
from search.trial.scoring import score_split
from spaces.space import choose_candidate
from tests.builders import make_record


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Dataset]:
    problem = replace(template, samples=Samples(32, 16, 16, 0), shifted=None)
    return problem, generate(problem, tmp_path_factory.mktemp("cache"))


def nothing(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    return {f.name: np.full((len(inputs["damping"]), *f.shape), np.nan) for f in OUTPUTS}


def constant(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    return {f.name: np.full((len(inputs["damping"]), *f.shape), 9.0) for f in OUTPUTS}


def limits_for(problem: Problem, data: Dataset) -> Limits:
    return limits_from_goals(problem, baseline_errors(problem, data))


def test_a_relative_goal_is_a_share_of_the_best_baseline(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    wish = replace(
        problem,
        baselines={"constant": constant, "undamped": undamped, "nothing": nothing},
        goals=Goals(error=BaselineMargin(0.01), speedup=5.0),
    )
    limits = limits_for(wish, data)
    best = score_split(problem, undamped, data.validation).metrics["error"]
    assert limits.error == pytest.approx(1.01 * best)
    assert (limits.baseline, limits.worse_by, limits.speedup) == ("undamped", 0.01, 5.0)
    with pytest.raises(UserError, match="give the error as a figure"):
        limits_for(replace(wish, baselines={"nothing": nothing}), data)


def test_a_goal_in_figures_stays_as_it_is(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    assert limits_for(problem, data) == NO_LIMITS
    assert not NO_LIMITS.has_goals
    assert NO_LIMITS.met(1e9, 1e-9)
    wish = replace(problem, goals=Goals(error=0.1))
    assert limits_for(wish, data) == Limits(error=0.1)


@pytest.mark.parametrize(
    ("error", "speedup", "met"),
    [(0.1, 10.0, True), (0.1001, 10.0, False), (0.1, 9.9, False), (0.0, 1e6, True)],
)
def test_goals_are_met_together(error: float, speedup: float, met: bool) -> None:  # noqa: FBT001 - a table's column
    limits = Limits(error=0.1, speedup=10.0)
    assert limits.met(error, speedup) is met
    assert (max(limits.constraint_values(error, speedup).values()) <= 0.0) is met


def test_the_reference_is_timed_as_the_host_calls_it(
    small: tuple[Problem, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = small
    ticking(monkeypatch, 0.0, 1e-4)
    stick = time_reference(problem, data.test)
    assert stick.samples == problem.deployment.batch
    (timed,) = stick.timed_calls(data.test).values()
    assert timed.samples == problem.deployment.batch
    np.testing.assert_allclose(stick.seconds({"reference": np.ones(3)}), 1.0)


def test_a_calibration_comes_first(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    short = Calibration(DampedOscillator(steps_per_frame=5), share=0.2, samples=4)
    stick = time_reference(replace(problem, calibration=short), data.test)
    assert (stick.samples, stick.share) == (4, 0.2)
    np.testing.assert_allclose(stick.seconds({"reference": np.ones(2)}), 5.0)


@dataclass
class Slow:
    """Stands in for the clock: what calls of so many samples take, and which were asked for."""

    per_call_s: float
    per_sample_s: float
    asked: list[int] = field(default_factory=list)

    def __call__(self, run: object, inputs: Batch) -> float:  # noqa: ARG002 - the clock's signature
        n = len(inputs["damping"])
        self.asked.append(n)
        return self.per_call_s + n * self.per_sample_s


def ticking(monkeypatch: pytest.MonkeyPatch, per_call_s: float, per_sample_s: float) -> Slow:
    clock = Slow(per_call_s, per_sample_s)
    monkeypatch.setattr(reference, "time_call", clock)
    return clock


def test_a_long_reference_is_timed_beforehand_in_as_few_calls_as_will_do(
    small: tuple[Problem, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = small
    clock = ticking(monkeypatch, 0.0, 10.0)
    stick = time_reference(problem, data.test)
    assert clock.asked == [1, 2]
    assert stick.sample_s == 10.0
    assert stick.timed_calls(data.test) == {}
    np.testing.assert_array_equal(stick.seconds({}), stick.sample_s)
    assert time_reference(problem, data.test, before_s=7.0) == ReferenceTiming(None, 7.0)
    assert clock.asked == [1, 2]


def test_a_reference_that_is_rather_long_is_timed_several_times(
    small: tuple[Problem, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = small
    clock = ticking(monkeypatch, 0.0, 0.4)
    assert time_reference(problem, data.test).sample_s == pytest.approx(0.4)
    assert clock.asked == [1, 2, *[2] * reference.MAX_PRETIMING_CALLS]


@pytest.mark.parametrize("batch", [1, 2, 64])
@pytest.mark.parametrize("slow_calls", [(0,), (1,), (0, 2)])
def test_a_call_that_compiles_or_was_held_up_decides_nothing(
    small: tuple[Problem, Dataset],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    slow_calls: tuple[int, ...],
) -> None:
    problem, data = small
    calls = itertools.count()

    def time_call(run: object, inputs: Batch) -> float:  # noqa: ARG001 - the clock's signature
        return 0.01 * len(inputs["damping"]) + 6.0 * (next(calls) in slow_calls)

    monkeypatch.setattr(reference, "time_call", time_call)
    problem = replace(problem, deployment=replace(problem.deployment, batch=batch))
    assert time_reference(problem, data.test).sample_s == 0.0


@pytest.mark.parametrize(
    ("per_call_s", "per_sample_s", "samples", "sample_s"),
    [
        (1e-3, 0.0, 64, 0.0),  # vectorised
        (0.3, 1e-3, 64, 0.0),  # vectorised and slow
        (60.0, 0.0, 1, 60.0 / 64),  # vectorised and very slow: a call serves the whole batch
        (0.0, 1e-3, 64, 0.0),
        (0.0, 0.1, 4, 0.0),
        (0.0, 0.3, 1, 0.3),
    ],
)
def test_a_reference_is_given_as_many_samples_as_it_can_take(  # noqa: PLR0917 - a table's columns
    small: tuple[Problem, Dataset],
    monkeypatch: pytest.MonkeyPatch,
    per_call_s: float,
    per_sample_s: float,
    samples: int,
    sample_s: float,
) -> None:
    problem, data = small
    ticking(monkeypatch, per_call_s, per_sample_s)
    stick = time_reference(problem, data.test)
    assert (stick.samples, stick.sample_s) == (samples, pytest.approx(sample_s))


def raising_when_fast(inputs: Batch, rng: np.random.Generator) -> Batch:
    if np.any(inputs["frequency"] > 1.5):
        raise ArithmeticError("too fast")
    return undamped(inputs, rng)


def test_a_baseline_that_raises_fails_on_those_samples_alone(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    result = score_split(problem, raising_when_fast, data.test)
    fast = data.test.inputs["frequency"] > 1.5
    assert result.failed == fast.sum()
    assert result.reason == "ArithmeticError: too fast"
    assert len(result.valid_samples) == (~fast).sum()


def shapeless(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    return {"position": np.zeros(3)}


def test_a_baseline_of_another_shape_is_told_before_any_trial(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    with pytest.raises(UserError, match="baseline 'shapeless': field 'position' has shape"):
        baseline_errors(replace(problem, baselines={"shapeless": shapeless}), data)


def test_baselines_are_what_has_to_be_beaten(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    wish = replace(problem, baselines={"undamped": undamped, "nothing": nothing})
    errors = baseline_errors(wish, data)
    assert errors == {"undamped": score_split(wish, undamped, data.validation).metrics["error"]}
    times = time_baselines(wish, data, time_reference(wish, data.test), errors)
    known = score_baselines(errors, times)
    ((error, time),) = known.points
    assert error == pytest.approx(np.log10(errors["undamped"]))
    assert np.isfinite(time)
    assert known.upper_bounds == (error, 0.0)


def test_the_mean_of_the_training_outputs_stands_in_for_baselines(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    name = problem.outputs[0].name
    mean = data.train.outputs[name].mean(axis=0)
    square = np.mean((data.validation.outputs[name] - mean) ** 2)

    def rms(predicted: Batch, reference: Batch, inputs: Batch) -> dict[str, float]:  # noqa: ARG001
        return {"error": float(np.sqrt(np.mean((predicted[name] - reference[name]) ** 2)))}

    assert mean_error(replace(problem, score=rms), data) == pytest.approx(np.sqrt(square))

    def nothing_finite(predicted: Batch, reference: Batch, inputs: Batch) -> dict[str, float]:  # noqa: ARG001
        return {"error": math.inf}

    assert mean_error(replace(problem, score=nothing_finite), data) is None


def test_a_baseline_that_raises_elsewhere_is_timed_on_what_it_can_do(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    slow = np.flatnonzero(data.validation.inputs["frequency"] <= 1.5)
    fast = np.flatnonzero(data.test.inputs["frequency"] > 1.5)
    data = replace(data, validation=data.validation.take(slow), test=data.test.take(fast))
    wish = replace(problem, baselines={"raising": raising_when_fast})
    errors = baseline_errors(wish, data)
    times = time_baselines(wish, data, time_reference(wish, data.test), errors)
    assert times.keys() == {"raising"}


def perfect(inputs: Batch, rng: np.random.Generator) -> Batch:
    return DampedOscillator().run(inputs, rng)


def test_a_baseline_without_error_leaves_a_goal_that_can_be_computed(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    goals = Goals(error=BaselineMargin(0.01))
    limits = limits_for(replace(problem, baselines={"perfect": perfect}, goals=goals), data)
    assert limits.error == 0.0
    assert not limits.met(1e-3, 1.0)
    assert limits.met(0.0, 1.0)


def member(number: int, error: float, speedup: float) -> Record:
    candidate = choose_candidate(
        template, Size.STANDARD, RandomChoice(np.random.default_rng(number)), 0
    )
    return make_record(number, candidate, error=error, time_s=1.0 / speedup)


def test_the_best_of_every_objective_is_a_finalist() -> None:
    front = [
        member(i, 0.01 * 1.2**i, 1e4 if i == 4 else 10.0 * 1.2**i).model_copy(
            update={"memory_bytes": 10 if i == 7 else 10_000 - 100 * i}
        )
        for i in range(30)
    ]
    chosen = {record.number for record in select_finalists(front, "error", NO_LIMITS)}
    assert len(chosen) == MAX_FRONT_MEMBERS
    assert {0, 4, 7} <= chosen


def test_a_trial_within_the_goals_is_a_finalist_and_recommended() -> None:
    front = [member(i, 0.01 * 1.2**i, 10.0 * 1.2**i) for i in range(30)]
    goals = Limits(error=0.0101, speedup=5.0)
    assert len(select_finalists(front, "error", NO_LIMITS)) == MAX_FRONT_MEMBERS
    chosen = select_finalists(front, "error", goals)
    assert len(chosen) == MAX_FRONT_MEMBERS
    assert chosen[0].number == 0
    within, at_all = (recommendation(chosen, "error", each) for each in (goals, NO_LIMITS))
    assert within is not None
    assert within.trials == (0,)
    assert at_all is not None
    assert at_all.knee != 0


def test_recorded_data_bring_their_cost(small: tuple[Problem, Dataset]) -> None:
    assert ReferenceTiming(None, sample_s=3.0).timed_calls(small[1].test) == {}
    np.testing.assert_array_equal(ReferenceTiming(None, sample_s=3.0).seconds({}), [3.0])


def measured_elsewhere(problem: Problem, **baselines: Run) -> Problem:
    """A problem of recorded samples whose reference has no time."""
    source = Recorded("nowhere.csv", problem.inputs, problem.outputs)
    return replace(problem, simulation=None, shifted=None, data=source, baselines=baselines)


def unable(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    raise ValueError("not here")


def test_the_best_baseline_stands_for_a_reference_without_a_time(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    timeless = measured_elsewhere(problem, unable=unable, undamped=undamped, constant=constant)
    errors = {"constant": 0.9, "unable": 0.1, "undamped": 0.2}
    timing = time_reference(timeless, data.test, errors=errors)
    assert (timing.baseline, timing.has_time) == ("undamped", False)
    assert timing.samples == problem.deployment.batch
    assert timing.timed_calls(data.test).keys() == {"reference"}
    times = time_baselines(timeless, data, timing, ["undamped", "constant"])
    errors = {"undamped": 0.2, "constant": 0.9}
    scores = score_baselines(errors, times, has_time=timing.has_time)
    assert scores.upper_bounds == (pytest.approx(np.log10(0.9)), np.inf)


def test_a_simulation_may_stand_for_what_has_no_time(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    stand_in = replace(problem, timed=False, baselines={"undamped": undamped})
    timing = time_reference(stand_in, data.test, errors={"undamped": 0.2})
    assert (timing.baseline, timing.has_time) == ("undamped", False)
    assert search_digest(stand_in) != search_digest(problem)


def test_without_a_baseline_either_speeds_are_samples_per_second(
    small: tuple[Problem, Dataset],
) -> None:
    problem, data = small
    timing = time_reference(measured_elsewhere(problem), data.test, errors={})
    assert (timing.baseline, timing.has_time, timing.run) == ("", False, None)
    np.testing.assert_allclose(timing.seconds({}) / 0.25, 4.0)


@dataclass(frozen=True)
class Unfit:
    def fit(self, train: Split) -> Run:
        raise ValueError(f"{len(train)} samples are too few")


def unscored(predicted: Batch, true: Batch, inputs: Batch) -> dict[str, float]:  # noqa: ARG001 - a score's signature
    raise KeyError("velocity")


def test_what_a_users_part_raises_is_told_in_a_line(small: tuple[Problem, Dataset]) -> None:
    problem, data = small
    with pytest.raises(UserError, match=r"the fit of baseline 'unfit' ended in ValueError: \d+"):
        replace(problem, baselines={"unfit": Unfit()}).fitted(data.train)
    wish = replace(problem, baselines={"undamped": undamped}, score=unscored)
    with pytest.raises(UserError, match="the score of baseline 'undamped' ended in KeyError"):
        baseline_errors(wish, data)
