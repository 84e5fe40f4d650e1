"""A run directory: everything that report, resume and export need of a run.

spec.json, environment.json, data.json, journal.log (Optuna's), trials/NNNN.json (records),
artefacts/NNNN/ (artefacts as measured), trainings/ (trained networks, and checkpoints of unfinished
trainings), retrained.json (recommended networks with other seeds), derived/NNNN.json (records of
their means, and of networks distilled from them), simulations/ (further samples that the search
bought), baselines.json (times of the baselines), heat.json (final evaluation), report.html,
progress.json (of the latest phase), workers.json (how many are busy), nodes.json (of the cluster);
while a search runs, driver.lock and driver.lease, and stop once a stop was requested.
"""

import errno
import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError

from problems import UserError
from problems.atomic_files import atomic_write
from problems.diagnosis import Diagnosis
from search.run.environment import Environment
from search.run.finalists import (
    Confirmations,
    FinalEvaluation,
    FinalistErrors,
    RetrainingResults,
)
from search.run.lease import hold, new_lease, read_lease
from search.run.nodes import ClusterStatus
from search.run.records import (
    BaselineTimes,
    DatasetSummary,
    Occupancy,
    PhaseProgress,
    Record,
    Sessions,
    State,
    StoppingTime,
)
from search.run.spec import SPEC_FORMAT, Spec
from spaces.candidate import FrozenModel
from spaces.restrictions import Restrictions

MIN_FREE_BYTES = 200 * 2**20
"""Free space that a search needs to start; a search of 24 trials writes about 50 MiB."""

FULL_DISK_BYTES = 2**20
"""With less free space the disk counts as full: an artefact could not be written."""

PROGRESS_INTERVAL_S = 1.0

READERS = 16
"""Records that are read at a time."""

NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""Errors of `flock` on file systems without it, such as Lustre mounted without `-o flock`."""

STOPPING = "stopping.json"

DERIVED = "derived"
"""Folder of the records of ensembles, and of networks distilled from them."""

DIAGNOSIS_ADAPTER = TypeAdapter(Diagnosis)

RENAMED_DIAGNOSIS_FIELDS = {"at_double": "error_at_double", "at_quadruple": "error_at_quadruple"}
"""The present name of each field of a diagnosis by a name that older files have for it."""


class RunDirectory:
    """A run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.log"
        self.report = folder / "report.html"
        self._lock, self._lease = folder / "driver.lock", folder / "driver.lease"
        self._stop = folder / "stop"
        self._progress_written = -math.inf
        self._created: list[Path] | None = None

    @classmethod
    def start(cls, folder: Path, spec: Spec) -> "RunDirectory":
        """Return a new run in a folder, or the folder's run to be resumed if the specs agree.

        Raises:
            UserError: The folder can't be written, or its disk is full, or it contains other files
                or the run of another spec.
        """
        run = cls(folder.resolve())
        try:
            if not (run.folder / "spec.json").exists():
                run._created = [p for p in (run.folder, *run.folder.parents) if not p.exists()]
            run._claim(folder, spec)
        except OSError as error:
            raise UserError(
                f"run directory {folder} can't be written ({error.strerror}); "
                "give --run a folder of your own"
            ) from error
        return run

    def _claim(self, folder: Path, spec: Spec) -> None:
        if (self.folder / "spec.json").exists():
            driver = self.driver()
            if driver is not None:
                raise self._in_use(driver)
            existing = self.spec()
            if (existing.origin_hash, existing.restrictions) == (
                spec.origin_hash,
                spec.restrictions,
            ):
                _refuse_other_deployments(existing, spec, folder)
            if existing.identity != spec.identity:
                with_same_origin = existing.model_copy(update={"origin_hash": spec.origin_hash})
                reason = (
                    f"the code of {spec.problem}'s simulation or encodings, its samples, epochs, "
                    "score, goals, deployment or data files have changed since: undo that, or"
                    if with_same_origin.identity == spec.identity
                    else f"it is {_described(existing)}, not {_described(spec)}:"
                )
                raise UserError(
                    f"run {folder} belongs to another search; {reason} give --run another folder"
                )
            if spec.deployments > existing.deployments or spec.retrainings > existing.retrainings:
                self.discard_results()
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{folder} holds other files and no run; give --run an empty folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < MIN_FREE_BYTES:
            raise UserError(
                f"run directory {folder} is on a full disk: a search needs "
                f"{MIN_FREE_BYTES // 2**20} MiB; give --run a folder with space"
            )
        self.write("spec.json", spec)
        for name in ("trials", "artefacts"):
            (self.folder / name).mkdir(exist_ok=True)

    @classmethod
    def open(cls, folder: Path) -> "RunDirectory":
        """Return the run in a folder, to be read.

        Raises:
            UserError: The folder contains no run, or one in another format.
        """
        try:
            exists = (folder / "spec.json").is_file()
        except OSError as error:
            raise UserError(f"{folder} can't be read ({error.strerror})") from error
        if not exists:
            reason = "it has no spec.json" if folder.exists() else "there is no such folder"
            raise UserError(
                f"{folder} holds no run: {reason}; name a run directory, such as runs/planets-TIME"
            )
        run = cls(folder.resolve())
        if run.spec().format != SPEC_FORMAT:
            raise UserError(
                f"{folder} has format {run.spec().format}, {SPEC_FORMAT} is read; search again"
            )
        return run

    def discard_if_new(self) -> None:
        """Remove the run, and the folders that were made for it, unless it was there before."""
        if self._created is None:
            return
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with suppress(OSError):  # another run may be in the same folder
            for folder in self._created:
                folder.rmdir()

    @contextmanager
    def exclusive_lock(self) -> Generator[None]:
        """Lock the run for this process, its only driver; the lock ends with the process.

        Where the file system has no locks, or locks for a single machine, the lease alone counts.

        Raises:
            UserError: Another process has the lock, or drives the run on another machine.
        """
        with self._lock.open("a") as lock:
            if not _locked(lock, fcntl.LOCK_EX):
                raise self._in_use(self.driver())
            lock.truncate(0)
            lock.write(new_lease().description)
            lock.flush()
            with hold(self._lease, lambda lease: self._in_use(lease.description)):
                self._stop.unlink(missing_ok=True)
                try:
                    yield
                finally:
                    self._stop.unlink(missing_ok=True)

    def _in_use(self, driver: str | None) -> UserError:
        return UserError(
            f"run {self.folder} is in use by another search ({driver}); see simstead status, "
            "end it with simstead stop"
        )

    def driver(self) -> str | None:
        """Return the process that drives the run in words, or None if there is none."""
        lease = read_lease(self._lease)
        heard = f"{lease.description}, {_last_heard(self._lease)}" if lease else ""
        with suppress(FileNotFoundError), self._lock.open() as lock:
            if not _locked(lock, fcntl.LOCK_SH):
                return heard or self._lock.read_text() or "a process that has just started"
        return heard if lease and not lease.is_dead_here else None

    def stop_s(self) -> float:
        """Return the longest time that a driver took to stop after a signal [s], 0 for none."""
        path = self.folder / STOPPING
        return StoppingTime.read(path).longest_s if path.exists() else 0.0

    def add_stop(self, seconds: float) -> None:
        """Write how long the driver has taken to stop after a signal [s]."""
        self.write(STOPPING, StoppingTime(longest_s=max(self.stop_s(), seconds)))

    def request_stop(self) -> None:
        """Ask the driver to end, from any machine that shares the folder; running trials are lost.

        Raises:
            UserError: The folder can't be written.
        """
        write_stop_request(self._stop, "started")

    @property
    def stop_requested(self) -> bool:
        """Whether the driver has been asked to end."""
        return self._stop.exists()

    def write(self, name: str, value: FrozenModel) -> None:
        """Write a value to a file of the run, completely or not at all."""
        with atomic_write(self.folder / name) as file:
            file.write(value.model_dump_json(indent=1).encode())

    def write_progress(self, progress: PhaseProgress) -> None:
        """Write how far the present phase has come, at most once a second and at its end."""
        now = time.monotonic()
        if progress.done == progress.total or now - self._progress_written > PROGRESS_INTERVAL_S:
            self._progress_written = now
            self.write("progress.json", progress)

    def progress(self) -> PhaseProgress | None:
        """Return how far the latest phase with progress had come, or None if there was none."""
        path = self.folder / "progress.json"
        return PhaseProgress.read(path) if path.exists() else None

    def occupancy(self) -> Occupancy | None:
        """Return how many workers ran trials when that was last written, None in older runs."""
        path = self.folder / "workers.json"
        return Occupancy.read(path) if path.exists() else None

    def check_disk_space(self) -> None:
        """Check that there is space for an artefact.

        Raises:
            OSError: The disk is full.
        """
        if shutil.disk_usage(self.folder).free < FULL_DISK_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def spec(self) -> Spec:
        """Return the spec of the run."""
        return Spec.read(self.folder / "spec.json")

    def sessions(self) -> Sessions:
        """Return the environments of the run: at its start and at each resumption, so far."""
        path = self.folder / "environment.json"
        return Sessions.read(path) if path.exists() else Sessions(environments=())

    def nodes(self) -> ClusterStatus:
        """Return the nodes of the cluster of the latest session that joined one."""
        path = self.folder / "nodes.json"
        return ClusterStatus.read(path) if path.exists() else ClusterStatus()

    def add_session(self, environment: Environment) -> None:
        """Write the environment in which the run is started or resumed."""
        earlier = self.sessions().environments
        self.write("environment.json", Sessions(environments=(*earlier, environment)))

    def discard_results(self) -> None:
        """Remove what covers fewer trials or seeds: derived records, final evaluation, report."""
        for name in ("heat.json", "validation.json"):
            (self.folder / name).unlink(missing_ok=True)
        self.report.unlink(missing_ok=True)
        derived = {record.number for record in self.derived_records()}
        kept = tuple(each for each in self.retrainings().results if each.trial not in derived)
        if derived:
            self.write("retrained.json", RetrainingResults(results=kept))
        for number in derived:
            (self.folder / DERIVED / f"{number:04d}.json").unlink()
            self.discard_artefact(number)

    @property
    def has_data(self) -> bool:
        """Whether the data of the run have been generated or read."""
        return (self.folder / "data.json").exists()

    def data(self) -> DatasetSummary:
        """Return the summary of the run's data."""
        return DatasetSummary.read(self.folder / "data.json")

    def reference_s(self, processor: str) -> float | None:
        """Return the seconds per sample of a slow reference, if it was timed on this processor."""
        summary = self.data() if self.has_data else None
        return summary.reference_s if summary and summary.processor == processor else None

    def baseline_times(self, processor: str) -> dict[str, float]:
        """Return the relative times of the baselines timed on this processor so far, by name."""
        path = self.folder / "baselines.json"
        timed = BaselineTimes.read(path) if path.exists() else None
        return timed.relative_times if timed and timed.processor == processor else {}

    def retrainings(self) -> RetrainingResults:
        """Return the results of the retrainings so far."""
        path = self.folder / "retrained.json"
        return RetrainingResults.read(path) if path.exists() else RetrainingResults()

    def finalist_errors(self) -> FinalistErrors:
        """Return the validation errors of finalists; none in older runs."""
        path = self.folder / "validation.json"
        return FinalistErrors.read(path) if path.exists() else FinalistErrors()

    def confirmations(self) -> Confirmations:
        """Return the scores of trials on the confirmation split; none if it wasn't opened."""
        path = self.folder / "confirmations.json"
        return Confirmations.read(path) if path.exists() else Confirmations()

    def final_evaluation(self) -> FinalEvaluation | None:
        """Return the final evaluation, or None if the run has not reached it."""
        return (
            FinalEvaluation.read(self.folder / "heat.json")
            if (self.folder / "heat.json").exists()
            else None
        )

    def diagnosis(self) -> Diagnosis | None:
        """Return the diagnosis of the problem, or None if none was added to the run.

        Raises:
            UserError: The file isn't a diagnosis.
        """
        path = self.folder / "diagnosis.json"
        if not path.exists():
            return None
        try:
            fields = json.loads(path.read_bytes(), object_hook=_with_present_names)
            return DIAGNOSIS_ADAPTER.validate_python(fields)
        except ValidationError as error:
            raise UserError(f"{path} can't be read: {error.errors()[0]['msg']}") from None
        except ValueError as error:
            raise UserError(f"{path} can't be read: {error}") from None

    def add_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Write the diagnosis of the problem into the run."""
        with atomic_write(self.folder / "diagnosis.json") as file:
            # Pydantic writes an infinite speed-up as null; json writes Infinity, which can be read.
            file.write(json.dumps(DIAGNOSIS_ADAPTER.dump_python(diagnosis)).encode())

    def save_record(self, record: Record) -> None:
        """Write the record of a trial; remove its checkpoint unless it was stopped early."""
        self.write(f"trials/{record.number:04d}.json", record)
        if record.state is not State.STOPPED:
            self.discard_checkpoint(record.number)

    def records(self) -> list[Record]:
        """Return the records of all trials, by number."""
        return self._read_records("trials")

    def derived_records(self) -> list[Record]:
        """Return the records of ensembles and of networks distilled from them, by number.

        They are numbered after the trials.
        """
        return self._read_records(DERIVED)

    def surrogate_records(self) -> list[Record]:
        """Return the records of all trials and what is derived from them, by number."""
        return [*self.records(), *self.derived_records()]

    def _read_records(self, folder: str) -> list[Record]:
        paths = sorted((self.folder / folder).glob("*.json"))
        with ThreadPoolExecutor(READERS) as readers:  # of a shared disk each call takes a while
            return list(readers.map(Record.read, paths))

    def save_derived(self, record: Record) -> None:
        """Write the record of an ensemble, or of a network distilled from one."""
        (self.folder / DERIVED).mkdir(exist_ok=True)
        self.write(f"{DERIVED}/{record.number:04d}.json", record)

    def artefact_path(self, number: int) -> Path:
        """Return the folder of a trial's artefact."""
        return self.folder / "artefacts" / f"{number:04d}"

    def trained_network_path(self, number: int) -> Path:
        """Return the file of a trial's trained network, kept for further deployments."""
        return self.folder / "trainings" / f"{number:04d}.trained"

    def retrained_network_path(self, number: int, seed: int) -> Path:
        """Return the file of the network of a trial that was trained with another seed."""
        return self.folder / "trainings" / f"{number:04d}.seed-{seed}"

    def checkpoint_path(self, number: int) -> Path:
        """Return the file of the checkpoint of a trial that was interrupted or stopped early."""
        return self.folder / "trainings" / f"{number:04d}.unfinished"

    def checkpoint_numbers(self) -> set[int]:
        """Return the numbers of the trials that have a checkpoint."""
        paths = (self.folder / "trainings").glob("*.unfinished")
        return {int(path.stem) for path in paths}

    def transfer_checkpoint(self, number: int, to: int) -> None:
        """Give the checkpoint of a trial, if there is one, to the trial that resumes it."""
        with suppress(FileNotFoundError):
            self.checkpoint_path(number).rename(self.checkpoint_path(to))

    def discard_checkpoint(self, number: int) -> None:
        """Remove the checkpoint of a trial, if there is one."""
        self.checkpoint_path(number).unlink(missing_ok=True)

    def discard_checkpoints(self) -> None:
        """Remove the checkpoints of all trials, once no training will be resumed."""
        for path in (self.folder / "trainings").glob("*.unfinished"):
            path.unlink()

    def discard_unrecorded_artefacts(self) -> None:
        """Remove artefacts without a record, left by interrupted trials."""
        folders = ("trials", DERIVED)
        recorded = {path.stem for name in folders for path in (self.folder / name).glob("*.json")}
        for folder in (self.folder / "artefacts").iterdir():
            if folder.name not in recorded:
                shutil.rmtree(folder, ignore_errors=True)

    def discard_artefact(self, number: int) -> None:
        """Remove the artefact of a trial, complete or not."""
        for folder in (self.artefact_path(number), self.artefact_path(number).with_suffix(".part")):
            shutil.rmtree(folder, ignore_errors=True)


