"""What a run comes from, by content: its problem, its families, and what can be deployed."""

from problems import Problem
from problems.data.dataset import search_digest
from problems.provenance import digest
from problems.source_code import source_hash
from spaces.registered import ARCHITECTURES
from spaces.space import Space


def origin_hash(problem: Problem) -> str:
    """Return the hash of all code and values that data and space of a search come from."""
    return digest([search_digest(problem), _user_families()])


def _user_families() -> dict[str, str]:
    """Return the hashes of the code of the families that users registered, by name."""
    return {
        name: source_hash(ARCHITECTURES[name])
        for name in ARCHITECTURES
        if not ARCHITECTURES[name].__module__.startswith("spaces.")
    }


def available_deployments(space: Space) -> tuple[str, ...]:
    """Return the precisions by runtimes in a space that are available here, sorted."""
    combinations = space.combination_space.combinations
    return tuple(sorted({f"{c.precision} by {c.runtime}" for c in combinations}))
