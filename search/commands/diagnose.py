"""The diagnosis of a problem, on data that are made in parallel where they are missing."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from problems import Dataset, Layout, Problem, Target
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.data.shards import plan_shards
from problems.diagnosis import Diagnosis, diagnose
from problems.entrance.calls import stage_errors
from problems.entrance.isolated import IsolatedProcess
from problems.sources import ProblemSource
from search.progress import ProgressDisplay
from search.workers.shards import shard_executor
from spaces.registered import ARCHITECTURES


def run_diagnosis(problem: Problem, source: ProblemSource, console: Console) -> Diagnosis:
    """Return the diagnosis of a problem, on the data that a search would use.

    Args:
        problem: A problem with complete declarations.
        source: Source of the problem, from which workers load it.
        console: Console for the progress.

    Raises:
        UserError: The data can't be made or read, or the problem's code raises.
    """
    with ProgressDisplay(problem, 0, console) as progress:
        progress.start_phase("data")
        data = _data(problem, source, progress)
        progress.start_phase("diagnosis")

        def show(step: str) -> None:
            progress.print_line(f"  {step}")

        with stage_errors(f"the diagnosis of {problem.name!r}"), IsolatedProcess() as process:
            return process.call(diagnose, problem, data, on_message=show)


def _data(problem: Problem, source: ProblemSource, progress: ProgressDisplay) -> Dataset:
    cache = default_cache()
    with shard_executor(problem, source, plan_shards(problem), cache) as execute:
        return generate(problem, cache, execute, progress.update)


def families_by_layout_and_target() -> Mapping[tuple[Layout, Target], Sequence[str]]:
    """Return the architecture families for each layout and target."""
    families: dict[tuple[Layout, Target], list[str]] = {}
    for name in ARCHITECTURES:
        for layout_and_target in ARCHITECTURES[name].serves:
            families.setdefault(layout_and_target, []).append(name)
    return families
