"""Choosing under noise: errors with their standard error, and a known best finalist."""

from itertools import count

import numpy as np
import pytest

from search.objectives.error_estimates import ErrorEstimate, estimate_errors, standard_error
from search.objectives.recommendation import (
    recommendation,
    select_finalists,
    trials_to_retrain,
)
from search.run.finalists import RetrainingResult
from search.run.records import NO_LIMITS, Limits, Record, ResampledError
from tests.builders import make_record

SAMPLES, RESAMPLES, SEEDS = 128, 200, 2


def resampled(sample_errors: np.ndarray) -> ResampledError:
    """Return the mean of the errors of single samples (n,), on the resamples that all share."""
    rng = np.random.default_rng(0)
    index = rng.integers(len(sample_errors), size=(RESAMPLES, len(sample_errors)))
    means = sample_errors[index].mean(axis=1)
    return ResampledError(value=float(sample_errors.mean()), resampled=tuple(means.tolist()))


def trial(number: int, error: float, speedup: float, training: int | None = None) -> Record:
    return make_record(number, error=error, time_s=1.0 / speedup, training=training)


def test_the_standard_error_is_that_of_the_paired_difference() -> None:
    rng = np.random.default_rng(1)
    difficulty = rng.exponential(size=SAMPLES)
    noise = 0.01 * rng.normal(size=SAMPLES)
    errors = {0: resampled(difficulty), 1: resampled(difficulty + noise)}
    records = [trial(0, errors[0].value, 1.0), trial(1, errors[1].value, 2.0)]
    one, other = estimate_errors(records, "error", errors, ()).values()
    exact = noise.std(ddof=1) / np.sqrt(SAMPLES)
    assert standard_error(one, other) == pytest.approx(exact, rel=0.2)
    assert standard_error(one, one) == 0.0


def test_further_seeds_count_for_every_deployment_of_a_network() -> None:
    errors = {
        n: ResampledError(value=v, resampled=(v, v)) for n, v in ((0, 1.0), (1, 1.1), (2, 3.0))
    }
    records = [trial(0, 1.0, 1.0), trial(1, 1.1, 2.0, training=0), trial(2, 3.0, 9.0)]
    seeds = [
        RetrainingResult(trial=0, seed=k, validation=ResampledError(value=v, resampled=(v, v)))
        for k, v in ((1, 1.2), (2, 1.4))
    ]
    failed = RetrainingResult(trial=0, seed=3, reason="it failed")
    found = estimate_errors(records, "error", errors, [*seeds, failed])
    assert [found[n].value for n in range(3)] == pytest.approx([1.2, 1.3, 3.0])
    assert [found[n].trainings for n in range(3)] == [3, 3, 1]
    assert found[0].resampled.tolist() == pytest.approx([1.2, 1.2])
    assert found[0].seed_deviation == pytest.approx(np.std([1.0, 1.2, 1.4], ddof=1))
    assert standard_error(found[0], found[1]) == 0.0, "one network has one luck"
    apart = standard_error(found[0], found[2])
    relative = found[0].seed_deviation / 1.2
    assert apart == pytest.approx(np.hypot(1.2 * relative / np.sqrt(3), 3.0 * relative))


def test_of_those_alike_the_fastest_is_recommended() -> None:
    values = {0: 1.0, 1: 1.05, 2: 1.3}
    spread = np.linspace(-0.1, 0.1, 11)
    estimates = {
        n: ErrorEstimate(value, value + (n + 1) * spread, n) for n, value in values.items()
    }
    records = [trial(n, value, 10.0 ** (n + 1)) for n, value in values.items()]
    chosen = recommendation(records, "error", NO_LIMITS, None, estimates)
    assert chosen is not None
    assert (chosen.recommended, chosen.most_accurate, chosen.alike) == (1, 0, (0, 1))
    exact = recommendation(records, "error", NO_LIMITS)
    assert exact is not None
    assert exact.recommended == 0
    stated = recommendation(records, "error", Limits(error=2.0), None, estimates)
    assert stated is not None
    assert stated.recommended == 2, "an error that the user states is accurate enough"
    again = trials_to_retrain(records, "error", NO_LIMITS, estimates)
    assert {record.number for record in again} == {0, 1, chosen.knee}


def test_only_networks_trained_several_times_are_recommended_where_there_are_any() -> None:
    records = [trial(0, 1.0, 1.0), trial(1, 1.1, 2.0), trial(2, 1.2, 3.0)]
    none = np.empty(0)
    estimates = {
        0: ErrorEstimate(1.0, none, 0),
        1: ErrorEstimate(1.15, none, 1, trainings=3),
        2: ErrorEstimate(1.2, none, 2, trainings=3),
    }
    chosen = recommendation(records, "error", NO_LIMITS, None, estimates)
    assert chosen is not None
    assert set(chosen.trials) <= {1, 2}
    assert chosen.most_accurate == 1


