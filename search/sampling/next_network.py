"""Suggests the next network after the initial design: by acquisition or by TPE.

Where neither suggests a new network that is worth training, networks are sampled with ever larger
standard deviations before one is trained that was trained already.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from search.run.spec import Spec
from search.sampling.acquisition import STD_FACTOR, best_configurations, select_trainable
from search.sampling.choices import (
    IndependentSampler,
    MutationChooser,
    PartialFixedChooser,
    RandomChooser,
)
from search.sampling.configuration import Configuration
from search.sampling.history import History, Observations
from spaces.space import Space

PROPOSAL_COUNT, MUTATION_COUNT = 128, 64
"""Random proposals for each suggestion, and proposals near the front or near the best ones."""

REFINEMENTS, PARENT_COUNT = 2, 8
"""How often the best proposals are refined, and how many of them."""

MUTATED_SHARES = (0.1, 0.3)
"""Expected shares of the parameters that are changed in a proposal near the front."""

LARGER_STD_FACTORS = (1.0, 3.0, 10.0)
"""Factors of the posterior's standard deviations, tried in turn where nothing else is left."""


class NetworkSuggestion(NamedTuple):
    """A network to train.

    Args:
        parameters: All its parameters, including those of its deployment.
        resumes: The trial whose stopped training is resumed, if any.
        source: What suggested it: the acquisition or TPE.
    """

    parameters: Mapping[str, object]
    resumes: int | None = None
    source: str = "tpe"


class NetworkSuggester(NamedTuple):
    """Suggests the network to train next.

    Args:
        space: The search space.
        spec: The specification of the run.
        observations: The trials that the effects model learns from.
        history: The finished trials.
    """

    space: Space
    spec: Spec
    observations: Observations
    history: History

    def suggest_by_acquisition(
        self, rng: np.random.Generator, std_factor: float = STD_FACTOR
    ) -> NetworkSuggestion | None:
        """Return the proposal or stopped training with the largest gain in hypervolume.

        Proposals are random, or networks on the front of which some parameters are changed; the
        best of them are changed again. Returns None where no gain is positive.

        Args:
            rng: Generator of the proposals and of the model's sample.
            std_factor: Factor by which the posterior's standard deviations are multiplied.
        """
        if not self.history.points:  # no proposal would be chosen
            return None
        proposals = [self._proposal(RandomChooser(rng)) for _ in range(PROPOSAL_COUNT)]
        proposals += self._mutations(self._front_configurations(), rng)
        known = self.observations, self.history
        ranked = best_configurations(proposals, *known, rng, std_factor)
        for _ in range(REFINEMENTS if ranked else 0):
            parents = ranked[:PARENT_COUNT]
            proposals = [*parents, *self._mutations(parents, rng)]
            ranked = best_configurations(proposals, *known, rng, std_factor) or ranked
        if not ranked:
            return None
        stopped = self.observations.resumable_trainings().get(ranked[0].network_key)
        return NetworkSuggestion(_values(ranked[0]), stopped and stopped.number, "acquisition")

    def _proposal(self, chooser: RandomChooser) -> Configuration:
        self.space.choose_candidate(self.spec.size, chooser, self.spec.seed)
        combination = self.space.combination_space.combination(_values(chooser))
        return Configuration(chooser.parameter_values, combination)

    def _front_configurations(self) -> list[Configuration]:
        """Return the configurations of the networks on the front."""
        front = self.history.front_networks
        return [
            configuration
            for configuration, record in self.observations.finished
            if record.number in front and configuration.parameter_values
        ]

    def _mutations(
        self, parents: Sequence[Configuration], rng: np.random.Generator
    ) -> list[Configuration]:
        """Return copies of parents of which some parameters are changed; none without parents."""
        mutations: list[Configuration] = []
        for _ in range(MUTATION_COUNT if parents else 0):
            parent = parents[int(rng.integers(len(parents)))].parameter_values
            share = MUTATED_SHARES[int(rng.integers(len(MUTATED_SHARES)))]
            kept = {name: value for name, value in parent.items() if rng.random() >= share}
            mutations.append(self._proposal(MutationChooser(rng, kept=kept)))
        return mutations

    def suggest_by_tpe(
        self, samplers: Iterable[IndependentSampler], rng: np.random.Generator
    ) -> NetworkSuggestion:
        """Return the first suggestion of TPE that is worth training.

        Where there is none, a proposal sampled with a larger standard deviation is returned or,
        where that fails too, the last suggestion of TPE.

        Args:
            samplers: TPE samplers, one for each attempt.
            rng: Generator of the proposals.
        """
        combination_space = self.space.combination_space
        suggestion = NetworkSuggestion({})
        for sampler in samplers:
            chooser = PartialFixedChooser({}, sampler)
            self.space.choose_candidate(self.spec.size, chooser, self.spec.seed)
            suggestion = NetworkSuggestion(dict(chooser.parameters))
            combination = combination_space.combination(chooser.parameters)
            network = Configuration(chooser.parameter_values, combination)
            runtimes = combination_space.options("runtime")
            if select_trainable([network], self.observations, self.history, runtimes):
                return suggestion
        exploratory = (self.suggest_by_acquisition(rng, factor) for factor in LARGER_STD_FACTORS)
        return next(filter(None, exploratory), suggestion)


def _values(choices: RandomChooser | Configuration) -> dict[str, object]:
    return {name: parameter.value for name, parameter in choices.parameter_values.items()}
