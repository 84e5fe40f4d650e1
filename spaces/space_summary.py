"""A space as plain facts, and the facts as lines: what is searched, and how much of it there is."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import NamedTuple

from problems import Layout, Target
from problems.interfaces.types import Choose
from spaces.candidate import Pruning, Training
from spaces.combinations import DIMENSIONS, Combination
from spaces.exclusions import Exclusion, exclusions
from spaces.settings_space import (
    Domain,
    Parameter,
    SettingsSpace,
    check_same_domain,
    describe_domain,
    explore_settings,
)
from spaces.space import Space

INDENT = "  "
FAMILY_PLACEHOLDER = "FAMILY"


class EncodingSummary(NamedTuple):
    """An encoding's kind and settings, and the families that are searched under it."""

    layout: Layout
    target: Target
    settings: SettingsSpace
    families: tuple[str, ...]


class SpaceSize(NamedTuple):
    """How much there is to search.

    Args:
        cells: Combinations of the skeleton.
        discrete: Candidates, whatever their real numbers.
        reals: Fewest and most real numbers that a candidate has besides.
        whole: Whether every candidate was counted; else there are more.
    """

    combinations: int
    discrete_count: int
    real_dimensions: tuple[int, int]
    exhaustive: bool


@dataclass(frozen=True)
class SpaceSummary:
    """What a space holds.

    Args:
        space: Whose tree it is.
        encodings: Those that some family serves.
        families: Settings of each that serves some encoding.
        prunings: Settings by pruning and family.
        runtimes: Precisions by runtime.
        training: Settings of the training loop by encoding and family.
        exclusions: What can't be deployed here.
    """

    space: Space
    encodings: Mapping[str, EncodingSummary]
    families: Mapping[str, SettingsSpace]
    prunings: Mapping[Pruning, Mapping[str, SettingsSpace]]
    runtimes: Mapping[str, tuple[str, ...]]
    training: Mapping[tuple[str, str], SettingsSpace]
    exclusions: Sequence[Exclusion]

    @property
    def space_size(self) -> SpaceSize:
        """How much there is to search: sums over branches of products of their settings."""
        fewest: list[int] = []
        most: list[int] = []
        discrete_count, exhaustive = 0, True
        for combination in self.space.combination_space.combinations:
            parts = self._parts(combination)
            fewest.append(sum(part.real_dimensions[0] for part in parts))
            most.append(sum(part.real_dimensions[1] for part in parts))
            discrete_count += prod(part.discrete_count for part in parts)
            exhaustive = exhaustive and all(part.exhaustive for part in parts)
        return SpaceSize(len(most), discrete_count, (min(fewest), max(most)), exhaustive)

    def parameters(self) -> dict[str, Parameter]:
        """Return what can be narrowed, by name: the dimensions, then every setting.

        Raises:
            UserError: Two branches of one name ask for a setting with different options.
        """
        found = {
            dimension: Parameter(dimension, tuple(self.space.combination_space.options(dimension)))
            for dimension in DIMENSIONS
        }
        for part in self._every_part():
            for parameter in part.parameters:
                first = found.setdefault(parameter.name, parameter)
                check_same_domain(parameter.name, first.domain, parameter.domain)
        return found

    def _parts(self, combination: Combination) -> tuple[SettingsSpace, ...]:
        return (
            self.encodings[combination.encoding].settings,
            self.families[combination.architecture],
            self.prunings[combination.pruning][combination.architecture],
            self.training[combination.encoding, combination.architecture],
        )

    def _every_part(self) -> Iterator[SettingsSpace]:
        yield from (facts.settings for facts in self.encodings.values())
        yield from self.families.values()
        for by_family in self.prunings.values():
            yield from by_family.values()
        yield from self.training.values()


def summarise_space(space: Space) -> SpaceSummary:
    """Return what a space holds, explored setting by setting.

    Raises:
        UserError: A parameter's options depend on other answers.
    """
    combinations = space.combination_space.combinations
    encodings = {
        name: EncodingSummary(
            space.problem.encodings[name].layout,
            space.problem.encodings[name].target,
            explore_settings(partial(space.encoding_settings, name)),
            _each(
                combination.architecture
                for combination in combinations
                if combination.encoding == name
            ),
        )
        for name in _each(combination.encoding for combination in combinations)
    }
    pruned = {
        pruning: _each(
            combination.architecture
            for combination in combinations
            if combination.pruning is pruning
        )
        for pruning in Pruning
    }
    return SpaceSummary(
        space=space,
        encodings=encodings,
        families={
            name: explore_settings(partial(space.family_settings, name))
            for name in _each(combination.architecture for combination in combinations)
        },
        prunings={
            pruning: {
                family: explore_settings(partial(space.pruning_settings, family, pruning))
                for family in families
            }
            for pruning, families in pruned.items()
            if families
        },
        runtimes={
            name: _each(
                str(combination.precision)
                for combination in combinations
                if combination.runtime == name
            )
            for name in _each(combination.runtime for combination in combinations)
        },
        training=_training(
            space,
            {(combination.encoding, combination.architecture) for combination in combinations},
        ),
        exclusions=exclusions(space.problem),
    )


