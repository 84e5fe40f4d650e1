"""What is requested of a search: its spec and the restrictions of its space."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from problems import Problem
from problems.sources import ProblemSource
from search.allocation import allocated_cores
from search.run.origin import available_deployments, origin_hash
from search.run.spec import Spec
from search.sampling.initial_design import initial_design_size
from spaces.restrictions import Restrictions
from spaces.space import Space
from spaces.user_restrictions import UserRestriction, resolve_restrictions

INHERITED_FIELDS = (
    "deployments",
    "retrainings",
    "sampler",
    "extra_objectives",
    "simulations",
    "reference_hours",
    "kind",
    "transport",
)
"""Fields of a spec that a resumed run keeps where no others are given."""


def make_spec(
    problem: Problem, source: ProblemSource, existing: Spec | None = None, **fields: object
) -> Spec:
    """Return the spec of a search.

    Args:
        problem: The problem.
        source: Where the problem comes from.
        existing: The spec of the run to be resumed, which gives `INHERITED_FIELDS`.
        **fields: Other fields of the spec, such as size, seed and trials; None counts as not given.
    """
    space = Space(problem, cast("Restrictions", fields.get("restrictions", Restrictions())))
    return Spec.model_validate(
        {
            "initial_design_size": initial_design_size(space),
            "available_deployments": available_deployments(space),
            "problem": problem.name,
            "problem_version": problem.version,
            "source": source.reference,
            "folder": source.folder,
            "origin_hash": origin_hash(problem),
            **({name: getattr(existing, name) for name in INHERITED_FIELDS} if existing else {}),
            **{name: value for name, value in fields.items() if value is not None},
        }
    )


def workers_here(problem: Problem) -> int:
    """Return how many trials of a problem run at a time with the cores of this process."""
    return max(allocated_cores() // problem.deployment.threads, 1)


def restrictions_for(
    problem: Problem, user_restrictions: Sequence[UserRestriction], folder: Path
) -> Restrictions:
    """Return the restrictions of a problem's space.

    Without restrictions of the user, those of the run in the folder are returned as they are, if
    there is one: on another machine the same ones may be written otherwise.

    Args:
        problem: The problem.
        user_restrictions: The restrictions of the user.
        folder: run directory, which may not exist yet.

    Raises:
        UserError: Something is unknown or isn't available here, or nothing is left to deploy.
    """
    existing = None if user_restrictions else existing_spec(folder)
    if existing and existing.problem == problem.name:
        resolve_restrictions(problem, [UserRestriction(f"run {folder}", existing.restrictions)])
        return existing.restrictions
    return resolve_restrictions(problem, user_restrictions)


def existing_spec(folder: Path) -> Spec | None:
    """Return the spec of the run in a folder, or None if there is no run."""
    with suppress(OSError):  # `RunDirectory` refuses a folder that can't be read
        if (folder / "spec.json").is_file():
            return Spec.read(folder / "spec.json")
    return None
