"""Contract checks of a problem whose reference is stochastic and predicted by samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import Batch, Field, FlatEncoding, Pairs, Problem, Samples, Target
from problems.baselines.fitting import fit_standard_baseline
from problems.baselines.standard import standard_baselines
from problems.contract import CHECKS, Evidence
from problems.contract.evidence import MemorisedSampler
from problems.data.dataset import generate

INPUTS = (Field("stretch", unit="1", valid=(0.0, 10.0)),)
OUTPUTS = (Field("east", unit="m"), Field("north", unit="m"))


@dataclass(frozen=True)
class Scatter:
    """Points about the origin, twice as far out to the east at twice the stretch."""

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {"stretch": rng.uniform(1.0, 2.0, n)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        east, north = rng.standard_normal((2, len(inputs["stretch"])))
        return {"east": inputs["stretch"] * east, "north": north}


def wasserstein(predicted: Batch, reference: Batch, _: Batch) -> Mapping[str, float]:
    """Mean over fields of the distance between equally many sorted samples."""
    gaps = [np.sort(predicted[f.name]) - np.sort(reference[f.name]) for f in OUTPUTS]
    return {"error": float(np.mean(np.abs(gaps)))}


@dataclass(frozen=True, eq=False)
class Conditional(FlatEncoding):
    target = Target.DISTRIBUTION


@dataclass(frozen=True, eq=False)
class Unconditional(Conditional):
    """One condition for all samples."""

    def _aligned_inputs(self, inputs: Batch) -> np.ndarray:
        return np.ones((len(inputs["stretch"]), 1))


@dataclass(frozen=True, eq=False)
class Radial(Conditional):
    """The distance from the origin; a direction is drawn in decoding.

    Args:
        factor: What decoding gets wrong, unless it is 1.
    """

    factor: float = 1.0

    def measure(self, train: Any) -> Batch:  # noqa: ARG002 - nothing to measure
        return {}

    def pairs(self, split: Any) -> Pairs:
        distance = np.hypot(split.outputs["east"], split.outputs["north"])
        ones = np.ones((len(distance), 1), dtype=np.float32)
        return Pairs(ones, distance[:, None].astype(np.float32))

    def apply(self, network: Any, inputs: Batch, rng: np.random.Generator) -> Batch:
        ones = np.ones((len(inputs["stretch"]), 1), dtype=np.float32)
        distance = self.factor * network(ones)[:, 0]
        angle = rng.uniform(0.0, 2.0 * np.pi, len(distance))
        return {"east": distance * np.cos(angle), "north": distance * np.sin(angle)}


@dataclass(frozen=True, eq=False)
class Crowded(Unconditional):
    """Decodes a sample by those beside it."""

    def apply(self, network: Any, inputs: Batch, rng: np.random.Generator) -> Batch:
        outputs = FlatEncoding.apply(self, network, inputs, rng)
        return {name: array + 1e-4 * len(array) for name, array in outputs.items()}


GOOD = Problem(
    simulation=Scatter(),
    encodings={
        "conditional": Conditional(INPUTS, OUTPUTS),
        "unconditional": Unconditional(INPUTS, OUTPUTS),
        "radial": Radial(INPUTS, OUTPUTS),
    },
    score=wasserstein,
    samples=Samples(32, 8, 8, 0),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_distribution_passes_every_check(check: str, tmp_path: Path) -> None:
    assert CHECKS[check].violations(Evidence(GOOD, tmp_path)) == []


def blind(*_: Batch) -> Mapping[str, float]:
    return {"error": 0.0}


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"score": blind}, "reference_scores_zero", "predictions that are all alike"),
        (
            {"encodings": {"radial": Radial(INPUTS, OUTPUTS, factor=2.0)}},
            "decoding_inverts_encoding",
            "don't encode to these targets",
        ),
        (
            {"encodings": {"crowded": Crowded(INPUTS, OUTPUTS)}},
            "surrogate_samples_are_independent",
            "depends on the samples beside it",
        ),
    ],
)
def test_a_violation_is_reported(
    change: dict[str, Any], check: str, words: str, tmp_path: Path
) -> None:
    violations = CHECKS[check].violations(Evidence(replace(GOOD, **change), tmp_path))
    assert any(words in message for message in violations)


def test_equal_inputs_get_their_targets_one_after_the_other() -> None:
    known = np.array([[0.0], [1.0], [0.0], [1.0], [0.0]], dtype=np.float32)
    targets = np.arange(5, dtype=np.float32)[:, None]
    sampler = MemorisedSampler(Pairs(known, targets))
    np.testing.assert_array_equal(sampler(known), targets)
    np.testing.assert_array_equal(sampler(known[:3, ::-1])[:, 0], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(sampler(np.array([[0.1], [0.9]], np.float32))[:, 0], [4.0, 3.0])


@pytest.mark.parametrize("encoding", ["conditional", "unconditional"])
def test_densities_are_the_baselines_of_a_distribution(encoding: str, tmp_path: Path) -> None:
    problem = replace(
        GOOD, encodings={encoding: GOOD.encodings[encoding]}, samples=Samples(400, 8, 200, 0)
    )
    data = generate(problem, tmp_path)
    errors: dict[str, float] = {}
    for name in standard_baselines(problem):
        run = fit_standard_baseline(problem, data.train, name).run
        drawn = run(data.test.inputs, np.random.default_rng(0))
        errors[name] = wasserstein(drawn, data.test.outputs, {})["error"]
    mean = errors.pop("mean")
    assert set(errors) == {"kernel density", "Gaussian mixture"}
    assert max(errors.values()) < 0.5 * mean
