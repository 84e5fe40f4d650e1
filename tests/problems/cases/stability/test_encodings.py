import numpy as np

from problems import Split
from problems.cases.stability.encodings import MAX_MILESTONES, InitialEncoding
from problems.cases.stability.simulation import Stability

HORIZON = 1e3
RNG = np.random.default_rng(0)


def test_of_the_milestones_the_horizon_counts() -> None:
    simulation = Stability(HORIZON)
    inputs = simulation.draw(40, np.random.default_rng(2))
    train = Split(inputs, simulation.run(inputs, RNG))
    encoding = InitialEncoding(HORIZON, milestones=MAX_MILESTONES).fit(train)
    classes = encoding.pairs(train).targets
    assert classes.shape == (40, MAX_MILESTONES + 1)
    np.testing.assert_array_equal(classes.sum(axis=1), 1.0)
    np.testing.assert_array_equal(classes[:, -1], train.outputs["stable"])
    np.testing.assert_array_equal(classes[:, :2].sum(axis=1), train.outputs["survival"] < 10.0)
    event = InitialEncoding(HORIZON).fit(train).pairs(train).targets
    np.testing.assert_array_equal(event, train.outputs["stable"][:, None])
    said = np.linspace([0.4, 0.3, 0.2, 0.1, 0.0], [0.1, 0.1, 0.1, 0.1, 0.6], 40, dtype=np.float32)
    told = encoding.apply(lambda _: said, inputs, RNG)
    np.testing.assert_allclose(told["stable"], said[:, -1])
