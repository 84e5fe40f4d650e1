"""Files of a run on nodes that don't see its folder: a process beside the driver serves them.

They travel through Ray's object store. What arrives is verified as what workers write into a shared
folder is: artefacts by their manifests, trained networks and checkpoints by the hashes within.
"""

import functools
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from problems.atomic_files import atomic_write
from problems.entrance.scratch import new_scratch
from search.run.directory import RunDirectory
from search.watchdog import watchdog_paused
from search.workers.admission import Witness, unseen

SentFiles = Mapping[str, bytes]
"""Contents of files by their names, relative to a folder."""

FINALISTS = ("*.json", "trials/*", "derived/*", "artefacts/*/**/*")
"""Files of a run by which its finalists are evaluated."""


def files_of_trials(trials: Iterable[int]) -> list[str]:
    """Return patterns of the artefacts, trained networks and checkpoints of some trials."""
    patterns = ("trainings/{:04d}.*", "artefacts/{:04d}/**/*")
    return [pattern.format(trial) for trial in trials for pattern in patterns]


def read_files(folder: Path, patterns: Sequence[str] = ("**/*",)) -> SentFiles:
    """Return the files below a folder, or those that match patterns.

    Args:
        folder: The folder.
        patterns: The patterns.
    """
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


def write_sent_files(folder: Path, files: SentFiles) -> None:
    """Write files below a folder that exists, each completely or not at all.

    Raises:
        ValueError: A name leads out of the folder.
    """
    for name, content in files.items():
        path = path_inside(folder, name)
        _make_folders(path.parent, folder.resolve())
        with atomic_write(path) as file:
            file.write(content)


def path_inside(folder: Path, name: str) -> Path:
    """Return the resolved path of a file below a folder.

    Raises:
        ValueError: The name leads out of the folder.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} leads out of {folder}")
    return path


def _make_folders(path: Path, root: Path) -> None:
    """Make the folders between a path and a folder that exists."""
    if path != root:
        _make_folders(path.parent, root)
        path.mkdir(exist_ok=True)


class RunFiles:
    """The process beside the driver that reads and writes files of a run for other nodes.

    Args:
        folder: The run directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, patterns: Sequence[str]) -> SentFiles:
        """Return the files that match patterns."""
        return read_files(self._folder, patterns)

    def write(self, files: SentFiles) -> None:
        """Write files; an artefact replaces what an earlier attempt left in its folder.

        Raises:
            ValueError: A name leads out of the run.
        """
        artefacts = path_inside(self._folder, "artefacts")
        paths = [path_inside(self._folder, name) for name in files]
        for path in paths:
            if path.is_relative_to(artefacts):
                number = path.relative_to(artefacts).parts[0]
                shutil.rmtree(artefacts / number, ignore_errors=True)
        write_sent_files(self._folder, files)


class SentRun:
    """A folder of this machine with files of a run that it doesn't see.

    Args:
        files: Ray's handle of the process that reads and writes the run's files.
        patterns: The files that are needed here.
    """

    def __init__(self, files: Any, patterns: Sequence[str]) -> None:
        self._files, self._scratch = files, new_scratch()
        self.run = RunDirectory(Path(self._scratch.name))
        write_sent_files(self.run.folder, ray.get(files.read.remote(patterns)))
        self._known = dict(self._states())

    def send(self) -> None:
        """Send to the run what was written here since the last time."""
        states = dict(self._states())
        changed = [name for name, state in states.items() if self._known.get(name) != state]
        if changed:
            files = {name: (self.run.folder / name).read_bytes() for name in changed}
            with watchdog_paused():
                ray.get(self._files.write.remote(files))
        self._known = states

    def _states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the name of each file here, with the time when it was written and its size."""
        for path in self.run.folder.rglob("*"):
            if path.is_file():
                status = path.stat()
                name = str(path.relative_to(self.run.folder))
                yield name, (status.st_mtime_ns, status.st_size)

    def close(self) -> None:
        """Remove the folder."""
        self._scratch.cleanup()


class RayTransport(NamedTuple):
    """Carries files of a run to and from machines that don't see its folder.

    Args:
        name: Ray's name of the process that reads and writes the run's files.
        witnesses: Files by which a machine shows that it shares the folders.
    """

    name: str
    witnesses: tuple[Witness, ...]

    @property
    def is_needed_here(self) -> bool:
        """Whether this machine doesn't share the folders."""
        return is_apart(self.witnesses)

    def of_trials(self, trials: Iterable[int]) -> SentRun | None:
        """Return a folder with the files of some trials, None where the run's folder is seen."""
        return self._sent(files_of_trials(trials))

    def of_finalists(self) -> SentRun | None:
        """Return a folder with all that the evaluation reads, None where the run is seen."""
        return self._sent(FINALISTS)

    def _sent(self, patterns: Sequence[str]) -> SentRun | None:
        if not self.is_needed_here:
            return None
        with watchdog_paused():
            return SentRun(ray.get_actor(self.name), patterns)


@contextmanager
def transport_of(folder: Path, witnesses: tuple[Witness, ...]) -> Generator[RayTransport]:
    """Start the process that reads and writes a run's files, and end it after the block.

    Args:
        folder: The run directory.
        witnesses: Files by which a machine shows that it shares the folders.
    """
    name = f"simstead-files-{secrets.token_hex(8)}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    start = ray.remote(RunFiles).options(
        name=name, num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
    )
    actor: Any = start.remote(folder)
    try:
        yield RayTransport(name, witnesses)
    finally:
        ray.kill(actor)


@functools.cache
def is_apart(witnesses: tuple[Witness, ...]) -> bool:
    """Return whether this machine doesn't share the folders of witnesses, found out once.

    Args:
        witnesses: The witnesses.
    """
    return bool(unseen(witnesses, ray.get_runtime_context().get_node_id(), wait_s=0.0))
