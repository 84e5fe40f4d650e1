"""Screening: a surrogate of labels skips the points of a sweep that aren't worth running.

The threshold is chosen on the validation split. Points with smaller scores are skipped; the
reference runs the others. It also runs a random sample of the skipped points, the audit, from which
the recall and the saved compute are estimated.
"""

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import ClassVar, NamedTuple

import numpy as np
from rich.console import Console

from problems import Array, InterruptedRunError, UserError
from problems.atomic_files import load_arrays, save_arrays
from problems.data.cache import default_cache
from problems.data.dataset import data_bytes, generate
from problems.interfaces.types import Batch
from problems.sources import ProblemSource
from search.data_summary import describe_data
from search.driver import UNWRITABLE_ERRNOS
from search.interrupts import signals_as_interrupt
from search.progress import ProgressDisplay
from search.run.records import ConfidenceInterval
from search.screening.audit import CallTimes, SweepCost, estimate_compute, estimate_recall
from search.screening.decision import Decision, DecisionRule, decide
from search.screening.kept_class import KeptClass
from search.screening.request import ScreeningJob, ScreeningSpec, write_json
from search.screening.sweep import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    REPEAT,
    CallResults,
    ReferenceCall,
    calls_in_parallel,
    load_call_results,
    shuffled,
    split_into_calls,
)
from search.workers.ray_cluster import cluster
from search.workers.tasks import in_parallel
from spaces.candidate import FrozenModel

DECISIONS_FILE, RULE_FILE = "decided.npz", "decided.json"
RESULTS_FILE, SUMMARY_FILE = "points.npz", "summary.json"


