"""The laws of families that answer with samples of a distribution."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from problems import Layout, Pairs, Target
from problems.contract import CyclicChoice, RandomChoice
from search.trial.training import Trainer
from spaces.architectures import Architecture, Shape
from spaces.architectures.spline_flow import SplineFlow
from spaces.candidate import Training
from spaces.deployment_check import example_inputs, example_shapes
from spaces.registered import ARCHITECTURES

FAMILIES = [
    pytest.param(ARCHITECTURES[name], id=name)
    for name in ARCHITECTURES
    if (Layout.FLAT, Target.DISTRIBUTION) in ARCHITECTURES[name].serves
]
LAW = pytest.mark.parametrize("family", FAMILIES)

TOLERANCE = 0.15
"""In units of the spread of a target over all conditions, which is 1; 2,000 samples cost 0.04."""

PAIRS, SAMPLES, MOST_EPOCHS = 8192, 2048, 60

TRAINING = Training(learning_rate=3e-3, batch_size=256, weight_decay=0.0)

PLANE = Shape(Layout.FLAT, Target.DISTRIBUTION, (1,), 2)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small train faster on one thread, the more so where others are at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Ellipse(NamedTuple):
    """A normal distribution in the plane, oblique; its mean goes with the condition."""

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def at(cls, condition: np.ndarray) -> "Ellipse":
        """Return the distribution at conditions (b, 1)."""
        return cls(condition * [0.7, -0.7], np.array([[0.7, 0.0], [0.5, 0.5]]))

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Return a sample (b, 2) at each condition."""
        return self.mean + rng.standard_normal(self.mean.shape) @ self.root.T


def far(sampled: np.ndarray, condition: float) -> float:
    """Return the farthest of means, covariances and the axes' Wasserstein-1 at a condition."""
    ellipse = Ellipse.at(np.full((len(sampled), 1), condition))
    true = ellipse.drawn(np.random.default_rng(2))
    covariance = ellipse.root @ ellipse.root.T
    gaps = [
        *(sampled.mean(axis=0) - ellipse.mean[0]),
        *(np.cov(sampled.T) - covariance).ravel(),
        *(wasserstein_distance(sampled[:, i], true[:, i]) for i in range(2)),
    ]
    return float(np.max(np.abs(gaps)))


@LAW
def test_samples_come_near_the_distribution(family: type[Architecture]) -> None:
    settings = {**family.settings(CyclicChoice(0)), "depth": 2}
    torch.manual_seed(0)
    learner = family.learner(family.untrained(PLANE, settings), PLANE, settings)
    rng = np.random.default_rng(1)
    conditions = rng.standard_normal((PAIRS, 1))
    targets = Ellipse.at(conditions).drawn(rng)
    pairs = Pairs(conditions.astype(np.float32), targets.astype(np.float32))
    noise = example_inputs(
        Shape(Layout.FLAT, Target.VALUE, (family.noise(PLANE, settings),), 2), SAMPLES
    )
    nearest = np.inf
    # As in a trial, the best epoch counts; the first that is good enough ends the test.
    for _ in Trainer(learner, pairs, TRAINING, MOST_EPOCHS, 0):
        gaps: list[float] = []
        for condition in (-1.0, 1.0):
            asked = torch.cat([torch.full((SAMPLES, 1), condition), noise], dim=1)
            with torch.inference_mode():
                gaps.append(far(learner.network(asked).numpy(), condition))
        nearest = min(nearest, max(gaps))
        if nearest <= TOLERANCE:
            break
    assert nearest <= TOLERANCE


@LAW
@pytest.mark.parametrize("seed", range(3))
def test_noise_makes_the_sample(family: type[Architecture], seed: int) -> None:
    for shape in example_shapes(family):
        settings = family.settings(RandomChoice(np.random.default_rng(seed)))
        torch.manual_seed(seed)
        network = family.untrained(shape, settings).eval()
        asked = example_inputs(shape, 64, family.noise(shape, settings))
        asked[:, : shape.channels] = asked[:1, : shape.channels]
        with torch.inference_mode():
            samples = network(asked)
            torch.testing.assert_close(network(asked), samples, rtol=0, atol=0)
        assert len(samples.unique(dim=0)) == 64


@pytest.mark.parametrize("outputs", [1, 2, 7])
def test_a_flow_is_undone_and_its_volume_is_told(outputs: int) -> None:
    shape = Shape(Layout.FLAT, Target.DISTRIBUTION, (3,), outputs)
    family = ARCHITECTURES["spline_flow"]
    torch.manual_seed(0)
    flow = family.build(shape, family.settings(CyclicChoice(1))).eval()
    assert isinstance(flow, SplineFlow)
    conditions, noise = torch.randn(5, 3), 2.0 * torch.randn(5, outputs)
    samples = flow(torch.cat([conditions, noise], dim=1)).detach()
    for i in range(5):
        here = conditions[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda z, c=here: flow(torch.cat([c, z[None]], dim=1))[0], noise[i]
        )
        density = 0.5 * noise[i].square().sum() + torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(
            flow.negative_log_likelihood(here, samples[i : i + 1])[0], density, rtol=1e-3, atol=1e-3
        )
