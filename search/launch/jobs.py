"""The jobs of a launched run: what the batch system says of them, and how they are stopped."""

from collections.abc import Mapping
from pathlib import Path

from search.launch.batch_system import BatchSystem, JobState
from search.launch.launched import Launch, LaunchedJob, LaunchFolder, LaunchState, LaunchSystem
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


def active_jobs(state: LaunchState) -> list[LaunchedJob]:
    """Return the jobs of a run that wait or run, and haven't said themselves that they end.

    Args:
        state: The state of the run's launches.

    Raises:
        UserError: The batch system doesn't answer.
    """
    states = job_states(state)
    ended = {attempt.job for attempt in state.attempts if attempt.last("ended")}
    known = [job for job in state.jobs if job.id in states and job.id not in ended]
    return [job for job in known if states[job.id].state not in ENDED_STATES]


def job_states(state: LaunchState) -> dict[str, JobState]:
    """Return what the batch system says of a run's jobs, by their names.

    Args:
        state: The state of the run's launches.

    Raises:
        UserError: It doesn't answer.
    """
    if state.launch is None:
        return {}
    return SYSTEMS[state.launch.system].states([job.id for job in state.jobs])


def stop_launch(launched: LaunchFolder) -> None:
    """Let the jobs of a run end by themselves, and cancel those that wait.

    Args:
        launched: The run's folder of launches.

    Raises:
        UserError: The folder can't be written, or the batch system doesn't answer.
    """
    launched.request_stop()
    state = launched.state()
    if state.launch and state.jobs:
        SYSTEMS[state.launch.system].cancel_waiting([job.id for job in state.jobs])
