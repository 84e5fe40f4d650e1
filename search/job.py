"""The main job: data, trials, final heat. Every part of it can be gone on with."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from problems import Dataset, InterruptedRunError, Problem, UserError
from problems.dataset import SPLITS, default_cache, generate
from search.directory import Run
from search.distribute import StudySearcher, cluster, execute, in_parallel
from search.environment import read_environment
from search.halving import Halving
from search.heat import final_heat
from search.progress import Progress
from search.records import DataFacts, Spec
from search.study import Study
from search.trial import Setting
from spaces.space import exclusions

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def search(problem: Problem, spec: Spec, folder: Path, console: Console) -> Run:
    """Run a search, or go on with it, to its final heat.

    Raises:
        UserError: The run directory or the cache can't be used.
        InterruptedRunError: Not all trials were run.
    """
    problem.simulation.versions()  # a missing library is said now, not by a worker
    run = Run.start(folder, spec)
    progress = Progress(problem, spec.trials, console)
    with _writing(run), run.exclusively(), progress:
        progress.note(f"run directory: {run.folder}")
        run.add_session(read_environment())
        with cluster(spec.workers, run.folder):
            progress.phase("data")
            data = generate(problem, default_cache(), in_parallel, progress.count)
            run.write("data.json", _facts(problem, data))
            progress.phase("trials")
            _trials(problem, spec, run, data, progress)
        progress.phase("final heat")
        run.write("heat.json", final_heat(problem, data, run, progress.count))
    return run


def _trials(problem: Problem, spec: Spec, run: Run, data: Dataset, progress: Progress) -> None:
    earlier = {record.number: record for record in run.records()}
    progress.earlier_trials(earlier.values())
    left = spec.trials - len(earlier)
    if left <= 0:
        return
    run.outdate()
    study = Study(run.journal, problem, spec)
    setting = Setting(problem, data, run.folder / "artefacts")
    searcher = StudySearcher(study, run, progress, study.abandoned(earlier))
    execute(setting, searcher, Halving(earlier.values()), left, spec.workers)
    study.close()
    done = len(run.records())
    if done < spec.trials:
        raise InterruptedRunError(
            f"interrupted after {done} of {spec.trials} trials; go on with: simstead search "
            f"{spec.problem} --size {spec.size} --seed {spec.seed} --trials {spec.trials} "
            f"--run {run.folder}"
        )


@contextmanager
def _writing(run: Run) -> Generator[None]:
    """Say a failure to write in one line: everything recorded so far is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UserError(
            f"writing failed in {error.filename or run.folder} ({error.strerror}); finished trials "
            f"are kept: make room and go on with --run {run.folder}"
        ) from error


def _facts(problem: Problem, data: Dataset) -> DataFacts:
    return DataFacts(
        summary=problem.summary,
        samples={name: len(getattr(data, name)) for name in SPLITS},
        failed=dict(data.failed),
        metrics=problem.metrics,
        exclusions=tuple(exclusions()),
    )
