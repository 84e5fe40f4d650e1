"""Warm starts: candidates tried before the initial design, from a user or from earlier runs."""

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from problems import Choose, Scalar, Size, UserError
from problems.contract import RandomChoice
from problems.interfaces.types import Option
from search.pareto import evenly_spaced, non_dominated_ranks
from search.run.directory import RunDirectory
from search.run.records import Record, State
from search.run.spec import Spec
from spaces.candidate import Training
from spaces.registered import ARCHITECTURES
from spaces.restrictions import Range, RestrictedChoice, Restrictions, normalised_option
from spaces.space import Space
from spaces.space_summary import SpaceSummary, summarise_space
from spaces.user_restrictions import UserRestriction, read_candidates, resolve_restrictions_in

MAX_NETWORKS_PER_RUN = 8
"""Largest number of networks from the front of an earlier run, spread evenly along it."""

Parameters = dict[str, Scalar]
Value = TypeVar("Value", bound=Scalar)


@dataclass(frozen=True)
class RecordingChooser:
    """Records the values that are chosen, and refuses a value outside the space.

    Args:
        choose: Chooses the values.
        parameters: The values chosen so far, by parameter names.
    """

    choose: Choose
    parameters: Parameters = field(default_factory=dict[str, Scalar])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return self._recorded(
            name, lambda: self.choose.categorical(name, options), lambda value: value in options
        )

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self._recorded(
            name,
            lambda: self.choose.integer(name, low, high, step=step),
            lambda value: value in range(low, high + 1, step),
        )

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self._recorded(
            name,
            lambda: self.choose.real(name, low, high, log=log),
            lambda value: low <= value <= high,
        )

    def _recorded(
        self, name: str, choose: Callable[[], Value], allowed: Callable[[Value], bool]
    ) -> Value:
        try:
            value = choose()
        except ValueError:  # no option is left
            raise _outside(name) from None
        if not allowed(value):
            raise _outside(name)
        self.parameters[name] = value
        return value


def _outside(name: str) -> UserError:
    return UserError(f"{name}: the requested value isn't in the space of this search")


def warm_start_candidates(
    space: Space, file: Path | None, runs: Sequence[RunDirectory], folder: Path, seed: int
) -> list[Parameters]:
    """Return the parameters of the candidates of a warm start.

    Without a file and earlier runs, a run that exists keeps the candidates that it started with.

    Args:
        space: The search space.
        file: See `candidates_from_file`.
        runs: See `candidates_from_run`.
        folder: Folder of the run that is started or resumed.
        seed: Seed of the parameters that are sampled.

    Raises:
        UserError: A candidate can't be read or isn't in the space.
    """
    with suppress(OSError):  # a folder that can't be read is refused later, as a run
        if file is None and not runs and (folder / "spec.json").is_file():
            return list(Spec.read(folder / "spec.json").warm_start)
    candidates = [] if file is None else candidates_from_file(space, file, seed)
    for run in runs:
        candidates += candidates_from_run(space, run, seed)
    return candidates


def candidates_from_file(space: Space, file: Path, seed: int) -> list[Parameters]:
    """Return the parameters of the candidates in a file, in their order.

    Parameters that the file leaves open are sampled.

    Args:
        space: The search space.
        file: YAML, a list of candidates: parameters as `simstead space` lists them, with values.
        seed: Seed of the parameters that are sampled.

    Raises:
        UserError: The file can't be read, or a candidate isn't in the space.
    """
    candidates: list[Parameters] = []
    searched, whole = summarise_space(space).parameters(), summarise_space(Space(space.problem))
    fixed = _fixed_settings(space, searched)
    for number, override in enumerate(read_candidates(file)):
        restrictions = resolve_restrictions_in(whole, [_without_fixed(override, searched, fixed)])
        try:
            candidates.append(_sample(space, restrictions, [seed, number], strict=True))
        except UserError as error:
            raise UserError(f"{override.source}: {error}") from None
    return candidates


def _fixed_settings(space: Space, searched: Container[str]) -> dict[str, Scalar]:
    """Return the values of the settings that the space doesn't search, by name.

    These are defaults of training, and settings to which a family gives a value of its own.

    Args:
        space: The search space.
        searched: Names of the parameters that it searches.
    """
    settings: dict[str, Scalar] = {
        f"training.{name}": field.default
        for name, field in Training.model_fields.items()
        if not field.is_required()
    }
    for family in space.combination_space.options("architecture"):
        drawn = ARCHITECTURES[family].settings(RandomChoice(np.random.default_rng(0)))
        settings |= {f"{family}.{name}": value for name, value in drawn.items()}
    return {name: value for name, value in settings.items() if name not in searched}


