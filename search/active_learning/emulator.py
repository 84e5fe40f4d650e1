"""The emulator that chooses inputs: a standard baseline that is refitted soon, and its uncertainty.

A Gaussian process has a posterior covariance. Of any other baseline a committee is fitted to
bootstrap resamples, and the covariance is that of its members' predictions (Seung, Opper &
Sompolinsky, COLT 1992, 287; Krogh & Vedelsby, NIPS 7 (1995) 231). Few members leave spurious
correlations of distant inputs, which are damped by the distance, as in an ensemble Kalman filter
(Hamill, Whitaker & Snyder, Monthly Weather Review 129 (2001) 2776).
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from problems import Array, Batch, Problem, Split, UserError
from problems.baselines.fitting import EncodedRows, affordable_samples, encode_rows
from problems.baselines.gaussian_process import GaussianProcessMean, squared_distances
from problems.baselines.standard import StandardBaseline, standard_baselines
from problems.baselines.training_rows import (
    FittedModel,
    InputScaling,
    fixed_subset,
)
from problems.data.simulate import run_isolating_failures
from problems.entrance.calls import CallFailedError, call_here
from problems.interfaces.types import EncodedNetwork, Layout, Target, n_samples
from search.trial.scoring import score_split

MEMBERS = 8
"""Members of a committee."""

MAX_FIT_S = 2.0
"""A baseline that takes longer to fit isn't chosen, since it is fitted dozens of times [s]."""

MAX_ROWS = 2_000
"""Rows of a fit: the choice needs no more, and its time would grow as their cube."""

MAX_COLUMNS = 256
"""Output columns by which members are compared; of more, an evenly spaced part."""

CORRELATION_LENGTH = 0.5
"""Distance to which correlations of a committee are kept, in standard deviations of the inputs
times the square root of their number."""

CHOOSING_TARGETS = {Target.VALUE, Target.LABEL}


class PoolCovariance(NamedTuple):
    """The covariance of an emulator at a pool of inputs.

    Args:
        matrix: Covariance (b, b).
        noise: Variance of the noise in its unit.
    """

    matrix: Array
    noise: float


def usable_baselines(problem: Problem) -> dict[str, StandardBaseline]:
    """Return the standard baselines that can choose inputs, by name; none if there is none.

    They take the place of the network in a flat encoding of values or labels, also where the
    problem leaves standard baselines out of its search.

    Args:
        problem: The problem.
    """
    every = standard_baselines(replace(problem, standard_baselines=True, baselines={}))
    return {
        name: baseline
        for name, baseline in every.items()
        if baseline.method is not None
        and problem.encodings[baseline.encoding].layout is Layout.FLAT
        and problem.encodings[baseline.encoding].target in CHOOSING_TARGETS
    }


