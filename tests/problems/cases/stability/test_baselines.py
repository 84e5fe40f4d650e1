import sys

import numpy as np
import pytest

from problems import Batch, Size, Split, UserError, load_problem
from problems.cases.stability import baselines
from problems.cases.stability.encodings import EarlyEncoding, SummaryEncoding
from problems.cases.stability.simulation import Stability
from problems.interfaces.types import n_samples

HORIZON = 1e3
LENGTH = 50
EVERY = {
    "Hill spacing": baselines.HillSpacing(HORIZON),
    "AMD": baselines.AMD(HORIZON),
    "MEGNO": baselines.MEGNO(HORIZON, LENGTH),
    "boosted trees": baselines.BoostedTrees(HORIZON, LENGTH),
}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def train() -> Split:
    simulation = Stability(HORIZON)
    inputs = simulation.draw(80, np.random.default_rng(2))
    return Split(inputs, simulation.run(inputs, RNG))


def ladder() -> Batch:
    """Five systems, from one that is about to collide to one of planets far apart."""
    gaps = np.array([1.06, 1.12, 1.2, 1.4, 1.7])
    elements = np.zeros((5, 3, 6))
    elements[..., 0] = gaps[:, None] ** np.arange(3)
    elements[..., 1] = [0.04, -0.04, 0.04]
    elements[..., 3] = 0.01
    elements[..., 5] = [0.0, 2.0, 4.0]
    return {"mass": np.full((5, 3), 3e-5), "elements": elements}


@pytest.mark.parametrize("name", list(EVERY))
def test_planets_farther_apart_are_held_for_more_stable(name: str, train: Split) -> None:
    probability = EVERY[name].fit(train)(ladder(), RNG)["stable"]
    assert probability[0] < 0.3
    assert probability[-1] > 0.7
    assert np.corrcoef(probability, np.arange(5))[0, 1] > 0.6
    assert ((probability >= 0.0) & (probability <= 1.0)).all()


@pytest.mark.parametrize("name", list(EVERY))
def test_probabilities_are_calibrated_on_the_training_split(name: str, train: Split) -> None:
    outputs = EVERY[name].fit(train)(train.inputs, RNG)
    assert outputs["stable"].mean() == pytest.approx(train.outputs["stable"].mean(), abs=0.1)
    assert (outputs["survival"] <= HORIZON).all()
    assert (np.diff(outputs["contact"], axis=1) >= 0.0).all()


def test_what_met_in_the_short_run_has_no_chance(train: Split) -> None:
    lost = train.outputs["survival"] < 0.5 * LENGTH
    assert lost.any()
    for name in ("MEGNO", "boosted trees"):
        assert (EVERY[name].fit(train)(train.inputs, RNG)["stable"][lost] == 0.0).all()


@pytest.mark.parametrize("kind", [EarlyEncoding, SummaryEncoding])
def test_caching_changes_no_output(
    kind: type[EarlyEncoding | SummaryEncoding], train: Split
) -> None:
    encoding = kind(HORIZON, (LENGTH,), LENGTH).fit(train)

    def network(x: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-x.reshape(n_samples({"x": x}), -1).mean(axis=1, keepdims=True)))

    fresh = encoding.apply(network, train.inputs, RNG)
    again = encoding.remembering().apply(network, train.inputs, RNG)
    np.testing.assert_array_equal(again["stable"], fresh["stable"])


def test_a_baseline_has_to_be_fitted_first(train: Split) -> None:
    problem = load_problem("stability", Size.TINY)
    with pytest.raises(UserError, match=r"isn't fitted"):
        _ = problem.baseline_runs
    assert list(problem.fitted(train).baseline_runs) == list(problem.baselines)


def test_missing_scikit_learn_is_told(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in ("AMD", "boosted trees"):
        with pytest.raises(UserError, match="scikit-learn is not installed"):
            EVERY[name].fit(train)
