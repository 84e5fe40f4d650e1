"""A budget of further simulations: who may have one, what it buys, and in which rounds."""

import numpy as np

from problems import Problem, UserError
from search.active_learning.emulator import usable_baselines
from search.run.spec import Spec

ROUNDS, MAX_BATCH = 4, 256
"""Rounds of a budget, more where a round would have more simulations than this."""

POOL_PER_SIMULATION, MIN_POOL, MAX_POOL = 16, 1024, 2048
"""Inputs of the pool from which a round chooses."""

MAX_FROM_HOURS = 100_000
"""Hours that buy more simulations are probably a mistake."""

SECONDS_PER_HOUR = 3600.0


def require_choosing_emulator(problem: Problem, spec: Spec) -> None:
    """Check that a problem admits the budget of further simulations of a run, if there is one.

    Args:
        problem: The problem.
        spec: The spec of the run.

    Raises:
        UserError: The problem's data are recorded, or no emulator can choose its inputs.
    """
    if not spec.buys_simulations:
        return
    option = "--simulations" if spec.simulations else "--reference-hours"
    if problem.simulation is None:
        raise UserError(
            f"{option} needs a simulation to run; this problem's data are recorded: add rows to "
            "the file"
        )
    if not usable_baselines(problem):
        raise UserError(
            f"{option} needs an emulator that chooses inputs, and emulators need a flat encoding "
            "of values or labels: give the problem a FlatEncoding or a LabelEncoding"
        )


def count_simulations(spec: Spec, sample_s: float | None) -> int:
    """Return how many simulations the budget of a run buys.

    Args:
        spec: The spec of the run.
        sample_s: Time of the reference for one sample [s], where hours are a budget.

    Raises:
        UserError: The hours buy none, or implausibly many.
    """
    if not spec.reference_hours or sample_s is None:
        return spec.simulations
    affordable = int(spec.reference_hours * SECONDS_PER_HOUR / sample_s)
    if affordable < 1:
        raise UserError(
            f"--reference-hours {spec.reference_hours:g} buys no simulation, since one takes "
            f"{sample_s / SECONDS_PER_HOUR:.3g} h; give more hours"
        )
    if not spec.simulations and affordable > MAX_FROM_HOURS:
        raise UserError(
            f"--reference-hours {spec.reference_hours:g} buys {affordable:,} simulations of "
            f"{sample_s:.3g} s; give fewer hours, or --simulations as well"
        )
    return min(affordable, spec.simulations or affordable)


def batch_sizes(simulations: int) -> list[int]:
    """Return the number of simulations in each round; they differ by one at most.

    Args:
        simulations: Simulations in all rounds.
    """
    rounds = max(min(ROUNDS, simulations), -(-simulations // MAX_BATCH))
    return [len(part) for part in np.array_split(np.arange(simulations), rounds)]


def pool_size(size: int) -> int:
    """Return the number of inputs from which a round chooses.

    Args:
        size: Simulations of the round.
    """
    return min(max(POOL_PER_SIMULATION * size, MIN_POOL), MAX_POOL)
