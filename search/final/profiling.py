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
from search.timing.reference import evenly_spaced_inputs, spread_call, timing_slot
from search.timing.stopwatch import MedianInterval, StoppingRule, time_interleaved
from search.trial.lifecycle import SearchContext
from search.trial.preparation import initialise_learner, prepare_training
from search.trial.scoring import SplitScore
from spaces.artefact import calibration_inputs
from spaces.candidate import Pruning
from spaces.pruning import prune

BATCH_SIZES = (1, 8, 64, 512)
"""Samples in a call, beside the deployment's own."""

ROUNDS = 12
MAX_CALL_S = 0.5
"""Calls that would take longer are left out."""

PEAK_SIZE, PEAK_CALLS = 1024, 5
"""A product of matrices of this size comes near the peak that networks can have."""

MAX_SAMPLES = 256
"""So many samples are scored one by one at most."""

WORST_SAMPLES = 2


class ProfiledFinalist(NamedTuple):
    """A member to look at: its record, its surrogate, and how the heat timed it."""

    record: Record
    surrogate: Surrogate
    finalist: Finalist


def time_batch_sizes(
    problem: Problem, examined: Mapping[str, ProfiledFinalist], split: Split, budget_s: float
) -> dict[str, tuple[BatchTiming, ...]]:
    """Time members with several numbers of samples in a call, in turn, to be read off a curve.

    No more rounds are begun after `budget_s`, the least apart.
    """
    usual = problem.deployment.batch
    wanted = {
        (name, batch): spread_call(each.surrogate.run, split, batch)
        for name, each in examined.items()
        for batch in sorted({*BATCH_SIZES, usual})
        if max(batch, usual) * each.finalist.timing.time_s <= MAX_CALL_S
    }
    timed_calls = {f"{name} {batch}": work for (name, batch), work in wanted.items()}
    with timing_slot(problem):
        stopping_rule = StoppingRule(lambda timed: list(timed.values()), budget_s)
        seconds = time_interleaved(timed_calls, ROUNDS, stopping_rule)
    found: dict[str, list[BatchTiming]] = {name: [] for name in examined}
    for name, batch in wanted:
        spread = MedianInterval.of(seconds[f"{name} {batch}"] * batch)
        found[name].append(
            BatchTiming(
                batch=batch, call_time_s=spread.median, low_s=spread.low, high_s=spread.high
            )
        )
    return {name: tuple(times) for name, times in found.items()}


def count_work(context: SearchContext, each: ProfiledFinalist) -> ComputeCost | None:
    """Return what a member computes, held against this machine's peak; None if nothing is counted.

    Counted are products of matrices and convolutions (as `torch.utils.flop_counter` does), of the
    network as pruned; sparse weights count in full. What can't be counted has no figure.
    """
    try:
        flops_per_sample = _flops_a_sample(context, each)
    except Exception:  # noqa: BLE001 - a family's network is anybody's: no figure is worth the heat
        return None
    if not flops_per_sample:
        return None
    with timing_slot(context.problem):
        return ComputeCost(flops_per_sample=flops_per_sample, peak=_peak())


def _flops_a_sample(context: SearchContext, each: ProfiledFinalist) -> float:
    problem, candidate = context.problem, each.record.candidate
    plain = candidate.training.model_copy(update={"augmented": 0})
    task = prepare_training(problem, candidate.model_copy(update={"training": plain}), context.data)
    batch = problem.deployment.batch
    inputs = calibration_inputs(task.pairs, batch, task.noise)[:batch]
    network = initialise_learner(candidate, task.shape).network
    if candidate.pruning is Pruning.STRUCTURED:
        network = prune(network, candidate.pruning, candidate.pruning_settings, inputs[:2])
    return _flops(network, inputs) / len(inputs) * _rows_a_sample(problem, each, context.data.test)


def _flops(network: torch.nn.Module, inputs: Tensor) -> int:
    # oneDNN's recurrent layers are one operation, which the counter doesn't know. Turning oneDNN
    # off makes PyTorch 2.13 warn of Intel's GPUs, whatever there is.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False), torch.inference_mode():
            with FlopCounterMode(display=False) as counter:
                network(inputs)
            return counter.get_total_flops()


def _rows_a_sample(problem: Problem, each: ProfiledFinalist, split: Split) -> float:
    """Return how many rows the network is given for a sample: a roll-out calls it often."""
    counted = 0

    def network(inputs: Array) -> Array:
        nonlocal counted
        counted += len(inputs)
        return each.surrogate.network(inputs)

    batch = problem.deployment.batch
    counting = Surrogate(each.surrogate.encoding, network, each.surrogate.noise)
    counting.run(evenly_spaced_inputs(split, batch), np.random.default_rng(0))
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


def sample_errors(problem: Problem, encoding: str, result: SplitScore) -> tuple[float, ...]:
    """Return the objective of single samples, in the split's order.

    Empty where it means nothing of a single one (labels, distributions, policies), or isn't finite.
    """
    if problem.encodings[encoding].target is not Target.VALUE or not result.metrics:
        return ()
    valid_outputs, split = result.valid_outputs, result.valid_samples
    found: list[float] = []
    for sample in range(min(len(split), MAX_SAMPLES)):
        one = split.take(np.array([sample]))
        try:
            with np.errstate(all="ignore"):
                metrics = problem.score(
                    take_samples(valid_outputs, np.array([sample])), one.outputs, one.inputs
                )
        except (ValueError, ArithmeticError, IndexError):  # a score that needs several samples
            return ()
        found.append(float(metrics[problem.objective.name]))
    return tuple(found) if np.isfinite(found).all() else ()


def draw_prediction(problem: Problem, result: SplitScore) -> tuple[Picture, ...]:
    """Return the case's own pictures of a prediction of the test split."""
    if problem.pictures is None or not result.metrics:
        return ()
    valid_samples = result.valid_samples
    with user_code_errors("the pictures of a prediction"):
        return tuple(
            problem.pictures(result.valid_outputs, valid_samples.outputs, valid_samples.inputs)
        )


def with_pictures(
    problem: Problem,
    finalists: Sequence[Finalist],
    tests: Mapping[str, SplitScore],
    chosen: int | None,
) -> list[Finalist]:
    """Return the entrants, members with their pictures; the heat itself has the chosen one's."""
    return [
        each
        if each.trial in {None, chosen}
        else each.model_copy(update={"pictures": draw_prediction(problem, tests[each.name])})
        for each in finalists
    ]


def draw_worst_samples(
    problem: Problem, result: SplitScore, errors: Sequence[float]
) -> tuple[Picture, ...]:
    """Return the case's own pictures of the samples with the largest errors."""
    if problem.pictures is None or not errors:
        return ()
    worst = np.argsort(errors)[::-1][:WORST_SAMPLES]
    split = result.valid_samples.take(worst)
    with user_code_errors("the pictures of the worst samples"):
        return tuple(
            problem.pictures(take_samples(result.valid_outputs, worst), split.outputs, split.inputs)
        )
