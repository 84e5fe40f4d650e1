"""Recommended members looked at more closely: other batches, the machine's peak, single samples."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from problems import Array, Problem, Split, Target
from problems.errors import user_code_errors
from problems.interfaces.pictures import Picture
from problems.interfaces.types import Surrogate, take_samples
from search.run.finalists import BatchTiming, ComputeCost, Finalist
from search.run.records import Record
from search.timing.reference import spread_call, spread_evenly, stopwatch
from search.timing.stopwatch import Spread, Until, time_in_turn
from search.trial.lifecycle import Setting
from search.trial.preparation import initialise_learner, prepare_training
from search.trial.scoring import Scored
from spaces.artefact import calibration_inputs
from spaces.candidate import Pruning
from spaces.pruning import prune

BATCHES = (1, 8, 64, 512)
"""Samples in a call, beside the deployment's own."""

ROUNDS = 12
SLOWEST_CALL_S = 0.5
"""Calls that would take longer are left out."""

PEAK_SIZE, PEAK_CALLS = 1024, 5
"""A product of matrices of this size comes near the peak that networks can have."""

MOST_SAMPLES = 256
"""So many samples are scored one by one at most."""

WORST = 2


class Examined(NamedTuple):
    """A member to look at: its record, its surrogate, and how the heat timed it."""

    record: Record
    surrogate: Surrogate
    finalist: Finalist


def batch_times(
    problem: Problem, examined: Mapping[str, Examined], split: Split, budget_s: float
) -> dict[str, tuple[BatchTiming, ...]]:
    """Time members with several numbers of samples in a call, in turn, to be read off a curve.

    No more rounds are begun after `budget_s`, the least apart.
    """
    usual = problem.deployment.batch
    wanted = {
        (name, batch): spread_call(each.surrogate.run, split, batch)
        for name, each in examined.items()
        for batch in sorted({*BATCHES, usual})
        if max(batch, usual) * each.finalist.timing.time_s <= SLOWEST_CALL_S
    }
    timed_calls = {f"{name} {batch}": work for (name, batch), work in wanted.items()}
    with stopwatch(problem):
        until = Until(lambda timed: list(timed.values()), budget_s)
        seconds = time_in_turn(timed_calls, ROUNDS, until)
    found: dict[str, list[BatchTiming]] = {name: [] for name in examined}
    for name, batch in wanted:
        spread = Spread.of(seconds[f"{name} {batch}"] * batch)
        found[name].append(
            BatchTiming(
                batch=batch, call_time_s=spread.median, low_s=spread.low, high_s=spread.high
            )
        )
    return {name: tuple(times) for name, times in found.items()}


def work_of(setting: Setting, each: Examined) -> ComputeCost | None:
    """Return what a member computes, held against this machine's peak; None if nothing is counted.

    Counted are products of matrices and convolutions (as `torch.utils.flop_counter` does), of the
    network as pruned; sparse weights count in full. What can't be counted has no figure.
    """
    try:
        flops_per_sample = _flops_a_sample(setting, each)
    except Exception:  # noqa: BLE001 - a family's network is anybody's: no figure is worth the heat
        return None
    if not flops_per_sample:
        return None
    with stopwatch(setting.problem):
        return ComputeCost(flops_per_sample=flops_per_sample, peak=_peak())


def _flops_a_sample(setting: Setting, each: Examined) -> float:
    problem, candidate = setting.problem, each.record.candidate
    plain = candidate.training.model_copy(update={"augmented": 0})
    task = prepare_training(problem, candidate.model_copy(update={"training": plain}), setting.data)
    batch = problem.deployment.batch
    inputs = calibration_inputs(task.pairs, batch, task.noise)[:batch]
    network = initialise_learner(candidate, task.shape).network
    if candidate.pruning is Pruning.STRUCTURED:
        network = prune(network, candidate.pruning, candidate.pruning_settings, inputs[:2])
    return _flops(network, inputs) / len(inputs) * _rows_a_sample(problem, each, setting.data.test)


def _flops(network: torch.nn.Module, inputs: Tensor) -> int:
    # oneDNN's recurrent layers are one operation, which the counter doesn't know. Turning oneDNN
    # off makes PyTorch 2.13 warn of Intel's GPUs, whatever there is.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False), torch.inference_mode():
            with FlopCounterMode(display=False) as counter:
                network(inputs)
            return counter.get_total_flops()


def _rows_a_sample(problem: Problem, each: Examined, split: Split) -> float:
    """Return how many rows the network is given for a sample: a roll-out calls it often."""
    counted = 0

    def network(inputs: Array) -> Array:
        nonlocal counted
        counted += len(inputs)
        return each.surrogate.network(inputs)

    batch = problem.deployment.batch
    counting = Surrogate(each.surrogate.encoding, network, each.surrogate.noise)
    counting.run(spread_evenly(split, batch), np.random.default_rng(0))
    return counted / batch


def _peak() -> float:
    """Return the floating-point operations a second of a large product in float32."""
    left = torch.ones(PEAK_SIZE, PEAK_SIZE)
    seconds: list[float] = []
    for _ in range(PEAK_CALLS):
        started = time.perf_counter()
        torch.mm(left, left)
        seconds.append(time.perf_counter() - started)
    return 2.0 * PEAK_SIZE**3 / min(seconds)


def sample_errors(problem: Problem, encoding: str, result: Scored) -> tuple[float, ...]:
    """Return the objective of single samples, in the split's order.

    Empty where it means nothing of a single one (labels, distributions, policies), or isn't finite.
    """
    if problem.encodings[encoding].target is not Target.VALUE or not result.metrics:
        return ()
    predicted, split = result.predicted, result.survivors
    found: list[float] = []
    for sample in range(min(len(split), MOST_SAMPLES)):
        one = split.take(np.array([sample]))
        try:
            with np.errstate(all="ignore"):
                metrics = problem.score(
                    take_samples(predicted, np.array([sample])), one.outputs, one.inputs
                )
        except (ValueError, ArithmeticError, IndexError):  # a score that needs several samples
            return ()
        found.append(float(metrics[problem.objective.name]))
    return tuple(found) if np.isfinite(found).all() else ()


def pictures_of(problem: Problem, result: Scored) -> tuple[Picture, ...]:
    """Return the case's own pictures of a prediction of the test split."""
    if problem.pictures is None or not result.metrics:
        return ()
    survivors = result.survivors
    with user_code_errors("the pictures of a prediction"):
        return tuple(problem.pictures(result.predicted, survivors.outputs, survivors.inputs))


def with_pictures(
    problem: Problem, finalists: Sequence[Finalist], tests: Mapping[str, Scored], chosen: int | None
) -> list[Finalist]:
    """Return the entrants, members with their pictures; the heat itself has the chosen one's."""
    return [
        each
        if each.trial in {None, chosen}
        else each.model_copy(update={"pictures": pictures_of(problem, tests[each.name])})
        for each in finalists
    ]


def worst_pictures(
    problem: Problem, result: Scored, errors: Sequence[float]
) -> tuple[Picture, ...]:
    """Return the case's own pictures of the samples with the largest errors."""
    if problem.pictures is None or not errors:
        return ()
    worst = np.argsort(errors)[::-1][:WORST]
    split = result.survivors.take(worst)
    with user_code_errors("the pictures of the worst samples"):
        return tuple(
            problem.pictures(take_samples(result.predicted, worst), split.outputs, split.inputs)
        )