class ScreeningSummary(FrozenModel):
    """The results of a screening.

    Args:
        screening: Its specification.
        decided: The decision rule.
        kept: Number of points that were run because of their probability.
        skipped: Number of all other points.
        audited: Number of skipped points that were run as the audit.
        positives: Number of points of the class to keep among the kept points.
        audited_positives: The same among the audited points.
        failed: Number of points that were run and failed, by reason; they have no class.
        recall: Estimated recall of the sweep; None where no point of the class is known.
        compute: Compute of the sweep, and the share that was saved.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "found": "positives",
        "found_by_audit": "audited_positives",
    }

    screening: ScreeningSpec
    decided: DecisionRule
    kept: int
    skipped: int
    audited: int
    positives: int
    audited_positives: int
    failed: dict[str, int]
    recall: ConfidenceInterval | None
    compute: SweepCost


class CallPlan(NamedTuple):
    """The calls of the reference for the kept points and for the audited points."""

    kept: list[ReferenceCall]
    audited: list[ReferenceCall]

    def missing_calls(self, job: ScreeningJob) -> list[ReferenceCall]:
        """Return the calls without results, in random order.

        Kept and audited points are mixed, so that a drift of the machine affects both equally.
        """
        calls = [*self.kept, *self.audited]
        order = np.random.default_rng(job.screening.seed).permutation(len(calls))
        return [calls[index] for index in order if not calls[index].path(job.runs).exists()]


def screen(
    job: ScreeningJob, source: ProblemSource, workers: int, console: Console
) -> ScreeningSummary:
    """Run or continue a screening, write its results to its folder, and return the summary.

    Args:
        job: From `search.screening.request.prepare_screening`.
        source: Source of the problem, from which workers load it.
        workers: Number of simultaneous calls of the reference, one core each.
        console: Console for the progress.

    Raises:
        UserError: No threshold can be chosen, or the folder or the cache can't be written.
        InterruptedRunError: The screening was interrupted; its results so far are kept.
    """
    with _translated_errors(job), ProgressDisplay(job.problem, 0, console) as progress:
        progress.print_line(f"screening    {job.folder}")
        plan = _read_plan(job)
        if plan is None or plan.missing_calls(job):
            size = data_bytes(job.problem)
            with signals_as_interrupt(), cluster(workers, job.folder, source.user_source, size):
                plan = plan or _make_plan(job, progress)
                _run(job, plan, progress)
        summary = _summarise(job, plan)
        write_json(job.folder / SUMMARY_FILE, summary)
    return summary


def _make_plan(job: ScreeningJob, progress: ProgressDisplay) -> CallPlan:
    """Choose the threshold, decide about all points, and write both to the folder."""
    progress.start_phase("data")
    data = generate(job.problem, default_cache(), in_parallel, progress.update)
    progress.print_line(describe_data(data))
    progress.start_phase("surrogate")
    rule, points = decide(job, data, progress.update)
    save_arrays(job.folder / DECISIONS_FILE, points)
    write_json(job.folder / RULE_FILE, rule)
    return _plan(job, rule, points)


def _read_plan(job: ScreeningJob) -> CallPlan | None:
    """Return the plan of an earlier session, if there is one."""
    if not all((job.folder / name).is_file() for name in (RULE_FILE, DECISIONS_FILE)):
        return None
    rule = DecisionRule.read(job.folder / RULE_FILE)
    return _plan(job, rule, load_arrays(job.folder / DECISIONS_FILE, REPEAT))


def _plan(job: ScreeningJob, rule: DecisionRule, points: Batch) -> CallPlan:
    seed = job.screening.seed

    def calls(decision: Decision) -> list[ReferenceCall]:
        indices = np.flatnonzero(points["decision"] == str(decision))
        if decision is Decision.AUDITED:
            indices = shuffled(indices, seed)
        return list(split_into_calls(job.simulation, job.inputs, indices, rule.call, seed))

    return CallPlan(calls(Decision.RUN), calls(Decision.AUDITED))


def _run(job: ScreeningJob, plan: CallPlan, progress: ProgressDisplay) -> None:
    progress.start_phase("sweep")
    missing_calls = plan.missing_calls(job)
    total = sum(len(call.point_indices) for call in (*plan.kept, *plan.audited))
    done = total - sum(len(call.point_indices) for call in missing_calls)
    progress.update(done, total)
    for call in calls_in_parallel(missing_calls, job.runs, job.problem.time_limit_s):
        done += len(call.point_indices)
        progress.update(done, total)


def _summarise(job: ScreeningJob, plan: CallPlan) -> ScreeningSummary:
    """Write the table of all points, and return the summary."""
    rule = DecisionRule.read(job.folder / RULE_FILE)
    points = load_arrays(job.folder / DECISIONS_FILE, REPEAT)
    kept = load_call_results(job.problem.outputs, plan.kept, job.runs)
    audited = load_call_results(job.problem.outputs, plan.audited, job.runs)
    save_arrays(job.folder / RESULTS_FILE, _results(job, points, kept, audited))

    (field,) = (field for field in job.problem.outputs if field.name == rule.label)
    kept_class = KeptClass.of(field, job.screening.keep)

    def count_positives(results: CallResults) -> int:
        positive = kept_class.holds(results.outputs[rule.label])
        return int(positive[results.reasons == ""].sum())

    positives, audited_positives = count_positives(kept), count_positives(audited)
    skipped = len(points["decision"]) - len(kept.point_indices)
    reasons = [str(r) for results in (kept, audited) for r in results.reasons if r]
    return ScreeningSummary(
        screening=job.screening,
        decided=rule,
        kept=len(kept.point_indices),
        skipped=skipped,
        audited=len(audited.point_indices),
        positives=positives,
        audited_positives=audited_positives,
        failed=dict(Counter(reasons)),
        recall=estimate_recall(positives, skipped, len(audited.point_indices), audited_positives),
        compute=estimate_compute(
            rule.surrogate_s,
            CallTimes(kept.points, kept.seconds),
            CallTimes(audited.points, audited.seconds),
            skipped,
        ),
    )


def _results(job: ScreeningJob, points: Batch, *all_results: CallResults) -> dict[str, Array]:
    """Return the table of all points (n, ...): the arrays of a shard, and the decisions."""
    n = len(points["decision"])
    outputs = {f.name: np.full((n, *f.shape), np.nan) for f in job.problem.outputs}
    reasons = np.full(n, "", dtype=object)
    for results in all_results:
        reasons[results.point_indices] = results.reasons
        for name, values in results.outputs.items():
            outputs[name][results.point_indices] = values
    return {
        **{f"{INPUT_PREFIX}{name}": array for name, array in job.inputs.items()},
        **{f"{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()},
        "reasons": reasons.astype(str),
        **points,
    }


@contextmanager
def _translated_errors(job: ScreeningJob) -> Generator[None]:
    """Translate an interruption or a failed write into one line that says how to continue."""
    remedy = f"repeat the command with --out {job.folder} to continue"
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; all results are kept: {remedy}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRNOS:
            raise
        raise UserError(
            f"writing failed in {error.filename or job.folder} ({error.strerror}); all results are "
            f"kept: make room, and {remedy}"
        ) from error
