"""A cheap run as a further input: what the network predicts, and what is compared with it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from problems import Batch, Dataset, Field, FlatEncoding, NormalisedError, Problem, Samples
from problems.baselines.standard import standard_baselines
from problems.contract import CHECKS
from problems.contract.evidence import Evidence
from problems.data.dataset import generate
from problems.encodings.cheap_run import CheapRunEncoding

INPUTS = (Field("x", unit="m", valid=(0.0, 4.0)),)
OUTPUTS = (Field("y", unit="m", valid=(0.0, 10.0)),)


@dataclass(frozen=True)
class Waves:
    """A wave with ripples, which the cheap run lacks."""

    ripples: float = 0.2

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {"x": rng.uniform(0.0, 4.0, n)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        x = inputs["x"]
        return {"y": 3.0 + 2.0 * np.sin(9.0 * x) + self.ripples * x}


PROBLEM = Problem(
    simulation=Waves(),
    encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
    score=NormalisedError(OUTPUTS),
    cheap=Waves(ripples=0.0).run,
    samples=Samples(40, 20, 20, 0),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate(PROBLEM, tmp_path_factory.mktemp("cache"))


def test_ready_made_encodings_get_a_companion_once() -> None:
    assert list(PROBLEM.encodings) == ["flat", "flat-cheap"]
    again = replace(PROBLEM, summary="the same")
    assert list(again.encodings) == ["flat", "flat-cheap"]
    assert list(again.baselines) == ["cheap run"]


@pytest.mark.parametrize("check", CHECKS)
def test_the_contract_holds(check: str, tmp_path: Path) -> None:
    assert CHECKS[check].violations(Evidence(PROBLEM, tmp_path)) == []


@pytest.mark.parametrize("correction", [True, False])
def test_a_perfect_network_gives_the_reference(*, correction: bool, data: Dataset) -> None:
    unfitted = PROBLEM.encodings["flat-cheap"].configured(
        {"correction": correction, "normalisation": "standard"}
    )
    encoding = unfitted.fit(data.train)
    pairs = encoding.pairs(data.test)
    assert pairs.inputs.shape == (20, 2), "the input and the cheap output"
    decoded = encoding.apply(lambda _: pairs.targets, data.test.inputs, np.random.default_rng(0))
    np.testing.assert_allclose(decoded["y"], data.test.outputs["y"], rtol=1e-5)


def test_cheap_runs_are_repeated_only_where_time_is_measured(data: Dataset) -> None:
    calls: list[int] = []

    def counted(inputs: Batch, rng: np.random.Generator) -> Batch:
        calls.append(len(inputs["x"]))
        return Waves(ripples=0.0).run(inputs, rng)

    encoding = CheapRunEncoding(FlatEncoding(INPUTS, OUTPUTS), counted).fit(data.train)
    for _ in range(2):
        encoding.pairs(data.train)
        encoding.remembering().apply(lambda x: x[:, :1], data.test.inputs, np.random.default_rng())
    assert calls == [40, 20]
    for _ in range(2):
        encoding.apply(lambda x: x[:, :1], data.test.inputs, np.random.default_rng())
    assert calls == [40, 20, 20, 20]


def test_models_of_the_correction_are_baselines() -> None:
    named = standard_baselines(PROBLEM)
    assert named["Gaussian process"].encoding == "flat"
    assert named["Gaussian process of the cheap run"].encoding == "flat-cheap"
    assert named["linear correction of the cheap run"].encoding == "flat-cheap"