@dataclass(frozen=True)
class ChoosingEmulator:
    """A fitted standard baseline with the covariance of its predictions.

    Args:
        problem: The problem.
        baseline: How it is fitted.
        encoded: What it is fitted to.
        model: The fitted model.
        fit_s: Time of the fit [s].
    """

    problem: Problem
    baseline: StandardBaseline
    encoded: EncodedRows
    model: FittedModel
    fit_s: float = field(compare=False, default=0.0)

    @classmethod
    def fit(
        cls, problem: Problem, train: Split, name: str, max_rows: int = MAX_ROWS
    ) -> "ChoosingEmulator":
        """Return a baseline that is fitted to training samples.

        Args:
            problem: The problem.
            train: The training samples.
            name: A name of `usable_baselines`.
            max_rows: Largest number of rows.

        Raises:
            UserError: A library is missing, or the samples don't admit the model.
        """
        started = time.perf_counter()
        baseline = usable_baselines(problem)[name]
        encoded = encode_rows(problem, affordable_samples(train), baseline.encoding, max_rows)
        if baseline.method is None:
            raise UserError(f"baseline {name!r} has no model")
        model = baseline.method(encoded.rows)
        return cls(problem, baseline, encoded, model, time.perf_counter() - started)

    @property
    def has_posterior(self) -> bool:
        """Whether it is a Gaussian process, whose posterior covariance is known."""
        return isinstance(self.model.predict, GaussianProcessMean)

    def error(self, split: Split) -> float:
        """Return the problem's error on a split; infinity if it doesn't exist.

        Args:
            split: The split.
        """
        result = score_split(self.problem, self._network(self.model).run, split, "an emulator")
        error = result.metrics.get(self.problem.objective.name, math.nan)
        return error if math.isfinite(error) and not result.failed else math.inf

    def covariance(self, inputs: Batch, rng: np.random.Generator) -> PoolCovariance | None:
        """Return the covariance of the predictions at b inputs; None if it isn't known.

        Args:
            inputs: Inputs of b samples.
            rng: Generator of the resamples of a committee.
        """
        covariance = self._covariance(inputs, rng)
        finite = covariance is not None and np.isfinite(covariance.matrix).all()
        return covariance if finite else None

    def _covariance(self, inputs: Batch, rng: np.random.Generator) -> PoolCovariance | None:
        if isinstance(self.model.predict, GaussianProcessMean):
            encoded = self._encoded_inputs(inputs)
            if encoded is not None:
                return PoolCovariance(
                    self.model.predict.covariance(encoded), self.model.predict.noise
                )
        matrix = self._committee_covariance(inputs, rng)
        return None if matrix is None else PoolCovariance(matrix, 0.0)

    def _network(self, model: FittedModel) -> EncodedNetwork:
        return EncodedNetwork(self.encoded.encoding, model.predict, model.noise)

    def _encoded_inputs(self, inputs: Batch) -> Array | None:
        """Return the inputs (b, ...) of the network; None if it isn't called once a sample."""
        calls: list[Array] = []
        outputs = self.encoded.rows.targets.shape[1]

        def network(encoded: Array) -> Array:
            calls.append(encoded)
            return np.zeros((len(encoded), outputs), dtype=np.float32)

        self.encoded.encoding.apply(network, inputs, np.random.default_rng(0))
        rows = np.concatenate(calls) if calls else np.empty((0,))
        return rows if len(rows) == n_samples(inputs) else None

    def _committee_covariance(self, inputs: Batch, rng: np.random.Generator) -> Array | None:
        """Return the covariance (b, b) of members that are fitted to bootstrap resamples.

        A resample that doesn't admit the model, such as one without a rare class, has no member.
        """
        rows, method = self.encoded.rows, self.baseline.method
        members: list[Array] = []
        for _ in range(MEMBERS):
            if method is None:
                return None
            try:
                model = call_here(method, rows.take(rng.integers(len(rows), size=len(rows))))
            except (UserError, CallFailedError):
                continue
            outputs, _ = run_isolating_failures(
                self._network(model).run, self.problem.outputs, inputs, rng, "an emulator"
            )
            members.append(self._columns(outputs))
        if len(members) < 2:
            return None
        predicted = np.nan_to_num(np.stack(members), posinf=0.0, neginf=0.0)  # (m, b, o)
        deviations = predicted - predicted.mean(axis=0)
        scale = predicted.mean(axis=0).std(axis=0)
        deviations /= np.where(scale > 0.0, scale, 1.0) * np.sqrt(predicted.shape[-1])
        features = np.moveaxis(deviations, 0, 1).reshape(n_samples(inputs), -1)
        return features @ features.T / (len(members) - 1) * _damping(inputs)

    def _columns(self, outputs: Mapping[str, Array]) -> Array:
        """Return the outputs side by side (b, o), an evenly spaced part if they are many."""
        parts = [outputs[field.name] for field in self.problem.outputs]
        table = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        return table[:, fixed_subset(table.shape[1], MAX_COLUMNS)].astype(float)


def _damping(inputs: Batch) -> Array:
    """Return factors (b, b) of correlations, which fall with the distance of two inputs."""
    table = np.concatenate([array.reshape(len(array), -1) for array in inputs.values()], axis=1)
    table = np.nan_to_num(table.astype(float))
    points = InputScaling.of(table)(table) / (CORRELATION_LENGTH * np.sqrt(table.shape[1]))
    return np.exp(-0.5 * squared_distances(points, points))


def fit_emulator(
    problem: Problem, train: Split, name: str, max_rows: int = MAX_ROWS
) -> ChoosingEmulator | None:
    """Return a baseline that is fitted to training samples, None if it can't be.

    Args:
        problem: The problem.
        train: The training samples.
        name: A name of `usable_baselines`.
        max_rows: Largest number of rows.
    """
    try:
        return call_here(ChoosingEmulator.fit, problem, train, name, max_rows)
    except (UserError, CallFailedError):
        return None


def most_accurate_emulator(
    problem: Problem, train: Split, validation: Split, max_rows: int
) -> str | None:
    """Return the name of the emulator with the smallest error of those that are fitted soon.

    Args:
        problem: The problem.
        train: The training samples.
        validation: The validation split.
        max_rows: Largest number of rows of a fit.
    """
    errors: dict[str, float] = {}
    for name in usable_baselines(problem):
        emulator = fit_emulator(problem, train, name, max_rows)
        if emulator is None:  # `simstead search` tells of it where it fits the baselines
            continue
        error = emulator.error(validation)
        if math.isfinite(error) and (emulator.has_posterior or emulator.fit_s <= MAX_FIT_S):
            errors[name] = error
    return min(errors, key=errors.__getitem__, default=None)
