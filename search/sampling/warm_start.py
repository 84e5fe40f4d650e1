"""Candidates to try before the opening: a user's own, and the fronts of earlier runs."""

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from problems import Choose, Scalar, Size, UserError
from problems.contract import RandomChoice
from problems.interfaces.types import Option
from search.pareto import evenly_spaced, non_dominated_ranks
from search.run.directory import Run
from search.run.records import Record, State
from search.run.spec import Spec
from spaces.candidate import Training
from spaces.restrictions import Range, RestrictedChoice, Restrictions
from spaces.space import Space
from spaces.space_summary import SpaceSummary, summarise_space
from spaces.user_restrictions import UserRestriction, read_candidates, resolve_restrictions_in

MAX_NETWORKS_PER_RUN = 8
"""So many networks of an earlier front are tried at most, spread evenly along it."""

Parameters = dict[str, Scalar]
Value = TypeVar("Value", bound=Scalar)


@dataclass(frozen=True)
class RecordingChooser:
    """Notes what is answered, and refuses an answer that isn't one of those asked for."""

    choose: Choose
    parameters: Parameters = field(default_factory=dict[str, Scalar])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return self._recorded(
            name, lambda: self.choose.categorical(name, options), lambda answer: answer in options
        )

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self._recorded(
            name,
            lambda: self.choose.integer(name, low, high, step=step),
            lambda answer: answer in range(low, high + 1, step),
        )

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self._recorded(
            name,
            lambda: self.choose.real(name, low, high, log=log),
            lambda answer: low <= answer <= high,
        )

    def _recorded(
        self, name: str, ask: Callable[[], Value], allowed: Callable[[Value], bool]
    ) -> Value:
        try:
            answer = ask()
        except ValueError:  # nothing was left to draw from
            raise _outside(name) from None
        if not allowed(answer):
            raise _outside(name)
        self.parameters[name] = answer
        return answer


def _outside(name: str) -> UserError:
    return UserError(f"{name}: what is asked for isn't in this search's space")


def warm_start_candidates(
    space: Space, file: Path | None, runs: Sequence[Run], folder: Path, seed: int
) -> list[Parameters]:
    """Return what is tried first; without a wish, what the run in the folder tries first.

    Args:
        space: What is searched.
        file: See `first_of_file`.
        runs: See `first_of_run`.
        folder: The run's own.
        seed: Of what is drawn.

    Raises:
        UserError: As those two.
    """
    with suppress(OSError):  # a folder that can't be looked into is refused as a run
        if file is None and not runs and (folder / "spec.json").is_file():
            return list(Spec.read(folder / "spec.json").first)
    own = [] if file is None else candidates_from_file(space, file, seed)
    return own + [each for run in runs for each in candidates_from_run(space, run, seed)]


def candidates_from_file(space: Space, file: Path, seed: int) -> list[Parameters]:
    """Return the candidates that a file lists, in their order; what it leaves open is drawn.

    Args:
        space: What is searched.
        file: YAML, a list of candidates: parameters that `simstead space` lists, with values.
        seed: Of what is drawn.

    Raises:
        UserError: The file can't be read, or a candidate isn't in the space.
    """
    found: list[Parameters] = []
    known, whole = summarise_space(space).parameters(), summarise_space(Space(space.problem))
    for number, override in enumerate(read_candidates(file)):
        settled = resolve_restrictions_in(whole, [_asked(override, known)])
        try:
            found.append(_drawn(space, settled, [seed, number], strictly=True))
        except UserError as error:
            raise UserError(f"{override.place}: {error}") from None
    return found


def _asked(override: UserRestriction, known: Container[str]) -> UserRestriction:
    """Return a wish without settings of the training that this space never asks for.

    A candidate of a report states them all; that they are as they would be anyway is no slip.
    """
    usual = {
        f"training.{name}": str(field.default)
        for name, field in Training.model_fields.items()
        if not field.is_required()
    }
    keep = {
        name: kept
        for name, kept in override.restrictions.keep.items()
        if name in known or isinstance(kept, Range) or [*map(str, kept)] != [usual.get(name)]
    }
    return override._replace(restrictions=override.restrictions.model_copy(update={"keep": keep}))


def candidates_from_run(space: Space, run: Run, seed: int) -> list[Parameters]:
    """Return the networks on an earlier run's front, as far as they are in this space.

    The run may be of a related problem: what this one doesn't have is drawn.

    Args:
        space: What is searched.
        run: Where they were found.
        seed: Of what is drawn.

    Raises:
        UserError: Nothing of it can be tried here.
    """
    found: list[Parameters] = []
    whole = summarise_space(Space(space.problem))
    for record in _front(run):
        keep = _kept(whole, record)
        with suppress(UserError):  # it isn't in this space
            found.append(_drawn(space, keep, [seed, record.number], strictly=False))
    if not found:
        raise UserError(f"nothing on the front of {run.folder} is in this search's space")
    return found


def _front(run: Run) -> list[Record]:
    """Return a record for every network on a run's front, the most accurate first."""
    objective = run.data().metrics[0].name
    complete = [r for r in run.records() if r.state is State.COMPLETE and r.timing is not None]
    points = [(r.metrics[objective], r.timing.relative_time) for r in complete if r.timing]
    rank = non_dominated_ranks(points) if points else ()
    front = [record for record, level in zip(complete, rank, strict=True) if level == 0]
    front.sort(key=lambda record: record.metrics[objective])
    networks: dict[int, Record] = {}
    for record in front:
        networks.setdefault(record.network_id, record)
    return evenly_spaced(list(networks.values()), MAX_NETWORKS_PER_RUN)


def _kept(whole: SpaceSummary, record: Record) -> Restrictions:
    """Return a candidate as what is kept of a space, without what the space doesn't have."""
    keep: dict[str, object] = {}
    for name, value in record.candidate.parameters.items():
        with suppress(UserError):
            restrictions = Restrictions.model_validate({"keep": {name: (value,)}})
            keep |= resolve_restrictions_in(whole, [UserRestriction("", restrictions)]).keep
    return Restrictions.model_validate({"keep": keep})


def _drawn(
    space: Space, wanted: Restrictions, seed: Sequence[int], *, strictly: bool
) -> Parameters:
    """Return a candidate's parameters under the names that the study asks them by.

    Raises:
        UserError: It isn't in the space; or, `strictly`, part of what is wanted has no place in it.
    """
    rng = np.random.default_rng(list(seed))
    combinations = [
        combination
        for combination in space.combination_space.combinations
        if wanted.allows(combination)
    ]
    if not combinations:
        raise UserError("nothing of this search's space is so")
    combination = combinations[int(rng.integers(len(combinations)))]
    noted = RecordingChooser(RestrictedChoice(RandomChoice(rng), wanted))
    filled = space.filled(combination, Size.STANDARD, noted, 0).parameters
    astray = sorted(
        name
        for name in set(wanted.keep) - set(noted.parameters)
        if name not in filled or not wanted.options(name, (filled[name],))
    )
    if strictly and astray:
        raise UserError(
            f"{', '.join(astray)} isn't asked of {combination.architecture} on {combination.encoding}; "
            "name the architecture, or the encoding, that it belongs to"
        )
    return {**space.combination_space.parameters(combination), **noted.parameters}
