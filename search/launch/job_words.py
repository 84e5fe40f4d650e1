"""The state of launched jobs in words: their own events first, then the batch system's."""

from contextlib import suppress
from datetime import UTC, datetime

from problems.errors import UserError
from search.launch.batch_system import JobState
from search.launch.jobs import ENDED_STATES, job_states
from search.launch.launched import Attempt, LaunchedJob, LaunchFolder

REASONS = {
    "Priority": "jobs of higher priority are ahead",
    "Resources": "its nodes are busy",
    "Dependency": "another job has to end first",
    "BeginTime": "it was queued again a moment ago",
    "JobHeldUser": "it is held; scontrol release lets it go",
    "JobHeldAdmin": "the administrator holds it",
    "QOSMaxJobsPerUserLimit": "you run as many jobs as you may",
    "AssocMaxJobsLimit": "the account runs as many jobs as it may",
    "PartitionTimeLimit": "its time limit is above the partition's",
    "ReqNodeNotAvail": "its nodes are down or reserved",
}
"""Why a job waits, by Slurm's word."""

ENDINGS = {
    "finished": "the search is done",
    "stopped": "it was stopped",
    "cancelled": "it was cancelled",
    "failed": "the search failed; simstead logs shows why",
    "stuck": "it had got no further since its start",
    "restarts": "it had begun again as often as --max-restarts allows",
    "refused": "its time was up and the batch system refused to begin it again",
    "head": "Ray didn't start on its first node; simstead logs RUN NODE shows why",
    "program": "Python didn't find simstead on its first node; simstead logs RUN shows why",
    "temporary": "its temporary folder couldn't be made",
}
"""Why a job has ended, by the word of its own event."""

WAITING_STATES = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED")


def describe_jobs(launched: LaunchFolder) -> list[str]:
    """Return a line about each job of a run that hasn't ended, or the last one that has.

    A batch system that doesn't answer costs a line.

    Args:
        launched: The run's folder of launches.
    """
    state, lines = launched.state(), list[str]()
    try:
        states = job_states(state)
    except UserError as error:
        states = {}
        lines.append(f"batch system {error}")
    attempts = {attempt.job: attempt for attempt in state.attempts}
    described = [
        (job, _describe(job, attempts.get(job.id), states.get(job.id))) for job in state.jobs
    ]
    present = [(job, text) for job, text in described if not text.startswith("ended")]
    leading = [each for each in described if not each[0].joins]
    for job, text in present or leading[-1:]:
        lines.append(f"{'joining job' if job.joins else 'job':12} {job.id}: {text}")
    return lines


def _describe(job: LaunchedJob, attempt: Attempt | None, state: JobState | None) -> str:
    requeued = _times(attempt.restart) if attempt and attempt.restart else ""
    ended = attempt.last("ended") if attempt else None
    if ended:
        code, _, reason = ended.partition(" ")
        return f"ended with exit code {code}, because {ENDINGS.get(reason, reason)}{requeued}"
    if state and state.state in WAITING_STATES:
        why = REASONS.get(state.reason, state.reason) or "the scheduler hasn't come to it yet"
        begins = f"; expected to begin {state.begins}" if state.begins else ""
        return f"waiting, because {why}{begins}{requeued}"
    if state and state.state in ENDED_STATES:
        return f"ended, because {_ending(job, attempt, state)}{requeued}"
    if state is None and (attempt is None or attempt.last("again")):
        return f"unknown to the batch system{requeued}"
    if attempt is None:
        return "running" if job.joins else "starting"
    return f"running{_where(attempt)}{requeued}{_doing(attempt)}"


def _where(attempt: Attempt) -> str:
    nodes = ", ".join((attempt.last("began") or "").split())
    until = ""
    with suppress(ValueError):
        end = datetime.fromtimestamp(int(attempt.last("until") or ""), UTC).astimezone()
        until = f" until {end:%Y-%m-%d %H:%M}"
    return f" on {nodes}{until}"


def _doing(attempt: Attempt) -> str:
    asked = attempt.last("asked")
    if asked:
        return "; asked to end" if asked != "time" else "; its time is nearly up"
    return "" if attempt.last("head") else "; Ray starts"


def _times(restarts: int) -> str:
    counted = {1: "once", 2: "twice"}.get(restarts, f"{restarts} times")
    return f", requeued {counted}"


def _ending(job: LaunchedJob, attempt: Attempt | None, state: JobState) -> str:
    words = {
        "CANCELLED": "it was cancelled",
        "TIMEOUT": "its time was up",
        "NODE_FAIL": "its first node failed",
        "PREEMPTED": "it was preempted",
        "OUT_OF_MEMORY": "its memory was used up",
    }
    if job.joins and state.state == "COMPLETED":
        return "the search it joined ended"
    if attempt is None and state.state in {"FAILED", "COMPLETED"}:
        return "it couldn't begin: its nodes don't see the run, or its script failed"
    return words.get(state.state, f"the batch system says {state.state.lower()}")
