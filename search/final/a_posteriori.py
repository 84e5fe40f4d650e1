"""A posteriori: what a host returns with a surrogate in the simulation's place, and how soon.

An error a priori, on samples that the reference drew, may rank surrogates the wrong way round: a
host feeds them what their own answers led to.
"""

import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from problems import Batch, Problem, Run
from problems.diagnosis.host import HostRun, run_host
from problems.errors import describe_error, user_code_errors
from problems.scores import standard_deviation
from search.run.finalists import HostResult, HostTiming
from search.timing.reference import timing_slot

REFERENCE = "reference"

ROUNDS = 5
"""Every entrant's host is run so often, in turn, and once before to warm up."""

TIME_BUDGET_S = 60.0
"""No further round is begun once so much time has gone into them."""


def evaluate_in_host(
    problem: Problem, kernels: Mapping[str, Run]
) -> tuple[HostTiming | None, dict[str, HostResult]]:
    """Run the host with the reference and with every kernel, in turn; nothing without a host.

    Runs begin with the same random numbers, so they have the same work to do.

    Args:
        problem: Whose host.
        kernels: Surrogates and baselines by name.
    """
    if problem.host is None or problem.simulation is None:
        return None, {}
    reference: list[HostRun] = []
    others: dict[str, list[HostRun]] = defaultdict(list)
    reasons: dict[str, str] = {}
    began = time.monotonic()
    with timing_slot(problem), np.errstate(all="ignore"):  # what diverges is told, not warned of
        while len(reference) <= ROUNDS and (
            not reference or time.monotonic() - began < TIME_BUDGET_S
        ):
            with user_code_errors("the host with the reference in its place"):
                reference.append(run_host(problem.host, problem.simulation.run))
            for name in kernels.keys() - reasons.keys():
                try:
                    others[name].append(run_host(problem.host, kernels[name]))
                except Exception as error:  # noqa: BLE001 - the host is the user's, whatever it says
                    reasons[name] = describe_error(error)
    host_result = {
        name: HostResult(reason=reasons[name])
        if name in reasons
        else _hosted(problem, others[name], reference)
        for name in kernels
    }
    warm = reference[1:] or reference
    median = sorted(warm, key=lambda run: run.total_s)[(len(warm) - 1) // 2]
    facts = HostTiming(time_s=median.total_s, fraction=median.fraction, calls=median.calls)
    return facts, host_result


def _hosted(problem: Problem, runs: list[HostRun], reference: list[HostRun]) -> HostResult:
    wanted, returned = reference[0].outputs, runs[0].outputs
    for name, array in wanted.items():
        own = np.asarray(returned[name]) if name in returned else None
        if own is None or own.shape != np.shape(array):
            return HostResult(
                reason=f"{name!r} isn't there, or has another shape than the reference's"
            )
        if not np.isfinite(own).all():
            return HostResult(reason=f"{name!r} is not finite")
    score = problem.host_score or normalised_rmse
    try:
        scores = {name: float(value) for name, value in score(returned, wanted).items()}
    except Exception as error:  # noqa: BLE001 - the host's score is the user's, whatever it says
        return HostResult(reason=f"host_score: {describe_error(error)}")
    ratios = [a.total_s / b.total_s for a, b in zip(reference, runs, strict=True)]
    return HostResult(
        scores=scores,
        time_s=float(np.median([run.total_s for run in runs[1:] or runs])),
        speedup=float(np.median(ratios[1:] or ratios)),
    )


def normalised_rmse(predicted: Batch, reference: Batch) -> dict[str, float]:
    """Return each array's root mean square departure in units of the reference's deviation."""
    found: dict[str, float] = {}
    for name, array in reference.items():
        deviation = standard_deviation(np.asarray(array, float))
        difference = np.asarray(predicted[name], float) - np.asarray(array, float)
        found[f"departure of {name}"] = float(np.sqrt(np.mean(difference**2))) / deviation
    return found
