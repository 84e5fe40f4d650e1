"""What was launched for a run, and what its jobs say of themselves: the folder `cluster/`."""

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from problems.atomic_files import atomic_write
from search.launch.site_profile import Line, MemorySize, SiteProfile, Word
from search.run.directory import write_stop_request
from spaces.candidate import FrozenModel

CLUSTER_FOLDER = "cluster"
LAUNCH_FILE = "launch.json"
EVENTS_FILE = "events"
DRIVER_LOG = "driver.log"


class LaunchSystem(StrEnum):
    """What starts processes on many machines."""

    SLURM = "slurm"
    PBS = "pbs"
    KUBERAY = "kuberay"
    RAY = "ray"


class LaunchedJob(FrozenModel):
    """A job that was submitted.

    Args:
        id: Its name in the batch system.
        joins: Whether its node joins the search that another job runs.
    """

    id: Word
    joins: bool = False


class Launch(FrozenModel):
    """What a run's jobs are made of, so that they can be submitted again.

    Args:
        system: What starts them.
        nodes: Number of nodes.
        time_s: Time limit of a job [s].
        cores: Cores of a node.
        memory: Memory of a node; None for the site's default.
        store_bytes: Memory of a node for objects that its processes share.
        interface: Network interface; None for the one that Ray chooses.
        workers: Largest number of trials at a time; None for as many as there are cores.
        kind: The kind of node that times, as the user calls it; None for that of the first node.
        max_restarts: How often the job is begun again at most.
        profile: The site's profile.
        program_folder: Folder of the programs python and simstead; None for those of a container.
        environment: Environment variables of all processes.
        problem_folder: Folder of the user's problem, "" for a registered one.
        address: HOST:PORT of a Ray cluster that is there; "" where jobs start one.
        token_file: File of that cluster's token.
        jobs: The jobs that were submitted for it, the oldest first.
    """

    system: LaunchSystem
    nodes: int
    time_s: int
    cores: int
    memory: MemorySize | None
    store_bytes: int
    interface: Word | None
    workers: int | None
    kind: Line | None = None
    max_restarts: int
    profile: SiteProfile
    program_folder: str | None
    environment: dict[str, str]
    problem_folder: str = ""
    address: str = ""
    token_file: str = ""
    jobs: tuple[LaunchedJob, ...] = ()


class Event(NamedTuple):
    """Something that a job has said of itself.

    Args:
        time_s: When, by the clock of its machine, since 1970 [s].
        name: began, until, head, asked, driver, again, successor or ended.
        value: What belongs to it, such as the exit code.
    """

    time_s: int
    name: str
    value: str


class Attempt(NamedTuple):
    """One start of a job: its folder, named JOB.RESTART, and its events in order.

    Args:
        folder: The folder.
        job: The job.
        restart: How often the job had been requeued before.
        events: The events.
    """

    folder: Path
    job: str
    restart: int
    events: Sequence[Event]

    def last(self, name: str) -> str | None:
        """Return the value of the last event of a name, None if there is none.

        Args:
            name: Name of the event.
        """
        return next((event.value for event in reversed(self.events) if event.name == name), None)

    def logs(self) -> dict[str, Path]:
        """Return the log of each node by the node's name."""
        paths = sorted(self.folder.glob("node-*.log"))
        return {path.stem.removeprefix("node-"): path for path in paths}


class LaunchState(NamedTuple):
    """What was launched for a run, and what its jobs have said of themselves so far.

    Args:
        launch: What was launched, None if nothing was.
        attempts: The attempts, the oldest first.
    """

    launch: Launch | None
    attempts: Sequence[Attempt]

    @property
    def jobs(self) -> list[LaunchedJob]:
        """All jobs: those that were submitted by the user, and those that a job submitted."""
        if self.launch is None:
            return []
        successors = [attempt.last("successor") for attempt in self.attempts]
        return [*self.launch.jobs, *(LaunchedJob(id=job) for job in successors if job)]


class LaunchFolder:
    """The folder `cluster/` of a run that was launched.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.folder = run / CLUSTER_FOLDER
        self._stop = self.folder / "stop"
        self._over = self.folder / "over"

    def launch(self) -> Launch | None:
        """Return what was launched, or None if nothing was."""
        path = self.folder / LAUNCH_FILE
        return Launch.read(path) if path.exists() else None

    def write_launch(self, launch: Launch) -> None:
        """Write what is launched.

        Args:
            launch: It.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with atomic_write(self.folder / LAUNCH_FILE) as file:
            file.write(launch.model_dump_json(indent=1).encode())

    def write_script(self, name: str, text: str) -> Path:
        """Return the path of a script, once it is written.

        Args:
            name: Name of the file.
            text: Its text.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / name
        with atomic_write(path) as file:
            file.write(text.encode())
        path.chmod(0o700)
        return path

    def attempts(self) -> list[Attempt]:
        """Return the attempts so far, the oldest first."""
        attempts = [_read_attempt(path) for path in self.folder.glob(f"*/{EVENTS_FILE}")]
        return sorted(attempts, key=lambda each: (each.events[0].time_s, each.restart))

    def state(self) -> LaunchState:
        """Return what was launched, and what its jobs have said so far."""
        return LaunchState(self.launch(), self.attempts())

    def request_stop(self) -> None:
        """Let the jobs end, and none begin again.

        Raises:
            UserError: The folder can't be written.
        """
        write_stop_request(self._stop, "launched")

    def allow_start(self) -> None:
        """Let jobs begin that are submitted from now on."""
        self._stop.unlink(missing_ok=True)
        self._over.unlink(missing_ok=True)

    @property
    def goes_on(self) -> bool:
        """Whether jobs are to begin or go on, by what they have said themselves."""
        there = (self.folder / LAUNCH_FILE).exists()
        return there and not self._over.exists() and not self.stop_requested

    @property
    def stop_requested(self) -> bool:
        """Whether the jobs are to end."""
        return self._stop.exists()


def _read_attempt(path: Path) -> Attempt:
    job, _, restart = path.parent.name.rpartition(".")
    events: list[Event] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):  # a line that is being written
            time_s, name, value = line.split("\t")
            events.append(Event(int(time_s), name, value.strip()))
    return Attempt(path.parent, job, int(restart), events or [Event(0, "began", "")])
