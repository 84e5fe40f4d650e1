"""The score of what is finally recommended, on samples that no search has seen."""

import numpy as np

from problems import Dataset, Problem, Split
from search.final.comparison import Comparisons, sample_errors
from search.objectives.standard_baselines import with_baseline
from search.run.directory import RunDirectory
from search.run.finalists import TRIAL_PREFIX, Confirmation
from search.run.records import Record, timestamp
from search.trial.scoring import bootstrap_intervals, score_split
from spaces.surrogate import Surrogate


def confirm(
    problem: Problem, data: Dataset, split: Split, run: RunDirectory, record: Record
) -> Confirmation:
    """Return the score of a trial on the confirmation split, against that of the best baseline.

    Args:
        problem: The problem.
        data: The other splits, on which baselines are fitted.
        split: The confirmation split.
        run: The run.
        record: The trial.

    Raises:
        UserError: The artefact was altered, or a baseline can't be fitted.
    """
    errors = run.data().baseline_errors
    baseline = min(errors, key=errors.__getitem__, default="")
    problem = with_baseline(problem, data.train, baseline, run.spec().size)
    name = f"{TRIAL_PREFIX}{record.number}"
    surrogate = Surrogate.load(run.artefact_path(record.number), problem)
    tests = {name: score_split(problem, surrogate.run, split)}
    if baseline in problem.baseline_runs:
        tests[baseline] = score_split(problem, problem.baseline_runs[baseline], split, baseline)
    test = tests[name]
    against = None
    if baseline in tests:
        encodings = {name: record.candidate.encoding, baseline: None}
        errors = {each: sample_errors(problem, encodings[each], tests[each]) for each in tests}
        against = Comparisons(problem, tests, errors).compare(name, baseline)
    return Confirmation(
        trial=record.number,
        artefact_hash=record.artefact_hash or "",
        date=timestamp(),
        samples=len(split),
        groups=None if split.groups is None else len(np.unique(split.groups)),
        failed=test.failed,
        metrics=bootstrap_intervals(problem, test),
        against_baseline=against,
    )
