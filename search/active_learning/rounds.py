"""The budget of further simulations, spent in rounds; the run directory suffices to resume it.

simulations/plan.json decides how it is spent, before the first simulation. simulations/NN.npz has
the inputs of a round, written before they are simulated, and the folder beside it the outputs.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from problems import Array, Batch, Dataset, Problem, Split, UserError
from problems.baselines.training_rows import fixed_subset
from problems.data.bought import (
    ChosenInputs,
    failed_inputs,
    plan_bought,
    read_chosen,
    with_bought,
    write_chosen,
)
from problems.data.dataset import make_missing
from problems.data.shards import Shard, ShardExecutor
from problems.data.simulate import Caller, concatenate_batches, draw, finite_samples
from problems.interfaces.types import n_samples, take_samples
from search.active_learning.batch import choose_batch
from search.active_learning.budget import batch_sizes, count_simulations, pool_size
from search.active_learning.emulator import MAX_ROWS, fit_emulator
from search.active_learning.replay import replay_choice, validation_part
from search.objectives.standard_baselines import max_rows
from search.run.directory import RunDirectory
from search.run.simulations import BoughtPoint, SimulationsPlan, SimulationsSummary
from search.run.spec import Spec

MAX_FAILED = 512
"""Inputs whose simulation failed, beside the pool: what is near them isn't chosen again."""

POOL_STREAM = zlib.crc32(b"pool")


@dataclass
class BudgetSpender:
    """Spends the budget of a run, or reads what was bought before.

    Args:
        problem: The problem, with a simulation.
        spec: The spec of the run.
        run: The run directory.
        call: Calls a function that runs users' code, and passes on its messages to `on_message`.
        execute: Makes missing shards.
        on_progress: Called with (simulations done, simulations in all), and may end the search.
    """

    problem: Problem
    spec: Spec
    run: RunDirectory
    call: Callable[..., Any]
    execute: ShardExecutor
    on_progress: Callable[[int, int], None]
    shards: list[Shard] = field(default_factory=list[Shard])

    def plan(self, data: Dataset, sample_s: Callable[[], float]) -> SimulationsPlan:
        """Return how the budget is spent, the same whenever the run is resumed.

        Args:
            data: The data without bought samples.
            sample_s: Measures the time of the reference for one sample [s].

        Raises:
            UserError: The hours buy no simulation, or implausibly many.
        """
        path = simulations_folder(self.run) / "plan.json"
        if path.exists():
            return SimulationsPlan.read(path)
        measured_s = sample_s() if self.spec.reference_hours else None
        simulations = count_simulations(self.spec, measured_s)
        started = time.monotonic()
        replay = self.call(
            replay_choice,
            self.problem,
            data.train,
            data.validation,
            self._max_rows,
            on_message=self.on_progress,
        )
        plan = SimulationsPlan(
            simulations=simulations,
            sample_s=measured_s,
            replay=replay,
            replay_s=time.monotonic() - started,
        )
        path.parent.mkdir(exist_ok=True)
        self.run.write(f"{path.parent.name}/{path.name}", plan)
        return plan

    def spend(self, data: Dataset, plan: SimulationsPlan) -> tuple[Dataset, SimulationsSummary]:
        """Return the data with the bought samples, and what was bought.

        Args:
            data: The data without bought samples.
            plan: How the budget is spent.

        Raises:
            UserError: The run directory can't be written, or a file of it can't be read.
        """
        grown, points, choice_s = data, list[BoughtPoint](), 0.0
        sizes = batch_sizes(plan.simulations)
        for number, size in enumerate([*sizes, 0]):
            chosen = self._chosen(grown, plan, number, size)
            fitted = len(fitted_samples(grown, self._max_rows))
            points.append(BoughtPoint(samples=fitted, error=chosen.error))
            choice_s += chosen.choice_s
            if size:
                grown = self._simulated(grown, plan, chosen.inputs, number)
        failed, duplicates = (
            getattr(grown, name).get("train", 0) - getattr(data, name).get("train", 0)
            for name in ("failed", "duplicates")
        )
        summary = SimulationsSummary(
            plan=plan,
            bought=grown.bought,
            failed=failed,
            duplicates=duplicates,
            points=tuple(points) if plan.replay.emulator else (),
            choice_s=choice_s,
        )
        return grown, summary

    def _chosen(self, data: Dataset, plan: SimulationsPlan, number: int, size: int) -> ChosenInputs:
        """Return the inputs of a round; none after the last, where the error alone is new."""
        path = _round_path(self.run, number)
        if not path.exists():
            started = time.monotonic()
            pool = self._pool(number, size) if size else {}
            index, error = self.call(
                choose_round, self.problem, data, plan, pool, self._failed(), size, self._max_rows
            )
            inputs = take_samples(pool, index)
            write_chosen(path, ChosenInputs(inputs, error, time.monotonic() - started))
        return read_chosen(path)

    def _pool(self, number: int, size: int) -> Batch:
        """Return the inputs (b, ...) from which a round chooses.

        Raises:
            UserError: The problem has no simulation, or its `draw` fails.
        """
        if self.problem.simulation is None:
            raise UserError("recorded data have no simulation to run")
        rng = np.random.default_rng([self.spec.seed, POOL_STREAM, number])
        caller = Caller(self.call, self.problem.time_limit_s)
        return draw(self.problem.simulation, pool_size(size), rng, caller)

    def _failed(self) -> Batch | None:
        """Return inputs of bought samples that failed (n, ...); None if there are none."""
        if not self.shards:
            return None
        failed = failed_inputs(self.shards, simulations_folder(self.run))
        return take_samples(failed, slice(-MAX_FAILED, None)) if n_samples(failed) else None

    def _simulated(
        self, data: Dataset, plan: SimulationsPlan, inputs: Batch, number: int
    ) -> Dataset:
        """Return the data with the samples of a round."""
        done = sum(batch_sizes(plan.simulations)[:number])
        shards = plan_bought(self.problem, inputs, done)
        folder = simulations_folder(self.run)
        make_missing(
            shards,
            folder,
            self.execute,
            lambda new, _: self.on_progress(done + new, plan.simulations),
        )
        self.shards += shards
        return with_bought(data, shards, folder)

    @property
    def _max_rows(self) -> int:
        return max_rows(self.spec.size) or MAX_ROWS


