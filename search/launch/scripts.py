"""The scripts of a launched run: values, quoted, before text that is the same for every run."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from problems.errors import UserError
from search.launch.launched import CLUSTER_FOLDER, Launch, LaunchSystem
from search.launch.site_profile import memory_bytes

TEMPLATES = Path(__file__).parent / "templates"

RESERVE_S = 20
"""Time between the end of the driver and that of the job, in which the nodes end [s]."""

CLOCK_S = 25
"""Time before the end at which the job asks a driver to end that its own clock hasn't ended [s]."""

HEAD_LIMIT_S = 300
"""Longest time in which Ray starts on the first node [s]."""

IN_QUOTES = re.compile(r'["\\%\x00-\x1f\x7f]')
"""Characters that mean something in a quoted path of a batch system, or can't be shown."""

JOB_SCRIPT, NODE_SCRIPT, JOINING_SCRIPT = "job.sh", "node.sh", "joining.sh"


def check_run_path(run: Path) -> None:
    """Check that a run's path can be named to a batch system.

    Raises:
        UserError: It has characters that can't be quoted there.
    """
    if IN_QUOTES.search(str(run)):
        raise UserError(
            f"{str(run)!r} has characters that batch systems don't take in a path; give --run "
            'another folder, without " \\ % and control characters'
        )


def check_bound_paths(run: Path, launch: Launch) -> None:
    """Check that the paths of a launch can be named to Apptainer, where there is a container.

    Raises:
        UserError: One has characters that separate paths there.
    """
    for path in bound_paths(run, launch) if launch.profile.container else []:
        if set(path) & set(":,"):
            raise UserError(f"{path!r} has : or , which Apptainer doesn't take in a path; move it")


def job_name(run: Path) -> str:
    """Return the name of a run's jobs, made of letters, digits and "_.-" alone."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", f"simstead-{run.name}")[:60]


def attempt_script(run: Path, launch: Launch, directives: Sequence[str], system: str) -> str:
    """Return the script of a job that starts Ray on its nodes and the driver on the first one.

    Args:
        run: The run directory.
        launch: What is launched.
        directives: Lines by which the batch system is told what the job needs.
        system: File of the functions that differ between batch systems.
    """
    return _script(run, launch, directives, [system, "events.sh", "attempt.sh"])


def driver_script(run: Path, launch: Launch) -> str:
    """Return the script of a driver that joins a Ray cluster with a token.

    Args:
        run: The run directory.
        launch: What is launched.
    """
    return _script(run, launch, [], ["events.sh", "driver.sh"])


def joining_script(run: Path, launch: Launch, directives: Sequence[str]) -> str:
    """Return the script of a job whose only node joins the search of another job.

    Args:
        run: The run directory.
        launch: What is launched.
        directives: Lines by which the batch system is told what the job needs.
    """
    return _script(run, launch, directives, ["joining.sh", "node.sh"])


def node_script(run: Path, launch: Launch) -> str:
    """Return the script that runs on every node.

    Args:
        run: The run directory.
        launch: What is launched.
    """
    return _script(run, launch, [], ["node.sh"])


def _script(run: Path, launch: Launch, directives: Sequence[str], templates: Sequence[str]) -> str:
    profile = launch.profile
    modules = [f"module load {shlex.quote(name)}" for name in profile.modules]
    # No login shell: what it reads of the user's may take long, or ask something.
    shell = (
        ["# shellcheck source=/dev/null", "command -v module > /dev/null || . /etc/profile"]
        if modules
        else []
    )
    environment = [f"export {_assigned(launch.environment)}"] if launch.environment else []
    body = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in templates)
    return "\n".join(
        [
            "#!/bin/bash",
            *directives,
            "umask 077",
            *shell,
            *modules,
            *profile.setup,
            "set -u",
            *environment,
            *_used_assignments(run, launch, body),
            "",
            body,
        ]
    )


def _used_assignments(run: Path, launch: Launch, body: str) -> list[str]:
    """Return the assignments of those values that a script uses."""
    values: dict[str, str | Sequence[str]] = {
        "run": str(run),
        "cluster": str(run / CLUSTER_FOLDER),
        "temporary": launch.profile.temporary_folder,
        "inside": _inside(run, launch),
        "python": _program(launch, "python"),
        "resume": _resume_command(run, launch),
        "start": launch.profile.start_command or DEFAULT_START.get(launch.system, ()),
        "cores": str(launch.cores),
        "store_bytes": str(launch.store_bytes),
        "memory_bytes": str(memory_bytes(launch.memory) if launch.memory else 0),
        "interface": launch.interface or "",
        "address": launch.address,
        "token_file": launch.token_file,
        "limit_s": str(launch.time_s),
        "reserve_s": str(RESERVE_S),
        "clock_s": str(CLOCK_S),
        "head_limit_s": str(HEAD_LIMIT_S),
        "max_restarts": str(launch.max_restarts),
        "requeue": "yes" if launch.profile.requeue else "no",
    }
    used = {n: value for n, value in values.items() if re.search(rf"(\$\{{?|[-+] ){n}\b", body)}
    return [_assignment(name, value) for name, value in used.items()]


DEFAULT_START = {LaunchSystem.SLURM: ("srun",), LaunchSystem.PBS: ("pbsdsh", "--")}
"""What starts a process on every node, by batch system."""


def _inside(run: Path, launch: Launch) -> Sequence[str]:
    """Return the command before each program of ours."""
    profile = launch.profile
    if profile.container is None:
        return ("env",)
    binds = [f"--bind={path}" for path in bound_paths(run, launch)]
    return ("apptainer", "exec", *binds, *profile.container_options, profile.container)


def bound_paths(run: Path, launch: Launch) -> list[str]:
    """Return the paths of a launch that its processes need in a container, too."""
    cache, temporary = launch.environment.get("SIMSTEAD_CACHE"), launch.profile.temporary_folder
    paths = (str(run), cache, temporary, launch.problem_folder, launch.token_file)
    return [path for path in paths if path]


def _program(launch: Launch, name: str) -> str:
    return os.path.join(launch.program_folder, name) if launch.program_folder else name  # noqa: PTH118 - a text


def _resume_command(run: Path, launch: Launch) -> Sequence[str]:
    return [_program(launch, "simstead"), "resume", str(run), *driver_options(launch)]


def driver_options(launch: Launch) -> list[str]:
    """Return the options of the driver that the user has given to the launch."""
    given = {"workers": launch.workers, "kind": launch.kind}
    return [f"--{name}={value}" for name, value in given.items() if value]


def _assignment(name: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return f"{name}={shlex.quote(value)}"
    return f"{name}=({shlex.join(value)})"


def _assigned(environment: Mapping[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
