import numpy as np

from problems import Split
from problems.stability.encodings import MILESTONES, Initial
from problems.stability.simulation import Stability

HORIZON = 1e3
RNG = np.random.default_rng(0)


def test_of_the_milestones_the_horizon_counts() -> None:
    simulation = Stability(HORIZON)
    inputs = simulation.draw(40, np.random.default_rng(2))
    train = Split(inputs, simulation.run(inputs, RNG))
    encoding = Initial(HORIZON, milestones=MILESTONES).fit(train)
    survived = encoding.pairs(train).targets
    assert survived.shape == (40, MILESTONES)
    assert (np.diff(survived, axis=1) <= 0.0).all(), "what survives survived before"
    np.testing.assert_array_equal(survived[:, -1], train.outputs["stable"])
    np.testing.assert_array_equal(survived[:, 1], train.outputs["survival"] >= 10.0)
    said = np.linspace([0.9, 0.8, 0.7, 0.0], [1.0, 1.0, 1.0, 0.6], 40, dtype=np.float32)
    told = encoding.apply(lambda _: said, inputs, RNG)
    np.testing.assert_allclose(told["stable"], said[:, -1])