def read_bought(problem: Problem, data: Dataset, run: RunDirectory) -> Dataset:
    """Return the data of a finished run, with the samples that it bought.

    Args:
        problem: The problem.
        data: The data without bought samples.
        run: The run.

    Raises:
        UserError: A file of the run can't be read.
    """
    path = simulations_folder(run) / "plan.json"
    if not path.exists():
        return data
    done = 0
    for number, size in enumerate(batch_sizes(SimulationsPlan.read(path).simulations)):
        inputs = read_chosen(_round_path(run, number)).inputs
        data = with_bought(data, plan_bought(problem, inputs, done), simulations_folder(run))
        done += size
    return data


def choose_round(  # noqa: PLR0913, PLR0917 - sent to another process as they are
    problem: Problem,
    data: Dataset,
    plan: SimulationsPlan,
    pool: Batch,
    failed: Batch | None,
    size: int,
    max_rows: int,
) -> tuple[Array, float]:
    """Return the indices of the pool's inputs to simulate (n,), and the emulator's error.

    Args:
        problem: The problem.
        data: The data so far.
        plan: Whether inputs are chosen or drawn at random, and with which emulator.
        pool: Inputs that were drawn (b, ...).
        failed: Inputs whose simulation failed (n, ...); None if there are none.
        size: Number of inputs to choose; 0 for the error alone.
        max_rows: Largest number of rows of a fit.
    """
    first_ones = np.arange(size)
    if not plan.replay.emulator:
        return first_ones, math.inf
    emulator = fit_emulator(problem, fitted_samples(data, max_rows), plan.replay.emulator, max_rows)
    if emulator is None:
        return first_ones, math.inf
    error = emulator.error(validation_part(data.validation))
    finite = np.flatnonzero(finite_samples(pool, n_samples(pool))) if size else first_ones
    if not plan.replay.chooses or not size or len(finite) < size:
        return first_ones, error
    together, simulated = take_samples(pool, finite), 0
    if failed:
        tried = take_samples(failed, np.flatnonzero(finite_samples(failed, n_samples(failed))))
        together, simulated = concatenate_batches([tried, together]), n_samples(tried)
    covariance = emulator.covariance(together, np.random.default_rng(len(data.train)))
    if covariance is None:
        return first_ones, error
    return finite[choose_batch(*covariance, size, simulated) - simulated], error


def fitted_samples(data: Dataset, max_rows: int) -> Split:
    """Return the training samples to which the emulator is fitted: all that were bought, first.

    Args:
        data: The data so far.
        max_rows: Largest number of samples.
    """
    train, others = data.train, len(data.train) - data.bought
    if len(train) <= max_rows:
        return train
    bought = np.arange(others, len(train))[-max_rows:]
    return train.take(np.append(fixed_subset(others, max_rows - len(bought)), bought))


def planned_simulations(run: RunDirectory, spec: Spec) -> int:
    """Return how many simulations a run buys: as planned, or else as requested.

    Args:
        run: The run.
        spec: Its spec.
    """
    path = simulations_folder(run) / "plan.json"
    return SimulationsPlan.read(path).simulations if path.exists() else spec.simulations


def simulations_folder(run: RunDirectory) -> Path:
    """Return the folder of the samples that a run bought."""
    return run.folder / "simulations"


def _round_path(run: RunDirectory, number: int) -> Path:
    return simulations_folder(run) / f"{number:02d}.npz"
