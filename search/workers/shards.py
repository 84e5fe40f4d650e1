"""Where missing shards of data are made: in one process if they are few, else on all cores."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from problems import Problem
from problems.data.dataset import data_bytes
from problems.data.shards import Shard, ShardExecutor, make_serially
from problems.entrance.isolated import IsolatedProcess
from problems.sources import ProblemSource
from search.allocation import allocated_cores
from search.workers.ray_cluster import cluster
from search.workers.tasks import in_parallel

MAX_SERIAL_SHARDS = 8
"""Up to this number, shards are made faster than workers start."""


@contextmanager
def shard_executor(
    problem: Problem, source: ProblemSource, shards: Sequence[Shard], cache: Path
) -> Generator[ShardExecutor]:
    """Provide what makes those shards that the cache lacks.

    Args:
        problem: The problem.
        source: Source of the problem, from which workers load it.
        shards: The shards.
        cache: Folder of the shards.
    """
    missing = sum(not shard.path(cache).exists() for shard in shards)
    if missing <= MAX_SERIAL_SHARDS:
        with IsolatedProcess() as process:
            yield partial(make_serially, call=process.call)
        return
    workers = allocated_cores()
    with (
        tempfile.TemporaryDirectory(prefix="simstead-") as folder,
        cluster(workers, Path(folder), source.user_source, data_bytes(problem)),
    ):
        yield in_parallel
