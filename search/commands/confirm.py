"""The command that opens the sealed confirmation split, once, for what is recommended."""

from rich.console import Console

from problems import UserError
from problems.data.cache import default_cache
from problems.data.confirmation import confirmation_split, count_opening, plan_confirmation
from problems.data.dataset import generate
from problems.data.shards import plan_shards
from problems.entrance.calls import stage_errors
from problems.entrance.isolated import IsolatedProcess
from problems.sources import ProblemSource
from search.active_learning.rounds import read_bought
from search.commands.options import load_complete_problem
from search.export import pick_record
from search.final.confirmation import confirm
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.finalists import Confirmation, Confirmations
from search.run.origin import origin_hash
from search.timing.reference import verified_manifest
from search.workers.shards import shard_executor


def confirm_run(run: RunDirectory, pick: str, console: Console) -> Confirmation:
    """Return the confirmation of a trial, which is added to the run.

    A trial that was confirmed keeps its confirmation: the split isn't opened again for it.

    Args:
        run: A run with a final evaluation.
        pick: What `simstead export` picks by.
        console: Console for the progress.

    Raises:
        UserError: There is nothing to confirm, the problem has changed since the search, or there
            are too few samples.
    """
    record = pick_record(run, pick).record
    verified_manifest(run, record)
    earlier = run.confirmations().results
    for result in earlier:
        if result.trial == record.number and result.artefact_hash == record.artefact_hash:
            return result
    spec, cache = run.spec(), default_cache()
    source = ProblemSource(spec.source, spec.folder)
    problem = load_complete_problem(source, None, spec.size)
    if origin_hash(problem) != spec.origin_hash:
        raise UserError(
            f"problem {problem.name!r} has changed since the search in {run.folder}; undo that, or "
            "search again"
        )
    shards = [*plan_shards(problem), *plan_confirmation(problem)]
    with ProgressDisplay(problem, 0, console) as progress:
        progress.start_phase("data")
        with shard_executor(problem, source, shards, cache) as execute:
            data = read_bought(problem, generate(problem, cache, execute, progress.update), run)
            split = confirmation_split(problem, data, cache, execute, progress.update)
        progress.start_phase("confirmation")
        with stage_errors("the confirmation"), IsolatedProcess() as process:
            result = process.call(confirm, problem, data, split, run, record)
    opened = count_opening(split, cache / problem.name, f"trial {record.number} of {run.folder}")
    result = result.model_copy(update={"opened": opened})
    run.write("confirmations.json", Confirmations(results=(*earlier, result)))
    return result
