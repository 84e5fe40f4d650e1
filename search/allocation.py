"""The cores and the memory that this process may use, which may be fewer than the machine has."""

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = "max"


def allocated_cores() -> int:
    """Return the number of cores that this process may use: its affinity, or its cgroup's quota."""
    affinity = len(os.sched_getaffinity(0))
    quotas = [_cores_of(limit) for limit in _limits("cpu.max")]
    return max(1, min([affinity, *(int(quota) for quota in quotas if quota)]))


def allocated_memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its cgroup's limit [bytes]."""
    limits = [int(limit) for limit in _limits("memory.max") if limit.isdecimal()]
    return min([psutil.virtual_memory().total, *limits])


def _limits(name: str) -> list[str]:
    """Return a file's text in the cgroup (version 2) of this process and in those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    folder = CGROUP / own.lstrip("/")
    files = [level / name for level in (folder, *folder.parents) if level.is_relative_to(CGROUP)]
    return [file.read_text().strip() for file in files if file.is_file()]


def _cores_of(limit: str) -> float | None:
    """Return the cores of a cgroup's quota and period [us], None without a quota."""
    quota, _, period = limit.partition(" ")
    if quota == UNLIMITED or not period:
        return None
    return max(int(quota) / int(period), 1.0)