def _without_fixed(
    override: UserRestriction, searched: Container[str], fixed: Mapping[str, Scalar]
) -> UserRestriction:
    """Return an override without settings that aren't searched and have their value.

    A candidate of a report states all settings, also those that the space doesn't search.
    """

    def is_fixed(name: str, values: Range | tuple[Scalar, ...]) -> bool:
        if name in searched or isinstance(values, Range) or name not in fixed:
            return False
        return [*map(normalised_option, values)] == [normalised_option(fixed[name])]

    keep = {
        name: values
        for name, values in override.restrictions.keep.items()
        if not is_fixed(name, values)
    }
    return override._replace(restrictions=override.restrictions.model_copy(update={"keep": keep}))


def candidates_from_run(space: Space, run: RunDirectory, seed: int) -> list[Parameters]:
    """Return the parameters of the networks on the front of an earlier run.

    The run may be of a related problem. Networks outside the space are left out, and parameters
    that the run's space doesn't have are sampled.

    Args:
        space: The search space.
        run: The earlier run.
        seed: Seed of the parameters that are sampled.

    Raises:
        UserError: No network on the front is in the space.
    """
    candidates: list[Parameters] = []
    whole = summarise_space(Space(space.problem))
    for record in _front(run):
        restrictions = _restrictions(whole, record)
        with suppress(UserError):  # the network isn't in the space
            candidates.append(_sample(space, restrictions, [seed, record.number], strict=False))
    if not candidates:
        raise UserError(f"no trial on the front of {run.folder} is in the space of this search")
    return candidates


def _front(run: RunDirectory) -> list[Record]:
    """Return one record for each network on a run's front, the most accurate first."""
    objective = run.data().metrics[0].name
    complete = [r for r in run.records() if r.state is State.COMPLETE and r.timing is not None]
    points = [(r.metrics[objective], r.timing.relative_time) for r in complete if r.timing]
    ranks = non_dominated_ranks(points) if points else ()
    front = [record for record, rank in zip(complete, ranks, strict=True) if rank == 0]
    front.sort(key=lambda record: record.metrics[objective])
    networks: dict[int, Record] = {}
    for record in front:
        networks.setdefault(record.network_id, record)
    return evenly_spaced(list(networks.values()), MAX_NETWORKS_PER_RUN)


def _restrictions(whole: SpaceSummary, record: Record) -> Restrictions:
    """Return restrictions that keep a trial's candidate, as far as the space has its parameters."""
    keep: dict[str, object] = {}
    for name, value in record.candidate.parameters.items():
        with suppress(UserError):
            restrictions = Restrictions.model_validate({"keep": {name: (value,)}})
            keep |= resolve_restrictions_in(whole, [UserRestriction("", restrictions)]).keep
    return Restrictions.model_validate({"keep": keep})


def _sample(
    space: Space, restrictions: Restrictions, seed: Sequence[int], *, strict: bool
) -> Parameters:
    """Return the parameters of a random candidate within restrictions, named as in the study.

    Args:
        space: The search space.
        restrictions: The restrictions.
        seed: Seed of the candidate.
        strict: Whether a restriction that doesn't apply to the candidate is refused.

    Raises:
        UserError: No candidate of the space is within the restrictions, or one doesn't apply.
    """
    rng = np.random.default_rng(list(seed))
    combinations = [
        combination
        for combination in space.combination_space.combinations
        if restrictions.allows(combination)
    ]
    if not combinations:
        raise UserError("the space of this search has no such combination")
    combination = combinations[int(rng.integers(len(combinations)))]
    chooser = RecordingChooser(RestrictedChoice(RandomChoice(rng), restrictions))
    filled = space.choose_settings(combination, Size.STANDARD, chooser, 0).parameters
    not_applicable = sorted(
        name
        for name in set(restrictions.keep) - set(chooser.parameters)
        if name not in filled or not restrictions.options(name, (filled[name],))
    )
    if strict and not_applicable:
        raise UserError(
            f"{', '.join(not_applicable)} is no parameter of {combination.architecture} on "
            f"{combination.encoding}; name the architecture or the encoding that it belongs to"
        )
    return {**space.combination_space.parameters(combination), **chooser.parameters}