def _locked(file: TextIO, kind: int) -> bool:
    """Return False if another process has locked a file; True if it is locked now, or can't be."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _last_heard(path: Path) -> str:
    """Return in words how long ago a file was written, by the clock of this machine."""
    try:
        seconds = max(time.time() - path.stat().st_mtime, 0.0)
    except OSError:
        return "just started"
    return f"last heard of {seconds:.0f} s ago"


def _with_present_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a diagnosis under their present names."""
    return {RENAMED_DIAGNOSIS_FIELDS.get(name, name): value for name, value in fields.items()}


def _refuse_other_deployments(existing: Spec, spec: Spec, folder: Path) -> None:
    """Raise a UserError if this machine or installation has other runtimes than the run's study."""
    before, now = set(existing.available_deployments), set(spec.available_deployments)
    if before and now and before != now:
        missing, new = (
            ", ".join(sorted(names)) or "nothing" for names in (before - now, now - before)
        )
        raise UserError(
            f"run {folder} was started where other deployments are available: {missing} is missing "
            f"here, {new} is new; resume it there, or start another with --warm-start {folder}"
        )


def _described(spec: Spec) -> str:
    restrictions = (
        "" if spec.restrictions == Restrictions() else f", restricted to {spec.restrictions}"
    )
    return (
        f"{spec.problem} {spec.size}, seed {spec.seed}, version {spec.problem_version}, "
        f"simulation and encodings {spec.origin_hash[:8]}, format {spec.format}, "
        f"warm start of {len(spec.warm_start)} candidates, initial design of "
        f"{spec.initial_design_size}, extra objectives: "
        f"{', '.join(spec.extra_objectives) or 'none'}{restrictions}{_described_budget(spec)}"
    )


def _described_budget(spec: Spec) -> str:
    """Return the budget of further simulations in words, "" without one."""
    limits = [
        *([f"--simulations {spec.simulations}"] if spec.simulations else []),
        *([f"--reference-hours {spec.reference_hours:g}"] if spec.reference_hours else []),
    ]
    return f", {' and '.join(limits)}" if limits else ""


def write_stop_request(path: Path, done: str) -> None:
    """Write the file by which those that look for it are asked to end.

    Args:
        path: The file.
        done: What the user did who may write it, such as "started".

    Raises:
        UserError: The folder can't be written.
    """
    try:
        path.touch()
    except OSError as error:
        raise UserError(
            f"{path.parent} can't be written ({error.strerror}); "
            f"stop the run as the user who {done} it"
        ) from error
