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
from search.driver import UNWRITABLE, ended_by_signals, told
from search.progress import ProgressDisplay
from search.run.records import ConfidenceInterval
from search.screening.audit import Calls, Compute, compute, recall_reached
from search.screening.decision import Decided, Decision, decided
from search.screening.request import Job, Screening, write
from search.screening.sweep import (
    INPUTS,
    OUTPUTS,
    Call,
    Returned,
    calls_for,
    calls_in_parallel,
    opened,
    returned,
    save,
    shuffled,
)
from search.workers.ray_cluster import cluster, in_parallel
from spaces.candidate import FrozenModel

DECISIONS, DECIDED = "decided.npz", "decided.json"
RESULTS, SUMMARY = "points.npz", "summary.json"


class Summary(FrozenModel):
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

    screening: Screening
    decided: Decided
    kept: int
    skipped: int
    audited: int
    found: int
    found_by_audit: int
    failed: dict[str, int]
    recall: ConfidenceInterval | None
    compute: Compute


class Plan(NamedTuple):
    """Calls of the reference for the points that are kept, and for those that are audited."""

    kept: list[Call]
    audited: list[Call]

    def missing(self, job: Job) -> list[Call]:
        """Return the calls that are still to be made, in drawn order.

        Kept and audited ones alternate at random, so that a drifting machine slows both alike.
        """
        calls = [*self.kept, *self.audited]
        mixed = np.random.default_rng(job.screening.seed).permutation(len(calls))
        return [calls[i] for i in mixed if not calls[i].path(job.runs).exists()]


def screen(job: Job, source: ProblemSource, workers: int, console: Console) -> Summary:
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
        if plan is None or plan.missing(job):
            size = data_bytes(job.problem)
            with cluster(workers, job.folder, source.user_source, size), ended_by_signals():
                plan = plan or _decide(job, progress)
                _run(job, plan, progress)
        summary = _summarised(job, plan)
        write(job.folder / SUMMARY, summary)
    return summary


def _decide(job: Job, progress: ProgressDisplay) -> Plan:
    """Choose the threshold and decide about every point."""
    progress.start_phase("data")
    data = generate(job.problem, default_cache(), in_parallel, progress.update)
    progress.print_line(told(data))
    progress.start_phase("surrogate")
    facts, points = decided(job, data, progress.update)
    save(job.folder / DECISIONS, points)
    write(job.folder / DECIDED, facts)
    return _plan(job, facts, points)


def _planned(job: Job) -> Plan | None:
    """Return what was decided in an earlier session, if it came so far."""
    if not all((job.folder / name).is_file() for name in (DECIDED, DECISIONS)):
        return None
    return _plan(job, Decided.read(job.folder / DECIDED), opened(job.folder / DECISIONS))


def _plan(job: Job, facts: Decided, points: Batch) -> Plan:
    def calls(what: Decision) -> list[Call]:
        places = np.flatnonzero(points["decision"] == str(what))
        if what is Decision.AUDITED:
            places = shuffled(places, job.screening.seed)
        return list(calls_for(job.simulation, job.inputs, places, facts.call, job.screening.seed))

    return Plan(calls(Decision.RUN), calls(Decision.AUDITED))


def _run(job: Job, plan: Plan, progress: ProgressDisplay) -> None:
    progress.start_phase("sweep")
    missing = plan.missing(job)
    total = sum(len(call.places) for call in (*plan.kept, *plan.audited))
    done = total - sum(len(call.places) for call in missing)
    progress.update(done, total)
    for call in calls_in_parallel(missing, job.runs):
        done += len(call.places)
        progress.update(done, total)


def _summarised(job: Job, plan: Plan) -> Summary:
    """Write the table of all points, and return what came of them."""
    facts = Decided.read(job.folder / DECIDED)
    points = opened(job.folder / DECISIONS)
    kept = returned(job.problem.outputs, plan.kept, job.runs)
    audited = returned(job.problem.outputs, plan.audited, job.runs)
    save(job.folder / RESULTS, _results(job, points, kept, audited))

    def wanted(run: Returned) -> int:
        return int((run.outputs[facts.label] == job.screening.keep)[run.reasons == ""].sum())

    found, by_audit = wanted(kept), wanted(audited)
    skipped = len(points["decision"]) - len(kept.places)
    reasons = [str(reason) for run in (kept, audited) for reason in run.reasons if reason]
    return Summary(
        screening=job.screening,
        decided=facts,
        kept=len(kept.places),
        skipped=skipped,
        audited=len(audited.places),
        found=found,
        found_by_audit=by_audit,
        failed=dict(Counter(reasons)),
        recall=recall_reached(found, skipped, len(audited.places), by_audit),
        compute=compute(
            facts.surrogate_s,
            Calls(kept.points, kept.seconds),
            Calls(audited.points, audited.seconds),
            skipped,
        ),
    )


def _results(job: Job, points: Batch, *runs: Returned) -> dict[str, Array]:
    """Return the table of all points: a shard of the data's kind, with two arrays more."""
    n = len(points["decision"])
    outputs = {f.name: np.full((n, *f.shape), np.nan) for f in job.problem.outputs}
    reasons = np.full(n, "", dtype=object)
    for run in runs:
        reasons[run.places] = run.reasons
        for name, values in run.outputs.items():
            outputs[name][run.places] = values
    return {
        **{f"{INPUTS}{name}": array for name, array in job.inputs.items()},
        **{f"{OUTPUTS}{name}": array for name, array in outputs.items()},
        "reasons": reasons.astype(str),
        **points,
    }


@contextmanager
def _ending_well(job: Job) -> Generator[None]:
    """Say in one line what ended a screening early: what was run is kept."""
    again = f"the same command with --out {job.folder} goes on"
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; what was run is kept: {again}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UserError(
            f"writing failed in {error.filename or job.folder} ({error.strerror}); what was run is "
            f"kept: make room, and {again}"
        ) from error
