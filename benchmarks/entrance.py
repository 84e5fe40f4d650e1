"""The cost of the one entrance for users' code: per call, and as a share of data generation.

    python benchmarks/entrance.py [PROBLEM ...]

The same shards are made in this process, without restoration of its state, and in a process of
their own, in turn; the median of the ratios is printed, with the time of an empty call.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from problems import Size, load_problem
from problems.data.shards import Shard, make_shard, plan_shards
from problems.entrance.isolated import IsolatedProcess

ROUNDS, CALLS, SHARDS = 5, 500, 6
PROBLEMS = {"planets": Size.TINY, "stability": Size.TINY, "radiation": Size.STANDARD}
"""Sizes whose shards take long enough to be timed, and not minutes."""


def direct(function: Callable[..., Any], *arguments: Any, limit_s: float | None = None) -> Any:
    """Return the result of a function, called as if users' code could do no harm."""
    del limit_s
    return function(*arguments)


def seconds(call: Any, shards: list[Shard]) -> float:
    """Return the time in which the shards are made [s]."""
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        for shard in shards:
            make_shard(shard, Path(cache), call)
        return time.perf_counter() - started


def main(names: list[str]) -> None:
    """Print the cost of a call, and that of the data of each problem."""
    with IsolatedProcess() as process:
        process.call(abs, 1)
        started = time.perf_counter()
        for _ in range(CALLS):
            process.call(abs, 1)
        print(f"an empty call: {(time.perf_counter() - started) / CALLS * 1e3:.2f} ms")
        for name in names:
            shards = plan_shards(load_problem(name, PROBLEMS.get(name, Size.TINY)))[:SHARDS]
            seconds(direct, shards[:1])
            seconds(process.call, shards[:1])
            ratios = [
                seconds(process.call, shards) / seconds(direct, shards) for _ in range(ROUNDS)
            ]
            print(f"{name}: {statistics.median(ratios):.3f} times ({len(shards)} shards)")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PROBLEMS))
