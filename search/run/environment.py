"""The machine, libraries and code of a run, by which its times are judged and it is repeated."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search.allocation import allocated_cores, allocated_memory_bytes
from spaces.candidate import FrozenModel

LIBRARIES = (
    "numpy",
    "torch",
    "optuna",
    "ray",
    "onnxruntime",
    "openvino",
    "nncf",
    "torch-pruning",
    "rebound",
    "simstead",
)


class Environment(FrozenModel):
    """Machine, libraries and code at the start of a session of a run."""

    started: str
    host: str = ""
    """Name of the machine; empty in older runs."""
    python: str
    system: str
    processor: str
    cores: int
    memory_gib: float
    commit: str
    command: tuple[str, ...]
    versions: dict[str, str]


def collect_environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=host_name(),
        python=platform.python_version(),
        system=platform.platform(),
        processor=processor_name(),
        cores=allocated_cores(),
        memory_gib=round(allocated_memory_bytes() / 2**30, 1),
        commit=_commit(),
        command=("simstead", *sys.argv[1:]),
        versions={name: _version(name) for name in LIBRARIES},
    )


@cache
def machine_kind() -> str:
    """Return the processor, cores and GPU of this machine: times are compared on one kind.

    The cores are all that it has, whoever may use them: they tell one machine from another.
    """
    from torch import cuda  # noqa: PLC0415 - slow to import, and a run is read without it

    gpu = [cuda.get_device_name()] if cuda.is_available() else []
    return ", ".join([processor_name(), f"{os.cpu_count()} cores", *gpu])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def host_name() -> str:
    """Return the name of this machine."""
    return platform.node()


def processor_name() -> str:
    """Return the name of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Return the commit of the checkout, marked as dirty where files differ from it."""
    root = Path(__file__).parents[2]
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git of the PATH
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
