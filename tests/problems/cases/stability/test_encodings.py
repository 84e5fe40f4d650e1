import numpy as np
import pytest

from problems import Split
from problems.cases.stability.encodings import MILESTONES, InitialEncoding
from problems.cases.stability.simulation import Stability
from problems.cases.stability.time_distribution import milestone_times

HORIZON = 1e3
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("milestones", MILESTONES[1:])
def test_milestones_are_classes_of_which_the_last_one_is_survival(milestones: int) -> None:
    simulation = Stability(HORIZON)
    inputs = simulation.draw(40, np.random.default_rng(2))
    train = Split(inputs, simulation.run(inputs, RNG))
    encoding = InitialEncoding(HORIZON, milestones=milestones).fit(train)
    classes = encoding.pairs(train).targets
    assert classes.shape == (40, milestones + 1)
    np.testing.assert_array_equal(classes.sum(axis=1), 1.0)
    np.testing.assert_array_equal(classes[:, -1], train.outputs["stable"])
    second = milestone_times(milestones, HORIZON)[1]
    np.testing.assert_array_equal(classes[:, :2].sum(axis=1), train.outputs["survival"] < second)
    event = InitialEncoding(HORIZON).fit(train).pairs(train).targets
    np.testing.assert_array_equal(event, train.outputs["stable"][:, None])
    said = RNG.dirichlet(np.ones(milestones + 1), 40)
    told = encoding.apply(lambda _: said, inputs, RNG)
    np.testing.assert_allclose(told["stable"], said[:, -1])
    assert (np.diff(told["contact"], axis=1) >= 0.0).all()
