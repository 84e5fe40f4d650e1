"""The next network of a search, once its opening is dealt: the most promising of many, or TPE's.

Where neither has anything new that is worth its training, what promises least is tried: proposals
are drawn ever more boldly, before what is known is taught again.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from search.run.spec import Spec
from search.sampling.acquisition import BOLDNESS, next_network, worth_training
from search.sampling.choices import Draw, Proposal, SettledChoice
from search.sampling.configuration import Configuration
from search.sampling.history import History, Trials
from spaces.space import Space

PROPOSALS = 128
"""Drawn at random, for each network that is asked for."""

LARGER_STD_FACTORS = (1.0, 3.0, 10.0)
"""Standard deviations that draws spread over, one after the other, where nothing else is left."""


class NetworkSuggestion(NamedTuple):
    """A network to train.

    Args:
        parameters: All of them, with those of its deployment.
        goes_on_with: The trial that was stopped at a rung in training it, if one was.
    """

    parameters: Mapping[str, object]
    resumes: int | None = None


class NetworkSuggester(NamedTuple):
    """Chooses what is trained next by what is known.

    Args:
        space: Where it is looked for.
        spec: What is asked for.
        trials: Those of the run.
        found: What those that ended found.
    """

    space: Space
    spec: Spec
    trials: Trials
    history: History

    def suggest_by_acquisition(
        self, rng: np.random.Generator, std_factor: float = BOLDNESS
    ) -> NetworkSuggestion | None:
        """Return the network that promises most of many, or of those stopped; None if none does.

        Args:
            rng: Draws proposals, and what they promise.
            boldness: Standard deviations that a draw spreads over.
        """
        proposals: list[Configuration] = []
        for _ in range(PROPOSALS):
            drawn = Proposal(rng)
            self.space.choose_candidate(self.spec.size, drawn, self.spec.seed)
            values = {name: answer.value for name, answer in drawn.answers.items()}
            proposals.append(
                Configuration(drawn.answers, self.space.combination_space.combination(values))
            )
        chosen = next_network(proposals, self.trials, self.history, rng, std_factor)
        if chosen is None:
            return None
        stopped = self.trials.stopped().get(chosen.network_key)
        values = {name: answer.value for name, answer in chosen.answers.items()}
        return NetworkSuggestion(values, stopped and stopped.number)

    def asked_of_tpe(self, turns: Iterable[Draw], rng: np.random.Generator) -> NetworkSuggestion:
        """Return what TPE asks for; where that isn't worth training, a bold proposal if there is.

        Args:
            turns: What draws by TPE, turn by turn.
            rng: Draws proposals.
        """
        combination_space = self.space.combination_space
        asked = NetworkSuggestion({})
        for draw in turns:
            choice = SettledChoice({}, draw)
            self.space.choose_candidate(self.spec.size, choice, self.spec.seed)
            asked = NetworkSuggestion(dict(choice.values))
            network = Configuration(choice.answers, combination_space.combination(choice.values))
            if worth_training(
                [network], self.trials, self.history, combination_space.options("runtime")
            ):
                return asked
        bold = (self.suggest_by_acquisition(rng, each) for each in LARGER_STD_FACTORS)
        return next(filter(None, bold), asked)
