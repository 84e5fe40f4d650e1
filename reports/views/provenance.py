"""Provenance of a run: commands, spec, machine, versions."""

import shlex
from itertools import groupby
from typing import NamedTuple

from reports.views.trials import problem_argument
from search.run.environment import Environment
from search.run.spec import Spec


class Provenance(NamedTuple):
    """Provenance of a run.

    Args:
        commands: Command of each session.
        search_command: Command that repeats the whole search, from the spec.
        spec: Fields of the spec by their labels.
        machine: Properties of the last session's machine by their labels.
        versions: Versions of the libraries in the last session.
        sessions: (time of the start, commit of the code) of each session.
        changed: Libraries and properties of code and machine that differ between sessions.
    """

    commands: tuple[str, ...]
    search_command: str
    spec: dict[str, str]
    machine: dict[str, str]
    versions: dict[str, str]
    sessions: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]


def provenance_view(spec: Spec, sessions: tuple[Environment, ...]) -> Provenance:
    """Return the provenance of a run."""
    last = sessions[-1] if sessions else None
    return Provenance(
        commands=tuple(shlex.join(session.command) for session in sessions),
        search_command=_search_command(spec),
        spec={
            "problem": f"{spec.problem}, version {spec.problem_version}",
            "source": spec.source or spec.problem,
            "hash of the problem": spec.origin_hash,
            "size": spec.size,
            "seed": str(spec.seed),
            "networks": str(spec.trials),
            "workers": str(spec.workers),
            "sampler": spec.sampler,
            "initial design": str(spec.initial_design_size),
            "deployments": str(spec.deployments),
            "retrainings": str(spec.retrainings),
            "extra objectives": ", ".join(spec.extra_objectives) or "none",
            "restrictions": str(spec.restrictions) or "none",
            "warm start": str(len(spec.warm_start)),
            "format": str(spec.format),
        },
        machine={}
        if last is None
        else {
            "processor": last.processor,
            "cores": str(last.cores),
            "memory": f"{last.memory_gib} GiB",
            "system": last.system,
            "Python": last.python,
            "code": last.commit,
            **({"timed on": spec.kind} if spec.kind else {}),
        },
        versions={} if last is None else dict(last.versions),
        sessions=tuple((session.started, session.commit) for session in sessions),
        changed=_changed(sessions),
    )


def _search_command(spec: Spec) -> str:
    restrictions = str(spec.restrictions)
    parts = [
        f"simstead search {problem_argument(spec)}",
        f"--seed {spec.seed} --trials {spec.trials} --workers {spec.workers}",
        f"--deployments {spec.deployments} --retrain {spec.retrainings} --sampler {spec.sampler}",
        *(f"--objective {objective}" for objective in spec.extra_objectives),
        *([restrictions] if restrictions else []),
    ]
    return " ".join(parts)


def _changed(sessions: tuple[Environment, ...]) -> tuple[str, ...]:
    """Return the properties that differ between sessions, with their successive values."""
    names = ("python", "system", "processor", "cores", "memory_gib", "commit")
    values = {name.replace("_gib", ""): [str(getattr(s, name)) for s in sessions] for name in names}
    libraries = dict.fromkeys(name for session in sessions for name in session.versions)
    values |= {name: [s.versions.get(name, "unknown") for s in sessions] for name in libraries}
    successive = {name: [value for value, _ in groupby(row)] for name, row in values.items()}
    return tuple(
        f"{name}: {', then '.join(row)}" for name, row in successive.items() if len(row) > 1
    )
