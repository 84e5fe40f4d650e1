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
from search.sampling.configuration import Known
from search.sampling.history import Found, Trials
from spaces.space import Space

PROPOSALS = 128
"""Drawn at random, for each network that is asked for."""

BOLDER = (1.0, 3.0, 10.0)
"""Standard deviations that draws spread over, one after the other, where nothing else is left."""


class Wanted(NamedTuple):
    """A network to train.

    Args:
        parameters: All of them, with those of its deployment.
        goes_on_with: The trial that was stopped at a rung in training it, if one was.
    """

    parameters: Mapping[str, object]
    resumes: int | None = None


class Proposing(NamedTuple):
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
    found: Found

    def promising(self, rng: np.random.Generator, boldness: float = BOLDNESS) -> Wanted | None:
        """Return the network that promises most of many, or of those stopped; None if none does.

        Args:
            rng: Draws proposals, and what they promise.
            boldness: Standard deviations that a draw spreads over.
        """
        proposals: list[Known] = []
        for _ in range(PROPOSALS):
            drawn = Proposal(rng)
            self.space.compose(self.spec.size, drawn, self.spec.seed)
            values = {name: answer.value for name, answer in drawn.answers.items()}
            proposals.append(Known(drawn.answers, self.space.combination_space.combination(values)))
        chosen = next_network(proposals, self.trials, self.found, rng, boldness)
        if chosen is None:
            return None
        stopped = self.trials.stopped().get(chosen.network_key)
        values = {name: answer.value for name, answer in chosen.answers.items()}
        return Wanted(values, stopped and stopped.number)

    def asked_of_tpe(self, turns: Iterable[Draw], rng: np.random.Generator) -> Wanted:
        """Return what TPE asks for; where that isn't worth training, a bold proposal if there is.

        Args:
            turns: What draws by TPE, turn by turn.
            rng: Draws proposals.
        """
        combination_space = self.space.combination_space
        asked = Wanted({})
        for draw in turns:
            choice = SettledChoice({}, draw)
            self.space.compose(self.spec.size, choice, self.spec.seed)
            asked = Wanted(dict(choice.values))
            network = Known(choice.answers, combination_space.combination(choice.values))
            if worth_training(
                [network], self.trials, self.found, combination_space.options("runtime")
            ):
                return asked
        bold = (self.promising(rng, each) for each in BOLDER)
        return next(filter(None, bold), asked)
