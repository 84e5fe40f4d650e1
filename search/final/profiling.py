"""Profiles of the recommended finalists: compute cost and pictures."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from problems import Array, Problem, Split
from problems.entrance.calls import user_code_errors
from problems.interfaces.pictures import Picture, within_budget
from problems.interfaces.types import EncodedNetwork, take_samples
from search.run.finalists import ComputeCost, Finalist
from search.run.records import Record
from search.timing.reference import evenly_spaced_inputs, timing_slot
from search.trial.context import SearchContext
from search.trial.preparation import initialise_learner, prepare_training
from search.trial.scoring import SplitScore
from spaces.artefact import calibration_inputs
from spaces.candidate import Pruning
from spaces.pruning import prune

PEAK_SIZE, PEAK_CALLS = 1024, 5
"""Size of the matrix product that measures the peak, and the number of its repetitions."""

WORST_SAMPLES = 2


class ProfiledFinalist(NamedTuple):
    """A finalist to profile, with its record and surrogate."""

    record: Record
    surrogate: EncodedNetwork
    finalist: Finalist


def count_work(context: SearchContext, profiled: ProfiledFinalist) -> ComputeCost | None:
    """Return the operations of a finalist and the machine's peak; None if nothing is counted.

    Counted are matrix products and convolutions (by `torch.utils.flop_counter`) of the pruned
    network; sparse weights count in full.
    """
    try:
        flops_per_sample = _flops_per_sample(context, profiled)
    except Exception:  # noqa: BLE001 - a user's network may raise anything, and the figure is optional
        return None
    if not flops_per_sample:
        return None
    with timing_slot(context.problem):
        return ComputeCost(flops_per_sample=flops_per_sample, peak_flops_per_s=_peak_flops_per_s())


def _flops_per_sample(context: SearchContext, profiled: ProfiledFinalist) -> float:
    problem, candidate = context.problem, profiled.record.candidate
    training = candidate.training.model_copy(
        update={"augmented": 0, "labelled": 0, "labelled_paths": 0}
    )
    without_copies = candidate.model_copy(update={"training": training})
    task = prepare_training(problem, without_copies, context.data)
    batch = problem.deployment.batch
    inputs = calibration_inputs(task.pairs, batch, task.noise)[:batch]
    network = initialise_learner(candidate, task.shape).network
    if candidate.pruning is Pruning.STRUCTURED:
        network = prune(network, candidate.pruning, candidate.pruning_settings, inputs[:2])
    flops_per_row = count_flops(network, inputs) / len(inputs)
    return flops_per_row * _rows_per_sample(problem, profiled, context.data.test)


def count_flops(network: torch.nn.Module, inputs: Tensor) -> int:
    """Return the floating-point operations of a network's matrix products and convolutions.

    Args:
        network: A network on the CPU.
        inputs: A batch of inputs (n, ...).
    """
    # oneDNN's recurrent layers are single operations that the counter doesn't count. Without
    # oneDNN, PyTorch 2.13 warns of Intel's GPUs, even if there are none.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False), torch.inference_mode():
            with FlopCounterMode(display=False) as counter:
                network(inputs)
            return counter.get_total_flops()


def _rows_per_sample(problem: Problem, profiled: ProfiledFinalist, split: Split) -> float:
    """Return the network's input rows per sample: a roll-out calls the network several times."""
    rows = 0

    def network(inputs: Array) -> Array:
        nonlocal rows
        rows += len(inputs)
        return profiled.surrogate.network(inputs)

    batch = problem.deployment.batch
    counting = EncodedNetwork(profiled.surrogate.encoding, network, profiled.surrogate.noise)
    counting.run(evenly_spaced_inputs(split, batch), np.random.default_rng(0))
    return rows / batch


def _peak_flops_per_s() -> float:
    """Return the floating-point operations per second of a large matrix product in float32."""
    matrix = torch.ones(PEAK_SIZE, PEAK_SIZE)
    seconds: list[float] = []
    for _ in range(PEAK_CALLS):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return 2.0 * PEAK_SIZE**3 / min(seconds)


def draw_prediction(problem: Problem, result: SplitScore) -> tuple[Picture, ...]:
    """Return the problem's pictures of a prediction of the test split, each within its budget."""
    if problem.pictures is None or not result.metrics:
        return ()
    valid_samples = result.valid_samples
    with user_code_errors("the pictures of a prediction"):
        pictures = problem.pictures(
            result.valid_outputs, valid_samples.outputs, valid_samples.inputs
        )
        return tuple(map(within_budget, pictures))


def with_pictures(
    problem: Problem,
    finalists: Sequence[Finalist],
    tests: Mapping[str, SplitScore],
    recommended: int | None,
) -> list[Finalist]:
    """Return the finalists with pictures of their predictions.

    Baselines have none, and those of the recommended trial belong to the final evaluation itself.

    Args:
        problem: The problem.
        finalists: The finalists.
        tests: Scores on the test split by name.
        recommended: The recommended trial.
    """
    return [
        finalist
        if finalist.trial in {None, recommended}
        else finalist.model_copy(
            update={"pictures": draw_prediction(problem, tests[finalist.name])}
        )
        for finalist in finalists
    ]


def draw_worst_samples(
    problem: Problem, result: SplitScore, errors: Sequence[float]
) -> tuple[Picture, ...]:
    """Return the problem's pictures of the samples with the largest errors.

    Args:
        problem: The problem.
        result: The score on the test split.
        errors: Errors of single samples (n,).
    """
    if problem.pictures is None or not errors:
        return ()
    worst = np.argsort(errors)[::-1][:WORST_SAMPLES]
    split = result.valid_samples.take(worst)
    outputs = take_samples(result.valid_outputs, worst)
    with user_code_errors("the pictures of the worst samples"):
        return tuple(map(within_budget, problem.pictures(outputs, split.outputs, split.inputs)))
