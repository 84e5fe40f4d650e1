"""Screen a sweep: a surrogate of labels skips the points that aren't worth running.

The threshold is chosen on the validation split. What scores less is skipped, the rest is run by the
reference, and so is a random audit of what was skipped: it says what recall was reached and what
compute was saved.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from rich.console import Console

from problems import Array, InterruptedRunError, UserError
from problems.data.dataset import data_bytes, generate
from problems.data.shards import default_cache
from problems.interfaces.types import Batch
from problems.sources import ProblemSource
from search.driver import UNWRITABLE_ERRNOS, describe_data, signals_as_interrupt
from search.progress import ProgressDisplay
from search.run.records import ConfidenceInterval
from search.screening.audit import CallTimes, ComputeCost, estimate_compute, estimate_recall
from search.screening.decision import Decision, DecisionRule, decided
from search.screening.request import ScreeningJob, ScreeningSpec, write_json
from search.screening.sweep import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    CallResults,
    ReferenceCall,
    calls_in_parallel,
    load_arrays,
    load_call_results,
    save_arrays,
    shuffled,
    split_into_calls,
)
from search.workers.ray_cluster import cluster, in_parallel
from spaces.candidate import FrozenModel

DECISIONS_FILE, RULE_FILE = "decided.npz", "decided.json"
RESULTS_FILE, SUMMARY_FILE = "points.npz", "summary.json"


class ScreeningSummary(FrozenModel):
    """What came of a screening.

    Args:
        screening: As asked for.
        decided: Before anything was run.
        kept: Points that were run because of their probability.
        skipped: All others.
        audited: Those of them that were run as the audit.
        found: Points of the wanted class among the kept.
        found_by_audit: Those among the audited.
        failed: How many of all that were run failed for which reason; they are of no class.
        recall: Reached in this sweep; none where no point of the class is known.
        compute: What was taken and saved.
    """

    screening: ScreeningSpec
    decided: DecisionRule
    kept: int
    skipped: int
    audited: int
    found: int
    found_by_audit: int
    failed: dict[str, int]
    recall: ConfidenceInterval | None
    estimate_compute: ComputeCost


class CallPlan(NamedTuple):
    """Calls of the reference for the points that are kept, and for those that are audited."""

    kept: list[ReferenceCall]
    audited: list[ReferenceCall]

    def missing_calls(self, job: ScreeningJob) -> list[ReferenceCall]:
        """Return the calls that are still to be made, in drawn order.

        Kept and audited ones alternate at random, so that a drifting machine slows both alike.
        """
        calls = [*self.kept, *self.audited]
        mixed = np.random.default_rng(job.screening.seed).permutation(len(calls))
        return [calls[i] for i in mixed if not calls[i].path(job.runs).exists()]


def screen(
    job: ScreeningJob, source: ProblemSource, workers: int, console: Console
) -> ScreeningSummary:
    """Carry a screening out, or go on with it; results and summary lie in its folder.

    Args:
        job: From `search.screening.request.prepared`.
        source: Where the problem comes from: workers load it from there.
        workers: Calls of the reference at a time, one core each.
        console: Where progress is shown.

    Raises:
        UserError: No threshold can be chosen, or the folder or the cache can't be written.
        InterruptedRunError: It was interrupted; what was run is kept.
    """
    with _ending_well(job), ProgressDisplay(job.problem, 0, console) as progress:
        progress.print_line(f"screening    {job.folder}")
        plan = _planned(job)
        if plan is None or plan.missing_calls(job):
            size = data_bytes(job.problem)
            with cluster(workers, job.folder, source.user_source, size), signals_as_interrupt():
                plan = plan or _decide(job, progress)
                _run(job, plan, progress)
        summary = _summarised(job, plan)
        write_json(job.folder / SUMMARY_FILE, summary)
    return summary


def _decide(job: ScreeningJob, progress: ProgressDisplay) -> CallPlan:
    """Choose the threshold and decide about every point."""
    progress.start_phase("data")
    data = generate(job.problem, default_cache(), in_parallel, progress.update)
    progress.print_line(describe_data(data))
    progress.start_phase("surrogate")
    facts, points = decided(job, data, progress.update)
    save_arrays(job.folder / DECISIONS_FILE, points)
    write_json(job.folder / RULE_FILE, facts)
    return _plan(job, facts, points)


def _planned(job: ScreeningJob) -> CallPlan | None:
    """Return what was decided in an earlier session, if it came so far."""
    if not all((job.folder / name).is_file() for name in (RULE_FILE, DECISIONS_FILE)):
        return None
    return _plan(
        job, DecisionRule.read(job.folder / RULE_FILE), load_arrays(job.folder / DECISIONS_FILE)
    )


def _plan(job: ScreeningJob, facts: DecisionRule, points: Batch) -> CallPlan:
    def calls(what: Decision) -> list[ReferenceCall]:
        point_indices = np.flatnonzero(points["decision"] == str(what))
        if what is Decision.AUDITED:
            point_indices = shuffled(point_indices, job.screening.seed)
        return list(
            split_into_calls(
                job.simulation, job.inputs, point_indices, facts.call, job.screening.seed
            )
        )

    return CallPlan(calls(Decision.RUN), calls(Decision.AUDITED))


def _run(job: ScreeningJob, plan: CallPlan, progress: ProgressDisplay) -> None:
    progress.start_phase("sweep")
    missing_calls = plan.missing_calls(job)
    total = sum(len(call.point_indices) for call in (*plan.kept, *plan.audited))
    done = total - sum(len(call.point_indices) for call in missing_calls)
    progress.update(done, total)
    for call in calls_in_parallel(missing_calls, job.runs):
        done += len(call.point_indices)
        progress.update(done, total)


def _summarised(job: ScreeningJob, plan: CallPlan) -> ScreeningSummary:
    """Write the table of all points, and return what came of them."""
    facts = DecisionRule.read(job.folder / RULE_FILE)
    points = load_arrays(job.folder / DECISIONS_FILE)
    kept = load_call_results(job.problem.outputs, plan.kept, job.runs)
    audited = load_call_results(job.problem.outputs, plan.audited, job.runs)
    save_arrays(job.folder / RESULTS_FILE, _results(job, points, kept, audited))

    def wanted(run: CallResults) -> int:
        return int((run.outputs[facts.label] == job.screening.keep)[run.reasons == ""].sum())

    found, by_audit = wanted(kept), wanted(audited)
    skipped = len(points["decision"]) - len(kept.point_indices)
    reasons = [str(reason) for run in (kept, audited) for reason in run.reasons if reason]
    return ScreeningSummary(
        screening=job.screening,
        decided=facts,
        kept=len(kept.point_indices),
        skipped=skipped,
        audited=len(audited.point_indices),
        found=found,
        found_by_audit=by_audit,
        failed=dict(Counter(reasons)),
        recall=estimate_recall(found, skipped, len(audited.point_indices), by_audit),
        estimate_compute=estimate_compute(
            facts.surrogate_s,
            CallTimes(kept.points, kept.seconds),
            CallTimes(audited.points, audited.seconds),
            skipped,
        ),
    )


def _results(job: ScreeningJob, points: Batch, *runs: CallResults) -> dict[str, Array]:
    """Return the table of all points: a shard of the data's kind, with two arrays more."""
    n = len(points["decision"])
    outputs = {f.name: np.full((n, *f.shape), np.nan) for f in job.problem.outputs}
    reasons = np.full(n, "", dtype=object)
    for run in runs:
        reasons[run.point_indices] = run.reasons
        for name, values in run.outputs.items():
            outputs[name][run.point_indices] = values
    return {
        **{f"{INPUT_PREFIX}{name}": array for name, array in job.inputs.items()},
        **{f"{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()},
        "reasons": reasons.astype(str),
        **points,
    }


@contextmanager
def _ending_well(job: ScreeningJob) -> Generator[None]:
    """Say in one line what ended a screening early: what was run is kept."""
    again = f"the same command with --out {job.folder} goes on"
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; what was run is kept: {again}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRNOS:
            raise
        raise UserError(
            f"writing failed in {error.filename or job.folder} ({error.strerror}); what was run is "
            f"kept: make room, and {again}"
        ) from error
