"""Where the host's time goes, and what the best surrogate could make of it.

Amdahl's bound: a host that spends the fraction f of its time in the kernel runs
1 / ((1 - f) + f / s) times as fast with a kernel that is s times as fast (Amdahl, AFIPS Conf. Proc.
30 (1967) 483).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from problems.errors import UserError
from problems.interfaces.problem import Host, Problem, Profile
from problems.interfaces.types import Batch, Run

SPEEDUPS = (2.0, 5.0, 10.0, 100.0, 1000.0, math.inf)
HOST_RUNS = 3
"""Timed runs of a host, after one to warm up."""

HOST_BUDGET_S = 30.0
"""No further run of the host is begun once so much time has gone into it."""

Clock = Callable[[], float]


KERNEL = "kernel"
"""What the kernel is called where it was clocked here."""


@dataclass(frozen=True)
class HostShare:
    """The kernel's share of its host's time.

    Args:
        fraction: Share of the time inside the kernel.
        kernel_s: Time inside the kernel, of one run of the host [s]; in a profile's own unit.
        total_s: Time of one run of the host, in the same unit.
        calls: Calls of the kernel in one run; 0 where a profile doesn't say.
        measured: Whether the host was run here; else the numbers are the profile's.
        kernel: The part that is the kernel.
        parts: (name, share of the time), largest first.
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
    """One run of a host with a clock around its kernel.

    Args:
        outputs: What the host returned.
        total_s: Time of the run.
        kernel_s: Time inside the kernel.
        calls: Calls of the kernel.
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
class _ClockedKernel:
    """A kernel that counts its calls and the time inside, a call within a call only once."""

    kernel: Run
    clock: Clock
    inside_s: float = field(default=0.0, init=False)
    calls: int = field(default=0, init=False)
    depth: int = field(default=0, init=False)

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the kernel's outputs."""
        self.calls += 1
        self.depth += 1
        began = self.clock()
        try:
            return self.kernel(inputs, rng)
        finally:
            self.depth -= 1
            if self.depth == 0:
                self.inside_s += self.clock() - began


def amdahl(fraction: float, speedup: float) -> float:
    """Return the host's speed-up when `fraction` of its time becomes `speedup` times as fast."""
    left = (1.0 - fraction) + fraction / speedup
    return 1.0 / left if left > 0.0 else math.inf


def measure_host(
    host: Host, kernel: Run, seed: int = 0, clock: Clock = time.perf_counter
) -> HostShare:
    """Run the host with a clock around its kernel and return the run of median length.

    Every run has the same random numbers, so it has the same work to do. A host that calls its
    kernel from several threads at once would be counted wrongly.

    Args:
        host: Runs the host code with any kernel.
        kernel: The reference's run.
        seed: Of the random numbers.
        clock: Seconds from any origin.
    """
    began = clock()
    runs = [run_host(host, kernel, seed, clock)]
    while len(runs) <= HOST_RUNS and clock() - began < HOST_BUDGET_S:
        runs.append(run_host(host, kernel, seed, clock))
    timed = sorted(runs[1:] or runs, key=lambda run: run.total_s)
    median = timed[(len(timed) - 1) // 2]
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
    """Run the host once; runs of one seed have the same random numbers."""
    clocked = _ClockedKernel(kernel, clock)
    began = clock()
    outputs = host(clocked, np.random.default_rng(seed))
    return HostRun(outputs, clock() - began, clocked.inside_s, clocked.calls)


def host_share(problem: Problem, seed: int = 0) -> HostShare | None:
    """Return the kernel's share of the host's time, measured where the host can be run.

    A problem with neither a host nor a profile has none; nor has recorded data without a profile,
    since there is no kernel to run.

    Raises:
        UserError: The profile doesn't hold the part that it calls its kernel.
    """
    if problem.host is not None and problem.simulation is not None:
        return measure_host(problem.host, problem.simulation.run, seed)
    return None if problem.profile is None else profiled_host(problem.profile)


def profiled_host(profile: Profile) -> HostShare:
    """Return the shares of a profile that was measured elsewhere.

    Raises:
        UserError: The kernel is none of the parts, or no part takes any time.
    """
    total = math.fsum(profile.parts.values())
    if profile.kernel not in profile.parts:
        known = ", ".join(profile.parts) or "none"
        raise UserError(f"Profile(kernel={profile.kernel!r}) is none of its parts; parts: {known}")
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
