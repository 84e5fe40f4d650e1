"""The spread of ensembles against their errors: coverage, sharpness and deferral.

Intervals that hold the stated share of the values should be narrow (Gneiting, Balabdaoui & Raftery,
Journal of the Royal Statistical Society B 69 (2007) 243). A deviation that ranks samples by their
error tells which of them to leave to the simulation (Geifman & El-Yaniv, NeurIPS 2017).
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from problems import Array, Batch, Problem, Run, Split
from problems.data.simulate import run_isolating_failures
from problems.interfaces.types import take_samples
from search.run.records import Timing
from search.run.spread_results import Deferral, FieldCoverage, SplitSpread, SpreadResult
from search.trial.scoring import SplitScore, mean_interval, score_split
from spaces.spread import Prediction, SpreadCalibration
from spaces.surrogate import Surrogate

DEFERRED_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the samples that are left to the simulation."""

MIN_SAMPLES = 4
"""Fewest samples for a rank correlation, or for an error beside deferred samples."""


def call_with_spread(surrogate: Surrogate) -> Run:
    """Return a run of an ensemble that returns the deviations (b, ...) in place of its outputs."""

    def run(inputs: Batch, rng: np.random.Generator) -> Batch:
        return surrogate.run(inputs, rng, spread=True).deviations

    return run


def cannot_spread(surrogate: Surrogate) -> str | None:
    """Return why an ensemble has no spread, or None once its members are loaded."""
    if surrogate.members is None:
        return surrogate.no_spread
    try:
        _ = surrogate.members.networks
    except Exception as error:  # noqa: BLE001 - runtimes raise anything
        return f"{type(error).__name__}: {error}"
    return None


def evaluate_spread(
    problem: Problem, surrogate: Surrogate, scores: Mapping[str, SplitScore], timing: Timing | None
) -> SpreadResult | None:
    """Return the figures of an ensemble's spread; None for one network.

    Args:
        problem: The problem with the score.
        surrogate: The ensemble.
        scores: Its scores on the test and shifted splits by name; a split may be empty.
        timing: Timing of a call with spread, None if it wasn't timed.
    """
    members = surrogate.members
    if members is None:
        return None
    count = len(members.lowering.candidate.ensemble_seeds)
    reason = cannot_spread(surrogate)
    if reason is not None:
        return SpreadResult(reason=reason, members=count)
    evaluated = {
        name: _split_spread(problem, surrogate, members.calibration, score)
        for name, score in scores.items()
        if len(score.valid_indices)
    }
    return SpreadResult(
        members=count,
        timing=timing,
        test=evaluated.get("test"),
        shifted=evaluated.get("shifted"),
    )


def _split_spread(
    problem: Problem, surrogate: Surrogate, calibration: SpreadCalibration, score: SplitScore
) -> SplitSpread:
    samples, outputs = score.valid_samples, score.valid_outputs
    deviations, _ = run_isolating_failures(
        call_with_spread(surrogate),
        problem.outputs,
        samples.inputs,
        np.random.default_rng(0),
        "spread",
    )
    prediction = Prediction(outputs, deviations, calibration)
    scales = {name: field_scale(array) for name, array in samples.outputs.items()}
    errors = {name: outputs[name] - samples.outputs[name] for name in outputs}
    deviation = relative_size(deviations, scales)
    held = held_shares(prediction, samples) if calibration.fields else {}
    sizes = [samples.outputs[name][:1].size for name in held]
    pooled = np.empty((0, len(samples)))
    if held:
        pooled = np.average(list(held.values()), axis=0, weights=sizes)
    return SplitSpread(
        samples=len(samples),
        groups=None if samples.groups is None else len(np.unique(samples.groups)),
        levels=calibration.levels if held else (),
        coverage=tuple(mean_interval(shares, samples.groups) for shares in pooled),
        fields={
            name: FieldCoverage(
                coverage=tuple(shares.mean(axis=1).tolist()),
                width=_widths(prediction, name, scales[name]),
            )
            for name, shares in held.items()
        },
        rank_correlation=_rank_correlation(deviation, relative_size(errors, scales)),
        deferrals=tuple(_deferrals(problem, outputs, samples, deviation)),
    )


def field_scale(reference: Array) -> float:
    """Return the standard deviation of a field over samples, as the root mean square of its values.

    Args:
        reference: Reference values (b, ...).
    """
    return float(np.sqrt(np.var(np.asarray(reference, float), axis=0).mean()))


def relative_size(values: Batch, scales: Mapping[str, float]) -> Array:
    """Return the root mean square (b,) of each sample's values, in units of the fields' scales.

    Args:
        values: Errors or deviations (b, ...) by field.
        scales: Scale of each field; a constant field, of scale 0, is left out.
    """
    squares = [
        np.square(np.asarray(array, float) / scales[name]).reshape(len(array), -1).mean(axis=1)
        for name, array in values.items()
        if scales[name] > 0.0
    ]
    if not squares:
        return np.zeros(len(next(iter(values.values()))))
    return np.sqrt(np.mean(squares, axis=0))


def held_shares(prediction: Prediction, samples: Split) -> dict[str, Array]:
    """Return the share of each sample's values that lie in the interval (levels, b), by field.

    An interval without finite ends holds nothing.

    Args:
        prediction: The outputs with their deviations.
        samples: The samples with the reference.
    """
    held: dict[str, list[Array]] = {name: [] for name in prediction.outputs}
    for level in prediction.calibration.levels:
        low, high = prediction.interval(level)
        for name, shares in held.items():
            reference = np.asarray(samples.outputs[name], float)
            within = (low[name] <= reference) & (reference <= high[name])
            shares.append(within.reshape(len(within), -1).mean(axis=1))
    return {name: np.stack(shares) for name, shares in held.items()}


def _widths(prediction: Prediction, name: str, scale: float) -> tuple[float | None, ...]:
    calibration = prediction.calibration
    deviation = np.asarray(prediction.deviations[name])
    finite = deviation[np.isfinite(deviation)]
    if not scale or not len(finite):
        return (None,) * len(calibration.levels)
    return tuple(
        2.0 * factor * float(finite.mean()) / scale for factor in calibration.fields[name].factors
    )


def _rank_correlation(deviation: Array, error: Array) -> float | None:
    """Return the rank correlation of deviations and errors (b,); None if it doesn't exist."""
    deviation = np.where(np.isfinite(deviation), deviation, np.inf)
    if len(error) < MIN_SAMPLES or np.ptp(error) == 0.0 or len(np.unique(deviation)) < 2:
        return None
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to import

    result: Any = spearmanr(deviation, error)
    correlation = float(result.statistic)
    return correlation if math.isfinite(correlation) else None


def _deferrals(
    problem: Problem, outputs: Batch, samples: Split, deviation: Array
) -> list[Deferral]:
    """Return the errors of the samples that aren't left to the simulation."""
    order = np.argsort(np.where(np.isfinite(deviation), deviation, np.inf), kind="stable")
    deferrals: list[Deferral] = []
    for share in DEFERRED_SHARES:
        kept = np.sort(order[: len(order) - round(share * len(order))])
        if len(kept) < MIN_SAMPLES:
            continue
        result = score_split(
            problem, partial(_constant_outputs, take_samples(outputs, kept)), samples.take(kept)
        )
        error = result.metrics.get(problem.objective.name)
        deferrals.append(Deferral(share=share, error=error))
    return deferrals


def _constant_outputs(outputs: Batch, _inputs: Batch, _rng: np.random.Generator) -> Batch:
    return outputs
