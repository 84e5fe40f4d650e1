"""Diagnose a problem: its data, made in parallel where they are missing, then the facts."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from problems import Dataset, Layout, Problem, Target, UserError
from problems.data.dataset import data_bytes, generate
from problems.data.shards import default_cache, plan_shards
from problems.diagnosis import Diagnosis, diagnose
from problems.errors import describe_error
from problems.sources import ProblemSource
from search.progress import ProgressDisplay
from search.workers.ray_cluster import cluster, in_parallel
from spaces.registered import ARCHITECTURES

MAX_SERIAL_SHARDS = 8
"""So many are made sooner than workers start."""


def run_diagnosis(problem: Problem, source: ProblemSource, console: Console) -> Diagnosis:
    """Return the facts about a complete problem, on the data that a search would use.

    Raises:
        UserError: Its data can't be made or read, or its own code raises.
    """
    with ProgressDisplay(problem, 0, console) as progress:
        progress.start_phase("data")
        data = _data(problem, source, progress)
        progress.start_phase("diagnosis")
        try:
            return diagnose(problem, data, lambda words: progress.print_line(f"  {words}"))
        except (Exception, SystemExit) as error:
            raise UserError(
                f"the diagnosis of {problem.name!r} ended in {describe_error(error)}; `simstead check` "
                "tries its parts one by one"
            ) from error


def _data(problem: Problem, source: ProblemSource, progress: ProgressDisplay) -> Dataset:
    cache = default_cache()
    missing = [shard for shard in plan_shards(problem) if not shard.path(cache).exists()]
    if len(missing) <= MAX_SERIAL_SHARDS:
        return generate(problem, cache, progress=progress.update)
    workers = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="simstead-") as folder,
        cluster(workers, Path(folder), source.user_source, data_bytes(problem)),
    ):
        return generate(problem, cache, in_parallel, progress.update)


def families_by_layout_and_target() -> Mapping[tuple[Layout, Target], Sequence[str]]:
    """Return which families of networks serve each layout and target."""
    served: dict[tuple[Layout, Target], list[str]] = {}
    for name in ARCHITECTURES:
        for kind in ARCHITECTURES[name].serves:
            served.setdefault(kind, []).append(name)
    return served
