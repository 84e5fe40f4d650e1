"""A-posteriori evaluation: the host's results and times with a surrogate in place of its kernel.

Errors on samples of the reference (a priori) may rank surrogates wrongly, since a host calls a
surrogate with states that the surrogate itself produced.
"""

import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from problems import Batch, Problem, Run
from problems.diagnosis.host import HostRun, run_host
from problems.entrance.calls import user_code_errors
from problems.errors import describe_error
from problems.moments import root_mean_square
from problems.scores import describe_not_finite, standard_deviation
from search.run.finalists import HostResult, HostTiming
from search.timing.reference import timing_slot

REFERENCE = "reference"

ROUNDS = 5
"""Runs of the host with each kernel, in turn, after one run to warm up."""

TIME_BUDGET_S = 60.0
"""No further round is started after this time [s]."""


def evaluate_in_host(
    problem: Problem, kernels: Mapping[str, Run]
) -> tuple[HostTiming | None, dict[str, HostResult]]:
    """Return the host's timing with the reference, and its results with every kernel.

    All are run in turn, with the same random numbers. Returns (None, {}) without a host.

    Args:
        problem: The problem with the host.
        kernels: Surrogates and baselines by name.
    """
    if problem.host is None or problem.simulation is None:
        return None, {}
    reference: list[HostRun] = []
    runs: dict[str, list[HostRun]] = defaultdict(list)
    reasons: dict[str, str] = {}
    started = time.monotonic()
    with timing_slot(problem), np.errstate(all="ignore"):  # a divergence is a result, no warning
        while len(reference) <= ROUNDS and (
            not reference or time.monotonic() - started < TIME_BUDGET_S
        ):
            with user_code_errors("the host with the reference in its place"):
                reference.append(run_host(problem.host, problem.simulation.run))
            for name in kernels.keys() - reasons.keys():
                try:
                    runs[name].append(run_host(problem.host, kernels[name]))
                except Exception as error:  # noqa: BLE001 - a user's host may raise anything
                    reasons[name] = describe_error(error)
    results = {
        name: HostResult(reason=reasons[name])
        if name in reasons
        else _host_result(problem, runs[name], reference)
        for name in kernels
    }
    warm = reference[1:] or reference
    median = sorted(warm, key=lambda run: run.total_s)[(len(warm) - 1) // 2]
    timing = HostTiming(time_s=median.total_s, fraction=median.fraction, calls=median.calls)
    return timing, results


def _host_result(problem: Problem, runs: list[HostRun], reference: list[HostRun]) -> HostResult:
    expected, outputs = reference[0].outputs, runs[0].outputs
    for name, array in expected.items():
        output = np.asarray(outputs[name]) if name in outputs else None
        if output is None or output.shape != np.shape(array):
            return HostResult(
                reason=f"{name!r} is missing, or has another shape than with the reference"
            )
        if not np.isfinite(output).all():
            return HostResult(reason=f"{name!r} is not finite")
    score = problem.host_score or normalised_rmse
    try:
        scores = {name: float(value) for name, value in score(outputs, expected).items()}
    except Exception as error:  # noqa: BLE001 - a user's score may raise anything
        return HostResult(reason=f"host_score: {describe_error(error)}")
    not_finite = describe_not_finite(scores)
    if not_finite:
        return HostResult(reason=f"host_score: {not_finite}")
    pairs = list(zip(reference, runs, strict=True))
    pairs = pairs[1:] or pairs  # after one run to warm up
    kernel_ratios = [a.kernel_s / b.kernel_s for a, b in pairs if b.kernel_s > 0.0]
    return HostResult(
        scores=scores,
        time_s=float(np.median([run.total_s for _, run in pairs])),
        speedup=float(np.median([a.total_s / b.total_s for a, b in pairs])),
        kernel_speedup=float(np.median(kernel_ratios)) if kernel_ratios else None,
    )


def normalised_rmse(predicted: Batch, reference: Batch) -> dict[str, float]:
    """Return the root mean square error of each array, divided by the reference's deviation."""
    errors: dict[str, float] = {}
    for name, array in reference.items():
        deviation = standard_deviation(np.asarray(array, float))
        difference = np.asarray(predicted[name], float) - np.asarray(array, float)
        errors[f"departure of {name}"] = float(root_mean_square(difference)) / deviation
    return errors
