"""What is proposed next, on effects that are known."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from search.run.records import NO_LIMITS, Limits, State
from search.sampling.acquisition import STD_FACTOR, best_configurations, select_trainable
from search.sampling.choices import MutationChooser, ParameterValue, RandomChooser, normalised_value
from search.sampling.configuration import Configuration
from search.sampling.effects_model import NOISE_STD, RUNG_NOISE_STD, sample_log_errors
from search.sampling.history import FinishedTrial, History, Observations
from search.sampling.linear_model import DesignMatrix, RegressionData, sample_posterior
from spaces.candidate import Precision, Pruning
from spaces.combinations import Combination
from tests.builders import make_candidate, make_record, make_rung

ERRORS = {"mlp": 0.0, "gru": -0.5}
WIDTHS = {16: 0.3, 64: 0.0, 256: -0.4}
TIMES = {"eager": 0.0, "onnxruntime": -0.7}
"""Powers of ten, of error by family and width, of time by runtime."""


def known(architecture: str, width: int, runtime: str, rate: float = 0.0) -> Configuration:
    combination = Combination("flat", architecture, Pruning.NONE, runtime, Precision.FP32)
    parameter_values = {
        "encoding": ParameterValue("flat"),
        "flat.architecture": ParameterValue(architecture),
        "runtime": ParameterValue(runtime),
        f"{architecture}.width": ParameterValue(width),
        "training.learning_rate": ParameterValue(10.0 ** (rate - 2.5), rate),
    }
    return Configuration(parameter_values, combination)


def error_of(of: Configuration) -> float:
    width = int(
        of.settings(of.combination.architecture)[f"{of.combination.architecture}.width"].value
    )
    rate = of.parameter_values["training.learning_rate"].normalised_value or 0.0
    return ERRORS[of.combination.architecture] + WIDTHS[width] + 0.5 * rate**2 - 1.0


def tried(number: int, of: Configuration, state: State = State.COMPLETE) -> FinishedTrial:
    """A trial of a network whose error and time are sums of what is known of it."""
    error, time_s = 10.0 ** error_of(of), 10.0 ** (TIMES[of.combination.runtime] - 2.0)
    complete = state is State.COMPLETE
    record = make_record(
        number,
        make_candidate(**of.combination._asdict()),
        error=error if complete else None,
        time_s=time_s if complete else None,
        state=state,
        rungs=(make_rung(2.0 * error),),
        unpruned_error=error if complete else None,
        untrained_relative_time=time_s,
    )
    return FinishedTrial(of, record)


def found(trials: list[FinishedTrial], limits: Limits = NO_LIMITS) -> History:
    complete = [each.record for each in trials if each.record.timing]
    points = [
        (math.log10(each.metrics["error"]), math.log10(each.timing.relative_time))
        for each in complete
        if each.timing
    ]
    return History([each.record for each in trials], points, "error", limits=limits)


EVERY = [
    known(architecture, width, runtime, rate)
    for architecture in ERRORS
    for width in WIDTHS
    for runtime in TIMES
    for rate in (-1.0, 0.0, 1.0)
]


BEST = min(EVERY, key=lambda each: (error_of(each), TIMES[each.combination.runtime]))
WORST = max(EVERY, key=lambda each: (error_of(each), TIMES[each.combination.runtime]))


def best_configuration(
    proposals: Sequence[Configuration],
    observations: Observations,
    history: History,
    rng: np.random.Generator,
    std_factor: float = STD_FACTOR,
) -> Configuration | None:
    ranked = best_configurations(proposals, observations, history, rng, std_factor)
    return next(iter(ranked), None)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_sum_of_effects_is_chosen_before_it_was_seen(seed: int) -> None:
    trials = [
        tried(i, each) for i, each in enumerate(EVERY) if each.network_key != BEST.network_key
    ]
    chosen = best_configuration(
        EVERY, Observations(trials), found(trials), np.random.default_rng(seed)
    )
    assert chosen == BEST


@pytest.mark.parametrize("seed", range(4))
def test_what_another_worker_is_at_counts_as_found(seed: int) -> None:
    accurate, alike = known("gru", 256, "eager"), known("gru", 256, "eager", 0.02)
    fast = known("mlp", 64, "onnxruntime")
    rates = [each.parameter_values["training.learning_rate"].normalised_value for each in EVERY]
    ended = [
        tried(i, each)
        for i, (each, rate) in enumerate(zip(EVERY, rates, strict=True))
        if (
            rate != 0.0
            or each.parameter_values.get(f"{each.combination.architecture}.width")
            == ParameterValue(16)
        )
        and (each.combination.architecture, each.combination.runtime) != ("gru", "onnxruntime")
    ]

    def chosen(trials: Observations) -> Configuration | None:
        rng = np.random.default_rng(seed)
        return best_configuration([alike, fast], trials, found(ended), rng)

    assert chosen(Observations(ended)) == alike
    assert chosen(Observations(ended, [accurate])) == fast


def after_the_mlps(
    *more: FinishedTrial,
    proposals: Sequence[Configuration] = EVERY,
    pending: Sequence[Configuration] = (),
) -> list[Configuration]:
    """What is chosen by several seeds, once all MLPs were trained and more was tried."""
    others = [
        tried(i, each) for i, each in enumerate(EVERY) if each.combination.architecture == "mlp"
    ]
    trials = [*others, *more]
    known = Observations(trials, pending)
    rngs = map(np.random.default_rng, range(8))
    chosen = (best_configuration(proposals, known, found(trials), rng) for rng in rngs)
    return [each for each in chosen if each]


def test_no_network_is_trained_twice() -> None:
    chosen = after_the_mlps(tried(99, known("gru", 256, "eager")))
    assert BEST.network_key not in {each.network_key for each in chosen}


def test_a_stopped_network_is_resumed_in_its_deployment() -> None:
    stopped = tried(99, known("gru", 256, "eager"), State.STOPPED)
    assert stopped.configuration in after_the_mlps(stopped, proposals=[BEST])
    assert BEST not in after_the_mlps(stopped, proposals=[BEST])
    failed = stopped.record.model_copy(update={"number": 100, "state": State.INFEASIBLE})
    assert not after_the_mlps(
        stopped, FinishedTrial(stopped.configuration, failed), proposals=[BEST]
    )
    assert not after_the_mlps(stopped, proposals=[BEST], pending=[stopped.configuration])


def test_a_part_of_what_a_rung_showed_of_a_network_stays_with_it() -> None:
    lucky, unlucky = known("gru", 64, "eager"), known("gru", 64, "eager")
    parameter_values = {
        **unlucky.parameter_values,
        "training.learning_rate": ParameterValue(0.5, 0.0),
    }
    unlucky = Configuration(
        parameter_values, unlucky.combination
    )  # another network, of which the same is thought
    trials = [tried(i, each, State.STOPPED) for i, each in enumerate((lucky, unlucky))]
    rungs = tuple(
        rung.model_copy(update={"error": rung.error / 10}) for rung in tried(0, lucky).record.rungs
    )
    trials[0] = FinishedTrial(lucky, trials[0].record.model_copy(update={"rungs": rungs}))
    rng = np.random.default_rng(0)
    better, worse, new = sample_log_errors(
        [lucky, unlucky, known("gru", 64, "eager", 0.5)], Observations(trials), rng, 0.0
    )
    assert better - worse == pytest.approx(-((NOISE_STD / RUNG_NOISE_STD) ** 2))
    assert better < new


def test_a_rung_is_not_thought_worse_than_it_is_because_the_better_went_on() -> None:
    paces = {"mlp": 0.1, "gru": 0.5}
    at_rung = {
        each.network_key: error_of(each) + paces[each.combination.architecture] for each in EVERY
    }
    usual = np.median(list(at_rung.values()))
    trials: list[FinishedTrial] = []
    for i, each in enumerate(EVERY):
        state = State.COMPLETE if at_rung[each.network_key] < usual else State.STOPPED
        rung = make_rung(10.0 ** at_rung[each.network_key])
        record = tried(i, each, state).record
        trials.append(FinishedTrial(each, record.model_copy(update={"rungs": (rung,)})))
    stopped = [each.configuration for each in trials if each.record.state is State.STOPPED]
    assert {each.combination.architecture for each in stopped} == set(paces)
    expected = sample_log_errors(stopped, Observations(trials), np.random.default_rng(0), 0.0)
    assert expected == pytest.approx([error_of(each) for each in stopped], abs=0.06)


def test_wider_draws_are_tried_where_no_proposal_improves() -> None:
    trials = [
        tried(i, each) for i, each in enumerate(EVERY) if each.network_key != WORST.network_key
    ]

    def promised(std_factor: float) -> int:
        rngs = map(np.random.default_rng, range(32))
        known = Observations(trials)
        drawn = (best_configuration([WORST], known, found(trials), rng, std_factor) for rng in rngs)
        return sum(each is not None for each in drawn)

    assert promised(0.3) == 0
    assert promised(10.0) > 0


def test_a_runtime_that_takes_longer_than_a_training_waits() -> None:
    lasted = {"onnxruntime": 9.0, "eager": 0.1}

    def trials_of(training_s: float) -> list[FinishedTrial]:
        trials = []
        for i, each in enumerate(each for each in EVERY if each.network_key != BEST.network_key):
            known, record = tried(i, each)
            durations_s = {"train": training_s, "deploy": lasted[each.combination.runtime]}
            trials.append(
                FinishedTrial(known, record.model_copy(update={"durations_s": durations_s}))
            )
        return trials

    def after(trials: list[FinishedTrial]) -> Configuration | None:
        rng = np.random.default_rng(0)
        return best_configuration(EVERY, Observations(trials), found(trials), rng)

    assert after(trials_of(10.0)) == BEST
    short = trials_of(1.0)
    slower = after(short)
    assert slower is not None
    assert (slower.network_key, slower.combination.runtime) == (BEST.network_key, "eager")
    assert select_trainable([BEST], Observations(short), found(short)) == [BEST], (
        "there is no other"
    )
    assert not select_trainable([BEST], Observations(short), found(short), list(lasted))


def test_what_was_stopped_at_a_rung_is_learned_from() -> None:
    new = [
        each
        for each in EVERY
        if each.parameter_values["training.learning_rate"].normalised_value == 0.0
    ]
    trials = [
        tried(i, each, State.STOPPED if each.combination.architecture == "gru" else State.COMPLETE)
        for i, each in enumerate(EVERY)
        if each not in new
    ]
    chosen = best_configuration(
        EVERY, Observations(trials), found(trials), np.random.default_rng(0)
    )
    assert chosen is not None
    assert chosen.combination.architecture == "gru"


def test_what_fails_is_left_alone() -> None:
    trials = [
        tried(
            i, each, State.INFEASIBLE if each.combination.architecture == "gru" else State.COMPLETE
        )
        for i, each in enumerate(EVERY)
    ]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        chosen = best_configuration(EVERY, Observations(trials), found(trials), rng)
        assert chosen is None or chosen.combination.architecture == "mlp"


def test_what_is_refused_for_its_time_says_nothing_of_its_error() -> None:
    def refused(number: int, of: Configuration) -> FinishedTrial:
        known, record = tried(number, of, State.INFEASIBLE)
        left = {"stage": "time first", "rungs": (), "untrained_relative_time": 20.0}
        return FinishedTrial(known, record.model_copy(update=left))

    new = [known("gru", width, "onnxruntime") for width in (64, 256)]
    trials = [
        refused(i, each) if each.combination.runtime == "eager" else tried(i, each)
        for i, each in enumerate(EVERY)
        if each.network_key not in [one.network_key for one in new]
    ]
    trials += [refused(len(EVERY) + i, known("gru", 256, "eager", i / 10)) for i in range(20)]
    chosen = [
        best_configuration(new, Observations(trials), found(trials), np.random.default_rng(seed))
        for seed in range(8)
    ]
    assert chosen == [new[1]] * 8


def test_only_what_meets_the_goals_adds_anything() -> None:
    trials = [tried(i, each) for i, each in enumerate(EVERY) if each.combination.runtime == "eager"]
    few = [*trials[:6], tried(6, EVERY[3])]
    assert EVERY[3].combination.runtime == "onnxruntime"
    rng = np.random.default_rng(0)
    chosen = best_configuration(EVERY, Observations(few), found(few, Limits(speedup=300.0)), rng)
    assert chosen is not None
    assert chosen.combination.runtime == "onnxruntime"
    assert (
        best_configuration(EVERY, Observations(trials), found(trials, Limits(error=1e-9)), rng)
        is None
    )


def test_no_improvement_is_expected_without_a_history() -> None:
    assert best_configuration(EVERY, Observations(), found([]), np.random.default_rng(0)) is None


def test_a_proposal_notes_every_answer_and_its_place() -> None:
    drawn = RandomChooser(np.random.default_rng(0))
    width = drawn.categorical("mlp.width", [16, 64])
    depth = drawn.integer("mlp.depth", 1, 7, step=2)
    rate = drawn.real("training.learning_rate", 1e-4, 1e-2, log=True)
    assert drawn.parameter_values["mlp.width"] == ParameterValue(width)
    assert drawn.parameter_values["mlp.depth"] == ParameterValue(
        depth, normalised_value(depth, 1, 7)
    )
    assert depth in {1, 3, 5, 7}
    where = drawn.parameter_values["training.learning_rate"].normalised_value
    assert where == pytest.approx(normalised_value(rate, 1e-4, 1e-2, log=True))
    assert normalised_value(1e-3, 1e-4, 1e-2, log=True) == pytest.approx(0.0)
    assert normalised_value(4, 4, 4) == 0.0


def test_the_posterior_is_that_of_the_formula() -> None:
    design = DesignMatrix([{"a": 1.0}, {"a": 1.0, "b": 1.0}])
    rows = design.rows([{"a": 1.0}, {"a": 1.0, "b": 1.0}])
    observed = RegressionData(rows, np.array([1.0, 3.0]), np.array([1e-6, 1e-6]))
    drawn = sample_posterior(observed, np.ones(2), np.random.default_rng(0))
    assert drawn == pytest.approx([1.0, 2.0], abs=1e-4)
    unseen = RegressionData(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    draws = [
        sample_posterior(unseen, np.array([0.5, 2.0]), np.random.default_rng(i))
        for i in range(2000)
    ]
    assert np.std(draws, axis=0) == pytest.approx([0.5, 2.0], rel=0.06)


def test_a_mutation_keeps_what_is_kept_and_possible() -> None:
    kept = {
        "mlp.width": ParameterValue(64),
        "mlp.activation": ParameterValue("sine"),
        "mlp.depth": ParameterValue(3, 0.0),
        "mlp.rank": ParameterValue(9, 1.0),
        "training.learning_rate": ParameterValue(1e-3, 0.0),
        "gru.layers": ParameterValue(2),
    }
    chooser = MutationChooser(np.random.default_rng(0), kept=kept)
    assert chooser.categorical("mlp.width", [16, 64]) == 64
    assert chooser.categorical("mlp.activation", ["silu", "tanh"]) in {"silu", "tanh"}
    assert chooser.integer("mlp.depth", 1, 5) == 3
    assert chooser.integer("mlp.rank", 1, 5) <= 5
    assert chooser.real("training.learning_rate", 1e-4, 1e-2, log=True) == 1e-3
    decay = chooser.real("training.weight_decay", 1e-6, 1e-2, log=True)
    assert 1e-6 <= decay <= 1e-2
    assert 0 <= chooser.integer("mlp.skips", 0, 1) <= 1
    assert chooser.parameter_values.keys() & kept.keys() == kept.keys() - {"gru.layers"}
    assert chooser.parameter_values["mlp.depth"] == kept["mlp.depth"]
    assert chooser.parameter_values["mlp.rank"] != kept["mlp.rank"]


def test_networks_with_a_gain_are_ranked_by_it() -> None:
    trials = [
        tried(i, each) for i, each in enumerate(EVERY) if each.network_key != BEST.network_key
    ]
    ranked = best_configurations(
        EVERY, Observations(trials), found(trials), np.random.default_rng(0), 0.0
    )
    assert ranked[0] == BEST
    assert WORST not in ranked
