import numpy as np
import pytest

from problems.cases.events.amplification import Cells, worth

RNG = np.random.default_rng(0)
CELLS = Cells.of(RNG.standard_normal((4096, 3)), 6)


def test_cells_have_equally_many_events() -> None:
    sample = RNG.standard_normal((4096, 3))
    np.testing.assert_array_equal(Cells.of(sample, 6).frequencies(sample), np.full(64, 1 / 64))
    assert CELLS.frequencies(sample).sum() == pytest.approx(1.0)


def test_a_sample_is_worth_its_own_events() -> None:
    reference = RNG.standard_normal((100_000, 3))
    found = [
        worth(RNG.standard_normal((1000, 3)), reference, CELLS, finite=True) for _ in range(20)
    ]
    assert np.median([each.events for each in found]) == pytest.approx(1000, rel=0.2)
    assert all(each.least < each.events for each in found)


def test_a_perfect_generator_is_worth_more_than_can_be_resolved() -> None:
    found = worth(RNG.standard_normal((100_000, 3)), RNG.standard_normal((100_000, 3)), CELLS)
    assert found.events > 200_000


def test_a_wrong_generator_is_worth_little() -> None:
    wrong = 1.2 * RNG.standard_normal((100_000, 3))
    found = worth(wrong, RNG.standard_normal((100_000, 3)), CELLS)
    assert found.events < 2000
    assert found.least == pytest.approx(found.events, rel=0.4)
