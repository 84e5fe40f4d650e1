"""Every registered problem keeps every promise, and each promise can be broken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, Split
from problems.contract import LAWS
from problems.core import samples_in
from problems.planets.encodings import Pattern


@pytest.mark.parametrize("law", LAWS)
def test_law(law: str, problem: Problem, data: Dataset) -> None:
    assert list(LAWS[law].broken(problem, data)) == []


class Wayward:
    """The problem's simulation with one method replaced."""

    def __init__(self, simulation: Any, **methods: Callable[..., Batch]) -> None:
        self._simulation = simulation
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_simulation"], name)


def with_simulation(problem: Problem, **methods: Callable[..., Batch]) -> Problem:
    return replace(problem, simulation=Wayward(problem.simulation, **methods))


def with_train(data: Dataset, **fields: Mapping[str, np.ndarray]) -> Dataset:
    return replace(data, train=replace(data.train, **fields))


@dataclass(frozen=True, eq=False)
class Forgetful(Pattern):
    """An encoding that decodes to something else than it encoded."""

    def apply(self, network: Any, inputs: Batch, rng: np.random.Generator) -> Batch:
        outputs = dict(super().apply(network, inputs, rng))
        outputs["elements"] = outputs["elements"] + 0.1 * samples_in(inputs)
        return outputs


@dataclass(frozen=True, eq=False)
class Overflowing(Pattern):
    """An encoding whose pairs are not numbers."""

    def pairs(self, split: Split) -> Any:
        pairs = super().pairs(split)
        return replace(pairs, targets=pairs.targets.astype(float) * np.inf)


def forget(problem: Problem, kind: type[Pattern]) -> Problem:
    return replace(
        problem, encodings={"pattern": kind(times_yr=problem.encodings["pattern"].times_yr)}
    )


def shifted_scorer(problem: Problem) -> Problem:
    return replace(problem, score=lambda *_: {problem.objective.name: 1.0})


BREACHES: dict[str, list[Callable[[Problem, Dataset], tuple[Problem, Dataset]]]] = {
    "fields_as_declared": [
        lambda p, d: (p, with_train(d, inputs=dict(list(d.train.inputs.items())[1:]))),
        lambda p, d: (p, with_train(d, outputs={k: v[:, :1] for k, v in d.train.outputs.items()})),
        lambda p, d: (
            p,
            with_train(d, outputs={k: v * np.nan for k, v in d.train.outputs.items()}),
        ),
    ],
    "same_seed_same_data": [
        lambda p, d: (
            with_simulation(p, draw=lambda n, _: p.simulation.draw(n, np.random.default_rng())),
            d,
        )
    ],
    "sample_alone_as_in_batch": [
        lambda p, d: (
            with_simulation(
                p,
                run=lambda inputs, rng: {
                    k: v + samples_in(inputs) for k, v in p.simulation.run(inputs, rng).items()
                },
            ),
            d,
        )
    ],
    "reference_scores_zero": [lambda p, d: (shifted_scorer(p), d)],
    "baselines_stand_in": [lambda p, d: (replace(p, baselines={"empty": lambda *_: {}}), d)],
    "splits_apart": [lambda p, d: (p, replace(d, test=d.train))],
    "shifted_lies_outside": [lambda p, d: (p, replace(d, shifted=d.train))],
    "pairs_well_formed": [lambda p, d: (forget(p, Overflowing), d)],
    "decoding_undoes_encoding": [lambda p, d: (forget(p, Forgetful), d)],
    "surrogate_alone_as_in_batch": [lambda p, d: (forget(p, Forgetful), d)],
    "travels_to_workers": [lambda p, d: (shifted_scorer(p), d)],
}


def test_every_law_has_a_breach() -> None:
    assert set(BREACHES) == set(LAWS)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_breach_is_found(law: str, problem: Problem, data: Dataset) -> None:
    for breach in BREACHES[law]:
        messages = list(LAWS[law].broken(*breach(problem, data)))
        assert messages
        assert all(message and "\n" not in message for message in messages)
