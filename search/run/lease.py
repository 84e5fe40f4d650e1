"""The lease by which a run has one driver, also where `flock` locks one machine alone or nothing.

The driver of a run owns its lease, a file with its name, and renews it every few seconds. A process
that wants to drive the run watches the file: while it changes, its owner lives. Nothing is compared
with a clock, since those of two machines may differ.
"""

import os
import platform
import secrets
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from problems import UserError
from problems.atomic_files import atomic_write
from spaces.candidate import FrozenModel

HEARTBEAT_S = 5.0
"""Time after which a driver renews its lease [s]."""

WATCHED_S = 30.0
"""A lease that another machine hasn't renewed for so long is given up [s]."""

POLL_S = 0.5

JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID")
"""Environment variables by which batch systems tell the name of a job."""


class Lease(FrozenModel):
    """The lease of a run.

    Args:
        owner: Name that no other process has.
        host: Machine of the driver.
        process: Its process there.
        started: When that process started, as its machine counts, which tells it from a later one.
        job: Name of the batch system's job, "" without one.
        heartbeat: Number of renewals.
    """

    owner: str
    host: str
    process: int
    started: str
    job: str
    heartbeat: int = 0

    @property
    def description(self) -> str:
        """The driver in words."""
        job = f", job {self.job}" if self.job else ""
        return f"process {self.process} on {self.host}{job}"

    @property
    def is_dead_here(self) -> bool:
        """Whether the driver was a process of this machine that has ended."""
        return self.host == platform.node() and _start_of(self.process) != self.started


def batch_job() -> str:
    """Return the name of the batch system's job that this process belongs to, "" for none."""
    return next((os.environ[name] for name in JOB_VARIABLES if os.environ.get(name)), "")


def new_lease() -> Lease:
    """Return a lease for this process."""
    process = os.getpid()
    return Lease(
        owner=secrets.token_hex(8),
        host=platform.node(),
        process=process,
        started=_start_of(process),
        job=batch_job(),
    )


def read_lease(path: Path) -> Lease | None:
    """Return the lease in a file, None if there is none, or it is being written."""
    try:
        return Lease.read(path) if path.exists() else None
    except UserError:
        return None


@contextmanager
def hold(path: Path, refuse: Callable[[Lease], UserError]) -> Generator[None]:
    """Hold the lease of a run during the block.

    If another process takes it, as after a suspension of this one, this process gets a SIGTERM.

    Args:
        path: The file.
        refuse: Returns the error for a lease whose driver lives.

    Raises:
        UserError: Another driver lives.
    """
    lease = new_lease()
    _take(path, lease, refuse)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(path, lease, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        current = read_lease(path)
        if current and current.owner == lease.owner:
            path.unlink(missing_ok=True)


def _take(path: Path, lease: Lease, refuse: Callable[[Lease], UserError]) -> None:
    """Create the file of a lease; one whose driver is dead is moved away first."""
    until = time.monotonic() + WATCHED_S
    watched = read_lease(path)
    while not _create(path, lease):
        current = read_lease(path)
        if current is None:
            if time.monotonic() > until:  # neither there nor readable: it was torn
                _move_away(path, None)
        elif current.is_dead_here:
            _move_away(path, current)
            continue
        elif watched and current != watched:
            raise refuse(current)
        elif time.monotonic() > until:
            _move_away(path, current)
        watched = watched or current
        time.sleep(POLL_S)


def _create(path: Path, lease: Lease) -> bool:
    """Return whether the file was created; it appears with its content or not at all."""
    complete = path.with_name(f"{path.name}.{lease.owner}")
    complete.write_text(lease.model_dump_json())
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    else:
        os.close(descriptor)
        complete.replace(path)
        return True
    finally:
        complete.unlink(missing_ok=True)


def _move_away(path: Path, expected: Lease | None) -> None:
    """Remove the lease of a dead driver, unless another process has just taken it over."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        current = read_lease(aside)
        if current and (expected is None or current.owner != expected.owner):
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _renew(path: Path, lease: Lease, ended: threading.Event) -> None:
    """Renew a lease until the driver has ended; end the driver if it has lost its lease."""
    heartbeat = 0
    while not ended.wait(HEARTBEAT_S):
        current = read_lease(path)
        if current is not None and current.owner != lease.owner:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        heartbeat += 1
        with suppress(OSError), atomic_write(path) as file:  # the disk may be full for a while
            file.write(lease.model_copy(update={"heartbeat": heartbeat}).model_dump_json().encode())


def _start_of(process: int) -> str:
    """Return when a process of this machine started, in ticks since its boot; "" if it has ended.

    Source: proc(5), /proc/PID/stat, field 22.
    """
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