def summary_lines(tree: SpaceSummary) -> Iterator[str]:
    """Return the tree as indented lines, its size, and what was left out of it and why."""
    yield from _branches(tree)
    yield from _prunings(tree)
    yield "runtime and precision"
    for runtime, precisions in tree.runtimes.items():
        weighed = ", ".join(_weighed(tree, "precision", each) for each in precisions)
        yield f"{INDENT}{_weighed(tree, 'runtime', runtime)}: {weighed}"
    yield "training"
    yield from _settings(max(tree.training.values(), key=lambda part: part.discrete_count), INDENT)
    space_size = tree.space_size
    fewest, most = space_size.real_dimensions
    real_dimensions = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    yield "size"
    yield f"{INDENT}{space_size.combinations:,} combinations of {', '.join(DIMENSIONS)}"
    yield (
        f"{INDENT}{'' if space_size.exhaustive else 'more than '}{space_size.discrete_count:,} candidates "
        f"x {real_dimensions} real dimensions"
    )
    if tree.exclusions:
        yield "left out on this machine"
    for *what, reason in tree.exclusions:
        yield f"{INDENT}{', '.join(filter(None, what))}: {reason}"


def _training(
    space: Space, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], SettingsSpace]:
    """Return what is asked of training, by encoding and family; each kind is looked at once."""
    kinds = {space.training_kind(*pair): pair for pair in pairs}
    found = {
        kind: explore_settings(partial(_trained, space, *pair)) for kind, pair in kinds.items()
    }
    return {pair: found[space.training_kind(*pair)] for pair in pairs}


def _trained(space: Space, encoding: str, family: str, choose: Choose) -> Training:
    return space.training_settings(choose, encoding, family)


def _branches(tree: SpaceSummary) -> Iterator[str]:
    """Return the encodings with their families; a family's settings stand where it first does."""
    shown: set[str] = set()
    yield "encoding and architecture"
    for name, facts in tree.encodings.items():
        kind = f"{facts.layout}, {facts.target}"
        yield f"{INDENT}{_weighed(tree, 'encoding', name)}: {kind}"
        yield from _settings(facts.settings, 2 * INDENT)
        for family in facts.families:
            again = " (settings as above)" if family in shown else ""
            yield f"{2 * INDENT}{_weighed(tree, 'architecture', family)}{again}"
            if family not in shown:
                yield from _settings(tree.families[family], 3 * INDENT)
            shown.add(family)


def _prunings(tree: SpaceSummary) -> Iterator[str]:
    """Return the prunings; settings that all families share are told once."""
    yield "pruning"
    for pruning, by_family in tree.prunings.items():
        but = [family for family in tree.families if family not in by_family]
        all_but = f": all families but {', '.join(but)}" if but else ""
        yield f"{INDENT}{_weighed(tree, 'pruning', pruning)}{all_but}"
        domains: dict[tuple[str, Domain], list[str]] = {}
        for family, part in by_family.items():
            for parameter in part.parameters:
                own = parameter.name.removeprefix(family)
                domains.setdefault((own, parameter.domain), []).append(family)
        for (own, domain), families in domains.items():
            shared = len(families) == len(by_family)
            for family in [FAMILY_PLACEHOLDER] if shared and len(families) > 1 else families:
                yield f"{2 * INDENT}{family}{own}: {describe_domain(domain)}"


def _settings(part: SettingsSpace, indent: str) -> Iterator[str]:
    for parameter in part.parameters:
        conditions = " and ".join(
            f"{name} is {' or '.join(map(str, answers))}"
            for name, answers in parameter.conditions.items()
        )
        where = f", where {conditions}" if conditions else ""
        yield f"{indent}{parameter.name}: {describe_domain(parameter.domain)}{where}"


def _weighed(tree: SpaceSummary, dimension: str, option: str) -> str:
    weight = tree.space.restrictions.weight(dimension, option)
    return option if weight == 1.0 else f"{option} (weight {weight:g})"


def _each(names: Iterable[str]) -> tuple[str, ...]:
    """Return every name once, in the order in which they come."""
    return tuple(dict.fromkeys(names))
