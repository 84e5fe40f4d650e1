"""Validation errors of the finalists on common resamples, for the recommendation."""

from collections.abc import Callable, Sequence

from problems import UserError
from search.run.directory import RunDirectory
from search.run.finalists import TRIAL_PREFIX, FinalistErrors
from search.run.records import Record, ResampledError
from search.timing.reference import verified_manifest
from search.trial.context import SearchContext
from search.trial.scoring import resampled_error, score_split
from spaces.surrogate import Surrogate


def score_finalists(
    context: SearchContext,
    run: RunDirectory,
    finalists: Sequence[Record],
    progress: Callable[[int, int], None],
) -> FinalistErrors:
    """Return the validation errors of trials and ensembles, with their resamples.

    Those that fail on a sample are left out: their resamples would be of other samples. One whose
    artefact was altered is left out too.

    Args:
        context: Problem and data.
        run: The run.
        finalists: Their records.
        progress: Called with (steps done, steps in all).
    """
    problem, split = context.problem, context.data.validation
    errors: dict[str, ResampledError] = {}
    for done, record in enumerate(finalists):
        progress(done, len(finalists))
        try:
            verified_manifest(run, record)
            surrogate = Surrogate.load(run.artefact_path(record.number), problem)
            result = score_split(problem, surrogate.run, split)
        except UserError:  # the final evaluation tells why it is left out
            continue
        error = None if result.failed else resampled_error(problem, result)
        if error is not None:
            errors[f"{TRIAL_PREFIX}{record.number}"] = error
    progress(len(finalists), len(finalists))
    return FinalistErrors(errors=errors)
