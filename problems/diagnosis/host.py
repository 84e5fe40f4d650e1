"""The kernel's share of the host's time, and Amdahl's bound of the host's speed-up.

A host that spends the fraction f of its time in the kernel runs
1 / ((1 - f) + f / s) times as fast with a kernel that is s times as fast (Amdahl, AFIPS Conf. Proc.
30 (1967) 483).
"""

import math
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from problems.errors import UserError
from problems.interfaces.problem import Host, Problem, Profile
from problems.interfaces.types import Batch, Clock, Run

SPEEDUPS = (2.0, 5.0, 10.0, 100.0, 1000.0, math.inf)
HOST_RUNS = 3
"""Largest number of timed runs of a host, after one warm-up run."""

HOST_BUDGET_S = 30.0
"""Total time of the runs after which no further run of the host begins [s]."""

KERNEL = "kernel"
"""Name of the kernel among the parts of a host that was run."""


@dataclass(frozen=True)
class HostShare:
    """The kernel's share of its host's time.

    Args:
        fraction: Share of the time inside the kernel.
        kernel_s: Time inside the kernel in one run of the host [s]; a profile's in its own unit.
        total_s: Time of one run of the host, in the same unit.
        calls: Calls of the kernel in one run; 0 for a profile.
        measured: Whether the host was run; else the numbers are the profile's.
        kernel: Name of the part that is the kernel.
        parts: (name, share of the time) of each part, largest first.
        bounds: (speed-up of the kernel, speed-up of the host).
    """

    fraction: float
    kernel_s: float
    total_s: float
    calls: int
    measured: bool
    kernel: str
    parts: tuple[tuple[str, float], ...]
    bounds: tuple[tuple[float, float], ...]


class HostRun(NamedTuple):
    """One run of a host whose kernel was timed.

    Args:
        outputs: Outputs of the host.
        total_s: Time of the run [s].
        kernel_s: Time inside the kernel [s].
        calls: Number of calls of the kernel.
    """

    outputs: Batch
    total_s: float
    kernel_s: float
    calls: int

    @property
    def fraction(self) -> float:
        """Share of the time inside the kernel."""
        return min(self.kernel_s / self.total_s, 1.0) if self.total_s > 0.0 else 0.0


@dataclass
class _TimedKernel:
    """A kernel that counts its calls and the time inside; nested calls count as one."""

    kernel: Run
    clock: Clock
    inside_s: float = field(default=0.0, init=False)
    calls: int = field(default=0, init=False)
    depth: int = field(default=0, init=False)

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the kernel's outputs."""
        self.calls += 1
        self.depth += 1
        start = self.clock()
        try:
            return self.kernel(inputs, rng)
        finally:
            self.depth -= 1
            if self.depth == 0:
                self.inside_s += self.clock() - start


def amdahl(fraction: float, speedup: float) -> float:
    """Return the host's speed-up if `fraction` of its time becomes `speedup` times as fast."""
    relative_time = (1.0 - fraction) + fraction / speedup
    return 1.0 / relative_time if relative_time > 0.0 else math.inf


def measure_host(
    host: Host, kernel: Run, seed: int = 0, clock: Clock = time.perf_counter
) -> HostShare:
    """Return the shares of the host's time in the run of median length.

    Every run has the same random numbers and so the same work. The times of a host that calls its
    kernel from several threads at once are wrong.

    Args:
        host: The host, which takes any kernel.
        kernel: The reference.
        seed: Seed of the random numbers of each run.
        clock: Seconds from any origin.
    """
    start = clock()
    runs = [run_host(host, kernel, seed, clock)]
    while len(runs) <= HOST_RUNS and clock() - start < HOST_BUDGET_S:
        runs.append(run_host(host, kernel, seed, clock))
    timed_runs = sorted(runs[1:] or runs, key=lambda run: run.total_s)
    median = timed_runs[(len(timed_runs) - 1) // 2]
    return HostShare(
        fraction=median.fraction,
        kernel_s=median.kernel_s,
        total_s=median.total_s,
        calls=median.calls,
        measured=True,
        kernel=KERNEL,
        parts=_largest_first({KERNEL: median.fraction, "rest of the host": 1.0 - median.fraction}),
        bounds=_bounds(median.fraction),
    )


def run_host(host: Host, kernel: Run, seed: int = 0, clock: Clock = time.perf_counter) -> HostRun:
    """Run the host once and return its outputs and times.

    Args:
        host: The host, which takes any kernel.
        kernel: The reference or a surrogate.
        seed: Seed of the random numbers; equal seeds give equal numbers.
        clock: Seconds from any origin.
    """
    timed_kernel = _TimedKernel(kernel, clock)
    start = clock()
    outputs = host(timed_kernel, np.random.default_rng(seed))
    return HostRun(outputs, clock() - start, timed_kernel.inside_s, timed_kernel.calls)


def host_share(problem: Problem, seed: int = 0) -> HostShare | None:
    """Return the kernel's share of the host's time, measured if the host can be run.

    None for a problem with neither a host nor a profile, and for recorded data without a profile,
    since there is no kernel to run.

    Raises:
        UserError: The profile is invalid.
    """
    if problem.host is not None and problem.simulation is not None:
        return measure_host(problem.host, problem.simulation.run, seed)
    return None if problem.profile is None else profiled_host(problem.profile)


def profiled_host(profile: Profile) -> HostShare:
    """Return the shares of a profile that was measured elsewhere.

    Raises:
        UserError: The kernel is none of the parts, or the times are negative or all 0.
    """
    total = math.fsum(profile.parts.values())
    if profile.kernel not in profile.parts:
        names = ", ".join(profile.parts) or "none"
        raise UserError(f"Profile(kernel={profile.kernel!r}) is none of its parts; parts: {names}")
    if not (math.isfinite(total) and total > 0.0 and min(profile.parts.values()) >= 0.0):
        raise UserError("Profile(parts=...) needs times or shares >= 0, one of them above 0")
    kernel = profile.parts[profile.kernel]
    return HostShare(
        fraction=kernel / total,
        kernel_s=kernel,
        total_s=total,
        calls=0,
        measured=False,
        kernel=profile.kernel,
        parts=_largest_first({name: part / total for name, part in profile.parts.items()}),
        bounds=_bounds(kernel / total),
    )


def _largest_first(parts: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(parts.items(), key=lambda part: -part[1]))


def _bounds(fraction: float) -> tuple[tuple[float, float], ...]:
    return tuple((speedup, amdahl(fraction, speedup)) for speedup in SPEEDUPS)
