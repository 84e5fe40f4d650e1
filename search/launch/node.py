"""Ray on one node of a batch job, from its start to the end of the attempt.

The batch job starts this program on each of its nodes. The first one starts Ray's head on a free
port and publishes the address in the attempt's folder; the others join it. The end of the attempt
is a file, which each node sees for itself: `ray stop` would end the Ray of other jobs too.
"""

import argparse
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

RANK_VARIABLES = ("SLURM_PROCID", "PBS_NODENUM", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
"""Environment variables by which start commands tell a process its number."""

POLL_S = 0.5
JOIN_ATTEMPTS = 3

ENDING_S = 5.0
"""Time in which Ray ends by itself [s]; then its processes are killed."""

WAIT_FOR_ATTEMPT_S = 1800.0
"""Time that a joining node waits for an attempt [s], such as one that is queued again."""

MISSING_FOLDER, FAILED_RAY = 3, 3
"""Exit codes where the machines failed."""

PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""


def run_node(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of Ray on this node: 0 once the attempt has ended.

    Args:
        arguments: Those of the command line if None.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _exit)
    # What Ray starts in sessions of its own becomes a child of this process once Ray has ended.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        if options.join:
            return _join_attempts(options, Path(options.folder))
        return _serve(options, Path(options.folder), head=_rank() == 0)
    finally:
        end_children()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node", description=__doc__)
    parser.add_argument("folder", help="of the attempt; of all attempts with --join")
    parser.add_argument("--join", action="store_true", help="join each attempt of another job")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--store-bytes", type=int, required=True)
    parser.add_argument("--memory-bytes", type=int, default=0)
    parser.add_argument("--temporary", required=True)
    parser.add_argument("--interface", default="")
    return parser


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _rank() -> int:
    return next((int(os.environ[name]) for name in RANK_VARIABLES if name in os.environ), 0)


def _join_attempts(options: argparse.Namespace, folder: Path) -> int:
    """Serve each attempt in turn until the last one is over, or none has come for long."""
    until = time.monotonic() + WAIT_FOR_ATTEMPT_S
    while time.monotonic() < until:
        if (folder / "over").exists() or (folder / "stop").exists():
            return 0
        current = folder / "current"
        attempt = folder / current.read_text() if current.exists() else None
        if attempt and (attempt / "address").exists() and not (attempt / "end").exists():
            _serve(options, attempt, head=False)
            until = time.monotonic() + WAIT_FOR_ATTEMPT_S
        time.sleep(POLL_S)
    return 0


def _serve(options: argparse.Namespace, attempt: Path, *, head: bool) -> int:
    """Run Ray until the attempt has ended, and return the exit code."""
    name = os.environ.get("SLURMD_NODENAME") or platform.node()
    if not (attempt / "events").exists():
        sys.stderr.write(f"{name} doesn't see {attempt}: it isn't on a shared file system\n")
        return MISSING_FOLDER
    with (attempt / f"node-{name}.log").open("ab", buffering=0) as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
    with _temporary_folder(options.temporary) as temporary:
        command = _ray_command(options, temporary)
        if head:
            return _run_head(command, attempt, temporary)
        return _run_further_node(command, attempt)


@contextmanager
def _temporary_folder(parent: str) -> Generator[Path]:
    """Yield a folder of this user alone: Ray makes its own one for everybody."""
    folder = tempfile.mkdtemp(prefix="sst.", dir=parent)
    os.environ["TMPDIR"] = folder
    try:
        yield Path(folder)
    finally:
        end_children()
        shutil.rmtree(folder, ignore_errors=True)


def _ray_command(options: argparse.Namespace, temporary: Path) -> list[str]:
    command = [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--block",
        f"--num-cpus={options.cores}",
        f"--object-store-memory={options.store_bytes}",
        f"--temp-dir={temporary / 'r'}",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-style=record",
    ]
    if options.memory_bytes:
        command.append(f"--memory={options.memory_bytes}")
    if options.interface:
        command.append(f"--node-ip-address={address_of(options.interface)}")
    return command


def address_of(interface: str) -> str:
    """Return the IPv4 address of a network interface of this machine.

    Raises:
        SystemExit: There is no such interface, or it has no such address.
    """
    interfaces = psutil.net_if_addrs()
    addresses = [a.address for a in interfaces.get(interface, ()) if a.family == socket.AF_INET]
    if not addresses:
        sys.exit(f"no interface {interface} with an IPv4 address; there are {sorted(interfaces)}")
    return addresses[0]


def _run_head(command: Sequence[str], attempt: Path, temporary: Path) -> int:
    ray = _start(attempt, [*command, "--head", "--port=0", "--include-dashboard=false"])
    published = temporary / "r" / "ray_current_cluster"
    while not (published.exists() and published.stat().st_size):
        if ray.poll() is not None:
            _say(f"Ray's head ended with {ray.returncode}")
            return FAILED_RAY
        time.sleep(POLL_S)
    part = attempt / "address.part"
    part.write_text(published.read_text())
    part.rename(attempt / "address")
    _say(f"head at {published.read_text()}")
    return _until_ended(ray, attempt)


def _run_further_node(command: Sequence[str], attempt: Path) -> int:
    while not (attempt / "address").exists():
        if (attempt / "end").exists():
            return 0
        time.sleep(POLL_S)
    address = (attempt / "address").read_text()
    for _ in range(JOIN_ATTEMPTS):
        _say(f"joins {address}")
        ray = _start(attempt, [*command, f"--address={address}"])
        if _until_ended(ray, attempt) == 0:
            return 0
        end_children()
    return FAILED_RAY


def _start(attempt: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(attempt / "token")}
    return subprocess.Popen(command, env={**os.environ, **token}, stdin=subprocess.DEVNULL)  # noqa: S603 - our own


def _until_ended(ray: "subprocess.Popen[bytes]", attempt: Path) -> int:
    """Wait until the attempt has ended, and return 0; or until Ray has, and return 3."""
    while ray.poll() is None:
        if (attempt / "end").exists():
            _say("the attempt has ended")
            return 0
        time.sleep(POLL_S)
    _say(f"Ray ended with {ray.returncode}")
    return FAILED_RAY


def end_children() -> None:
    """End all processes that this one has started, and those that they have."""
    processes = psutil.Process().children(recursive=True)
    for process in psutil.Process().children():
        process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=ENDING_S if processes else 0.0)
    while alive:
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=ENDING_S)
        alive = psutil.Process().children(recursive=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%T')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_node())
