"""Summary of a space, as data and as text: parameters, sizes and exclusions."""

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
    """An encoding's layout, target and settings, and the families that serve it."""

    layout: Layout
    target: Target
    settings: SettingsSpace
    families: tuple[str, ...]


class SpaceSize(NamedTuple):
    """The size of a space.

    Args:
        combinations: Number of combinations.
        discrete_count: Number of candidates that differ in anything but real parameters.
        real_dimensions: Smallest and largest number of real parameters of a candidate.
        exhaustive: Whether all candidates were counted; if not, there are more.
    """

    combinations: int
    discrete_count: int
    real_dimensions: tuple[int, int]
    exhaustive: bool


@dataclass(frozen=True)
class SpaceSummary:
    """The content of a space.

    Args:
        space: The space.
        encodings: The encodings that at least one family serves, by name.
        families: Settings of the families that serve an encoding, by name.
        prunings: Settings of prunings, by pruning and family.
        runtimes: Precisions, by runtime.
        training: Settings of the training, by encoding and family.
        exclusions: What can't be deployed on this machine.
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
        """The size: the sum, over combinations, of the products of their numbers of settings."""
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
        """Return the parameters that can be restricted, by name: dimensions, then settings.

        Raises:
            UserError: Two parameters of one name have different options.
        """
        parameters = {
            dimension: Parameter(dimension, tuple(self.space.combination_space.options(dimension)))
            for dimension in DIMENSIONS
        }
        for part in self._all_parts():
            for parameter in part.parameters:
                first = parameters.setdefault(parameter.name, parameter)
                check_same_domain(parameter.name, first.domain, parameter.domain)
        return parameters

    def _parts(self, combination: Combination) -> tuple[SettingsSpace, ...]:
        return (
            self.encodings[combination.encoding].settings,
            self.families[combination.architecture],
            self.prunings[combination.pruning][combination.architecture],
            self.training[combination.encoding, combination.architecture],
        )

    def _all_parts(self) -> Iterator[SettingsSpace]:
        yield from (encoding.settings for encoding in self.encodings.values())
        yield from self.families.values()
        for by_family in self.prunings.values():
            yield from by_family.values()
        yield from self.training.values()


def summarise_space(space: Space) -> SpaceSummary:
    """Return the summary of a space.

    Raises:
        UserError: The options of a parameter depend on the values of others.
    """
    combinations = space.combination_space.combinations
    encodings = {
        name: EncodingSummary(
            space.problem.encodings[name].layout,
            space.problem.encodings[name].target,
            explore_settings(partial(space.encoding_settings, name)),
            _unique(
                combination.architecture
                for combination in combinations
                if combination.encoding == name
            ),
        )
        for name in _unique(combination.encoding for combination in combinations)
    }
    families_by_pruning = {
        pruning: _unique(
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
            for name in _unique(combination.architecture for combination in combinations)
        },
        prunings={
            pruning: {
                family: explore_settings(partial(space.pruning_settings, family, pruning))
                for family in families
            }
            for pruning, families in families_by_pruning.items()
            if families
        },
        runtimes={
            name: _unique(
                str(combination.precision)
                for combination in combinations
                if combination.runtime == name
            )
            for name in _unique(combination.runtime for combination in combinations)
        },
        training=_training(
            space,
            {(combination.encoding, combination.architecture) for combination in combinations},
        ),
        exclusions=exclusions(space.problem),
    )


def summary_lines(summary: SpaceSummary) -> Iterator[str]:
    """Yield the lines of a summary: parameters, size, and exclusions with their reasons."""
    yield from _encoding_lines(summary)
    yield from _pruning_lines(summary)
    yield "runtime and precision"
    for runtime, precisions in summary.runtimes.items():
        names = ", ".join(_with_weight(summary, "precision", name) for name in precisions)
        yield f"{INDENT}{_with_weight(summary, 'runtime', runtime)}: {names}"
    yield "training"
    trainings = sorted(summary.training.values(), key=lambda part: -part.discrete_count)
    yield from _unique(line for part in trainings for line in _setting_lines(part, INDENT))
    space_size = summary.space_size
    fewest, most = space_size.real_dimensions
    real_dimensions = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    yield "size"
    yield f"{INDENT}{space_size.combinations:,} combinations of {', '.join(DIMENSIONS)}"
    yield (
        f"{INDENT}{'' if space_size.exhaustive else 'more than '}{space_size.discrete_count:,} "
        f"candidates x {real_dimensions} real dimensions"
    )
    if summary.exclusions:
        yield "excluded on this machine"
    for *names, reason in summary.exclusions:
        yield f"{INDENT}{', '.join(filter(None, names))}: {reason}"


def _training(
    space: Space, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], SettingsSpace]:
    """Return the settings of the training, by encoding and family; each kind is explored once."""
    kinds = {space.training_kind(*pair): pair for pair in pairs}
    settings = {
        kind: explore_settings(partial(_choose_training, space, *pair))
        for kind, pair in kinds.items()
    }
    return {pair: settings[space.training_kind(*pair)] for pair in pairs}


def _choose_training(space: Space, encoding: str, family: str, choose: Choose) -> Training:
    return space.training_settings(choose, encoding, family)


def _encoding_lines(summary: SpaceSummary) -> Iterator[str]:
    """Yield the encodings with their families; a family's settings follow its first mention."""
    shown: set[str] = set()
    yield "encoding and architecture"
    for name, encoding in summary.encodings.items():
        kind = f"{encoding.layout}, {encoding.target}"
        yield f"{INDENT}{_with_weight(summary, 'encoding', name)}: {kind}"
        yield from _setting_lines(encoding.settings, 2 * INDENT)
        for family in encoding.families:
            note = " (settings as above)" if family in shown else ""
            yield f"{2 * INDENT}{_with_weight(summary, 'architecture', family)}{note}"
            if family not in shown:
                yield from _setting_lines(summary.families[family], 3 * INDENT)
            shown.add(family)


def _pruning_lines(summary: SpaceSummary) -> Iterator[str]:
    """Yield the prunings; settings that all families share occur once."""
    yield "pruning"
    for pruning, by_family in summary.prunings.items():
        missing = [family for family in summary.families if family not in by_family]
        exceptions = f": all families but {', '.join(missing)}" if missing else ""
        yield f"{INDENT}{_with_weight(summary, 'pruning', pruning)}{exceptions}"
        domains: dict[tuple[str, Domain], list[str]] = {}
        for family, part in by_family.items():
            for parameter in part.parameters:
                suffix = parameter.name.removeprefix(family)
                domains.setdefault((suffix, parameter.domain), []).append(family)
        for (suffix, domain), families in domains.items():
            shared = len(families) == len(by_family)
            for family in [FAMILY_PLACEHOLDER] if shared and len(families) > 1 else families:
                yield f"{2 * INDENT}{family}{suffix}: {describe_domain(domain)}"


def _setting_lines(part: SettingsSpace, indent: str) -> Iterator[str]:
    for parameter in part.parameters:
        conditions = " and ".join(
            f"{name} is {' or '.join(map(str, values))}"
            for name, values in parameter.conditions.items()
        )
        where = f", where {conditions}" if conditions else ""
        yield f"{indent}{parameter.name}: {describe_domain(parameter.domain)}{where}"


def _with_weight(summary: SpaceSummary, dimension: str, option: str) -> str:
    weight = summary.space.restrictions.weight(dimension, option)
    return option if weight == 1.0 else f"{option} (weight {weight:g})"


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts without duplicates, in their order."""
    return tuple(dict.fromkeys(texts))
