"""Validation errors of the finalists and baselines on common resamples, for the recommendation."""

from collections.abc import Callable

from problems import UserError
from search.objectives.recommendation import select_finalists
from search.run.directory import RunDirectory
from search.run.finalists import TRIAL_PREFIX, FinalistErrors
from search.run.records import ResampledError
from search.timing.reference import verified_manifest
from search.trial.lifecycle import SearchContext
from search.trial.scoring import resampled_error, score_split
from spaces.surrogate import Surrogate


def score_finalists(
    context: SearchContext, run: RunDirectory, progress: Callable[[int, int], None]
) -> FinalistErrors:
    """Return the validation errors of the finalists and baselines, with their resamples.

    Those that fail on a sample are left out: their resamples would be of other samples. A trial
    whose artefact was altered is left out too.

    Args:
        context: Problem, data and goals.
        run: The run.
        progress: Called with (steps done, steps in all).
    """
    problem, split = context.problem, context.data.validation
    finalists = select_finalists(run.records(), problem.objective.name, context.limits)
    steps = len(finalists) + len(context.baseline_errors)
    runs = {name: problem.baseline_runs[name] for name in context.baseline_errors}
    errors: dict[str, ResampledError] = {}
    for done, (name, baseline) in enumerate(runs.items()):
        progress(done, steps)
        result = score_split(problem, baseline, split, f"baseline {name!r}")
        _add(errors, name, None if result.failed else resampled_error(problem, result))
    for done, record in enumerate(finalists, start=len(runs)):
        progress(done, steps)
        try:
            verified_manifest(run, record)
            surrogate = Surrogate.load(run.artefact_path(record.number), problem)
            result = score_split(problem, surrogate.run, split)
        except UserError:  # the final evaluation tells why it is left out
            continue
        name = f"{TRIAL_PREFIX}{record.number}"
        _add(errors, name, None if result.failed else resampled_error(problem, result))
    progress(steps, steps)
    return FinalistErrors(errors=errors)


def _add(errors: dict[str, ResampledError], name: str, error: ResampledError | None) -> None:
    if error is not None:
        errors[name] = error