def test_an_ensemble_is_a_finalist_with_the_noise_of_a_mean() -> None:
    lucky, mean = trial(0, 1.0, 3.0), trial(1, 1.02, 1.0, training=0)
    candidate = mean.candidate.model_copy(update={"ensemble_seeds": (0, 1, 2)})
    ensemble = mean.model_copy(update={"candidate": candidate})
    assert select_finalists([lucky, ensemble], "error", NO_LIMITS) == [lucky, ensemble]
    errors = {n: ResampledError(value=v, resampled=(v, v)) for n, v in ((0, 1.0), (1, 1.02))}
    seeds = [
        RetrainingResult(trial=0, seed=k, validation=ResampledError(value=v, resampled=(v, v)))
        for k, v in ((1, 1.4), (2, 1.2))
    ]
    found = estimate_errors([lucky, ensemble], "error", errors, seeds)
    assert [found[n].value for n in (0, 1)] == pytest.approx([1.2, 1.02])
    assert (found[1].trainings, found[1].network) == (3, 1)
    chosen = recommendation([lucky, ensemble], "error", NO_LIMITS, None, found)
    assert chosen is not None
    assert chosen.most_accurate == 1


def test_other_divisions_count_where_all_networks_have_them() -> None:
    def exact(value: float) -> ResampledError:
        return ResampledError(value=value, resampled=(value, value))

    candidate = trial(0, 1.0, 1.0).candidate.model_copy(update={"ensemble_seeds": (0, 1)})
    ensemble = trial(2, 0.9, 1.0, training=0).model_copy(update={"candidate": candidate})
    records = [trial(0, 1.0, 1.0), trial(1, 2.0, 2.0), ensemble]
    errors = {0: exact(1.0), 1: exact(2.0), 2: exact(0.9)}
    results = [
        RetrainingResult(trial=0, seed=1, validation=exact(1.2)),
        RetrainingResult(trial=0, seed=1, fold=1, validation=exact(1.7)),
        RetrainingResult(trial=1, seed=1, fold=1, validation=exact(3.0)),
        RetrainingResult(trial=1, seed=2, fold=2, validation=exact(9.0)),
        RetrainingResult(trial=0, seed=2, fold=2, reason="it failed"),
    ]
    found = estimate_errors(records, "error", errors, results)
    harder = (1.7 - 1.1) / 2.0
    assert [found[n].value for n in range(3)] == pytest.approx([1.1 + harder, 2.5, 0.9 + harder])
    assert found[0].resampled.tolist() == pytest.approx([1.4, 1.4])
    assert found[0].seed_deviation / found[0].value == pytest.approx(
        np.std([1.0, 1.2], ddof=1) / 1.1
    )


def regret(seed: int) -> float:
    """Return by how many standard errors the chosen network is worse than the best, truly.

    Ten networks have true errors of 1 to 1.5; what is measured adds the luck of a training and of
    the samples, which all find alike hard.
    """
    rng = np.random.default_rng(seed)
    truth = 1.0 + 0.5 * rng.random(10)
    difficulty = rng.exponential(size=SAMPLES)

    def trained(network: int) -> ResampledError:
        luck = truth[network] * (1.0 + 0.03 * rng.normal())
        own = rng.normal(size=SAMPLES)
        return resampled(luck * difficulty + 0.3 * own)

    errors = {n: trained(n) for n in range(10)}
    speeds = rng.lognormal(sigma=1.0, size=10)
    records = [trial(n, errors[n].value, float(speeds[n])) for n in range(10)]
    before = estimate_errors(records, "error", errors, ())
    number = count(1)
    seeds = [
        RetrainingResult(trial=record.number, seed=next(number), validation=trained(record.number))
        for record in trials_to_retrain(records, "error", NO_LIMITS, before)
        for _ in range(SEEDS)
    ]
    estimates = estimate_errors(records, "error", errors, seeds)
    chosen = recommendation(records, "error", NO_LIMITS, None, estimates)
    assert chosen is not None
    best = int(np.argmin(truth))
    single = difficulty.std(ddof=1) / np.sqrt(SAMPLES)  # of one error, the classical rule's
    return float((truth[chosen.recommended] - truth[best]) / single)


def test_the_chosen_one_is_within_a_standard_error_of_the_best() -> None:
    regrets = np.array([regret(seed) for seed in range(200)])
    assert (regrets <= 1.0).mean() >= 0.95
    assert np.median(regrets) < 0.3
