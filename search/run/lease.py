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

MISSING_S = 2.0 * HEARTBEAT_S
"""A driver ends if its lease has been missing for so long [s]: another one had it, and is done."""

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
    take_lease(path, lease, refuse)
    ended = threading.Event()
    renewing = threading.Thread(target=renew_lease, args=(path, lease, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        current = read_lease(path)
        if current and current.owner == lease.owner:
            path.unlink(missing_ok=True)


def take_lease(path: Path, lease: Lease, refuse: Callable[[Lease], UserError]) -> None:
    """Create the file of a lease; one whose driver is dead is moved away first.

    Args:
        path: The file.
        lease: The lease of this process.
        refuse: Returns the error for a lease whose driver lives.

    Raises:
        UserError: Another driver lives.
    """
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
    """Remove the lease of a dead driver, unless it was just renewed, or another process took it."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        current = read_lease(aside)
        if current and current != expected:
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def renew_lease(path: Path, lease: Lease, ended: threading.Event) -> None:
    """Renew a lease until the driver has ended; end the driver if it has lost its lease.

    A driver that was suspended between reading the lease and writing it overwrites the lease of the
    one that replaced it. Still exactly one of them goes on: the one that wrote last. The other one
    reads that at its next heartbeat, before it writes again; and since it then writes no more,
    the first one never reads anything but its own lease.

    Args:
        path: The file.
        lease: The lease as it was created.
        ended: Set once the driver has ended.
    """
    seen = time.monotonic()
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):  # the disk may be full, or its server away, for a while
            current = read_lease(path)
            if current is None:  # missing, or being created
                lost = not path.exists() and time.monotonic() - seen > MISSING_S
            else:
                lost = current.owner != lease.owner
            if lost:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if current:
                seen = time.monotonic()
                lease = lease.model_copy(update={"heartbeat": lease.heartbeat + 1})
                with atomic_write(path) as file:
                    file.write(lease.model_dump_json().encode())


def _start_of(process: int) -> str:
    """Return when a process of this machine started, in ticks since its boot; "" if it has ended.

    Source: proc(5), /proc/PID/stat, field 22.
    """
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
