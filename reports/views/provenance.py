"""Everything that is needed to run it again."""

import shlex
from itertools import groupby
from typing import NamedTuple

from reports.views.trials import problem_argument
from search.run.environment import Environment
from search.run.spec import Spec


class Provenance(NamedTuple):
    """Where a run came from.

    Args:
        commands: What was typed, a session each.
        again: The command that does all of it again, from what the spec holds.
        spec: What was asked for, by name.
        machine: Of the last session, by name.
        versions: Of libraries in the last session.
        sessions: When each was begun, and on which code.
        changed: Libraries, code or machine that differ between sessions.
    """

    commands: tuple[str, ...]
    search_command: str
    spec: dict[str, str]
    machine: dict[str, str]
    versions: dict[str, str]
    sessions: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]


def provenance_view(spec: Spec, sessions: tuple[Environment, ...]) -> Provenance:
    """Return where a run came from."""
    last = sessions[-1] if sessions else None
    return Provenance(
        commands=tuple(shlex.join(session.command) for session in sessions),
        search_command=_again(spec),
        spec={
            "problem": f"{spec.problem}, version {spec.problem_version}",
            "source": spec.source or spec.problem,
            "simulation and encodings": spec.origin,
            "size": spec.size,
            "seed": str(spec.seed),
            "networks": str(spec.trials),
            "workers": str(spec.workers),
            "sampler": spec.sampler,
            "dealt first": str(spec.opening),
            "deployments": str(spec.deployments),
            "other seeds": str(spec.retrainings),
            "objectives besides": ", ".join(spec.extra_objectives) or "none",
            "narrowed to": str(spec.restrictions) or "nothing",
            "candidates of one's own": str(len(spec.first)),
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
        },
        versions={} if last is None else dict(last.versions),
        sessions=tuple((session.started, session.commit) for session in sessions),
        changed=_changed(sessions),
    )


def _again(spec: Spec) -> str:
    narrowed = str(spec.restrictions)
    parts = [
        f"simstead search {problem_argument(spec)}",
        f"--seed {spec.seed} --trials {spec.trials} --workers {spec.workers}",
        f"--deployments {spec.deployments} --retrain {spec.retrainings} --sampler {spec.sampler}",
        *(f"--objective {each}" for each in spec.extra_objectives),
        *([narrowed] if narrowed else []),
    ]
    return " ".join(parts)


def _changed(sessions: tuple[Environment, ...]) -> tuple[str, ...]:
    """Return what wasn't the same in all sessions, with every value that it had in turn."""
    names = ("python", "system", "processor", "cores", "memory_gib", "commit")
    had = {name.replace("_gib", ""): [str(getattr(s, name)) for s in sessions] for name in names}
    libraries = dict.fromkeys(name for session in sessions for name in session.versions)
    had |= {name: [s.versions.get(name, "unknown") for s in sessions] for name in libraries}
    turns = {name: [value for value, _ in groupby(values)] for name, values in had.items()}
    return tuple(f"{name}: {', then '.join(own)}" for name, own in turns.items() if len(own) > 1)
