"""What the trials of a search share."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from problems import Dataset, Problem, Run
from problems.interfaces.types import RollsForward
from search.run.directory import RunDirectory
from search.run.records import Limits
from search.run.spec import ExtraObjective
from search.timing.reference import ReferenceTiming
from search.trial.preparation import TaskCache
from search.trial.record_builder import RecordBuilder


class TimingMachine(Protocol):
    """A machine of the deployment's kind, which times the networks that another kind trains."""

    def time_untrained(self, builder: RecordBuilder) -> RecordBuilder:
        """Return the builder of a trial with the time of its untrained network, or its failure."""
        ...

    def deploy(self, builder: RecordBuilder) -> RecordBuilder:
        """Return the builder of a trial whose trained network was deployed, or its failure."""
        ...


class FolderOfFiles(Protocol):
    """A folder of this machine with files of a run that it doesn't see."""

    run: RunDirectory

    def send(self) -> None:
        """Send to the run what was written here since the last time."""
        ...

    def close(self) -> None:
        """Remove the folder."""
        ...


class RunTransport(Protocol):
    """Carries files of the run to and from machines that don't see its folder."""

    def of_trials(self, trials: Iterable[int]) -> FolderOfFiles | None:
        """Return a folder with the files of some trials, None where the run's folder is seen."""
        ...

    def of_finalists(self) -> FolderOfFiles | None:
        """Return a folder with all that the evaluation reads, None where the run is seen."""
        ...


@dataclass(frozen=True)
class SearchContext:
    """Everything that the trials of a search share.

    Args:
        problem: The problem, with fitted baselines.
        data: The data.
        reference_timing: How the reference is timed.
        limits: The goals.
        run: The run directory.
        source: How the user names the problem.
        extra_objectives: Objectives besides error and time.
        baseline_errors: Validation errors of the baselines that fail on no sample, by name.
        teacher: Predicts the outputs of further training samples; None if there is no teacher.
        step_teacher: Predicts them for encodings that are rolled out.
        timing_machine: Times the networks, where this machine isn't of the deployment's kind.
        transport: Carries files of the run, where not all machines see its folder.
        task_cache: Cache of the last training task in this process.
    """

    problem: Problem
    data: Dataset
    reference_timing: ReferenceTiming
    limits: Limits
    run: RunDirectory
    source: str = ""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    baseline_errors: Mapping[str, float] = field(default_factory=dict[str, float])
    teacher: Run | None = None
    step_teacher: Run | None = None
    timing_machine: TimingMachine | None = None
    transport: RunTransport | None = None
    task_cache: TaskCache = field(default_factory=TaskCache, compare=False, repr=False)

    def teacher_of(self, encoding: str) -> Run | None:
        """Return the teacher of networks in an encoding, None if there is none."""
        rolls = isinstance(self.problem.encodings[encoding], RollsForward)
        return self.step_teacher if rolls else self.teacher

    @contextmanager
    def with_files(self, *trials: int | None) -> Generator[Self]:
        """Provide this context with the files of trials; what is written reaches the run.

        Args:
            *trials: Numbers of the trials whose files are read; None counts as none.
        """
        numbers = [trial for trial in trials if trial is not None]
        sent = self.transport.of_trials(numbers) if self.transport else None
        if sent is None:
            yield self
            return
        try:
            yield replace(self, run=sent.run)
            sent.send()
        finally:
            sent.close()

    def without_baselines(self) -> Self:
        """Return what workers share: no trial calls a baseline, and fitted ones may be large."""
        return replace(self, problem=replace(self.problem, baselines={}))
