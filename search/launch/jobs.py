"""The jobs of a launched run: what the batch system says of them, and how they are stopped."""

from collections.abc import Mapping
from pathlib import Path

from search.launch.batch_system import BatchSystem, JobState
from search.launch.launched import Launch, LaunchedJob, LaunchFolder, LaunchSystem
from search.launch.pbs import Pbs
from search.launch.ray_address import RayAddress
from search.launch.scripts import JOB_SCRIPT, JOINING_SCRIPT, NODE_SCRIPT, node_script
from search.launch.slurm import Slurm

ENDED_STATES = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"),
    *("BOOT_FAIL", "DEADLINE", "REVOKED"),
)
"""States of jobs that Slurm won't run any more."""

SYSTEMS: Mapping[LaunchSystem, BatchSystem] = {
    LaunchSystem.SLURM: Slurm(),
    LaunchSystem.PBS: Pbs(),
    LaunchSystem.RAY: RayAddress(),
}
"""What submits the jobs of each system."""


def scripts_of(run: Path, launch: Launch) -> dict[str, str]:
    """Return the scripts of a launch by the names of their files.

    Args:
        run: The run directory.
        launch: What is launched.
    """
    system = SYSTEMS[launch.system]
    if launch.address:
        return {JOB_SCRIPT: system.script(run, launch)}
    return {
        JOB_SCRIPT: system.script(run, launch),
        NODE_SCRIPT: node_script(run, launch),
        JOINING_SCRIPT: system.joining_script(run, launch),
    }


def all_jobs(launched: LaunchFolder) -> list[LaunchedJob]:
    """Return all jobs of a run: those that were submitted here, and those that a job submitted.

    Args:
        launched: The run's folder of launches.
    """
    launch = launched.launch()
    if launch is None:
        return []
    successors = [attempt.last("successor") for attempt in launched.attempts()]
    return [*launch.jobs, *(LaunchedJob(id=job) for job in successors if job)]


def active_jobs(launched: LaunchFolder) -> list[LaunchedJob]:
    """Return the jobs of a run that wait or run, and haven't said themselves that they end.

    Args:
        launched: The run's folder of launches.

    Raises:
        UserError: The batch system doesn't answer.
    """
    jobs, states = all_jobs(launched), job_states(launched)
    ended = {attempt.job for attempt in launched.attempts() if attempt.last("ended")}
    known = [job for job in jobs if job.id in states and job.id not in ended]
    return [job for job in known if states[job.id].state not in ENDED_STATES]


def job_states(launched: LaunchFolder) -> dict[str, JobState]:
    """Return what the batch system says of a run's jobs, by their names.

    Args:
        launched: The run's folder of launches.

    Raises:
        UserError: It doesn't answer.
    """
    launch = launched.launch()
    if launch is None:
        return {}
    return SYSTEMS[launch.system].states([job.id for job in all_jobs(launched)])


def stop_launch(launched: LaunchFolder) -> None:
    """Let the jobs of a run end by themselves, and cancel those that wait.

    Args:
        launched: The run's folder of launches.

    Raises:
        UserError: The folder can't be written, or the batch system doesn't answer.
    """
    launched.request_stop()
    launch, jobs = launched.launch(), [job.id for job in all_jobs(launched)]
    if launch and jobs:
        SYSTEMS[launch.system].cancel_waiting(jobs)
