"""The history that samplers read, where baselines are better than every network."""

from search.objectives.baselines import BaselineScores
from search.sampling.history import History
from tests.builders import make_record

RECORDS = [make_record(number, error=0.1, time_s=0.1) for number in range(2)]
POINTS = [(-1.0, -1.0), (-0.5, -2.0)]


def test_baselines_that_dominate_every_network_leave_their_differences() -> None:
    beaten = History(RECORDS, POINTS, "error", BaselineScores([(-3.0, -3.0)], (0.0, 0.0)))
    assert not beaten.front_networks
    useful = beaten.against_useful_baselines()
    assert useful.front_networks == {0, 1}
    assert useful.baselines.upper_bounds == (0.0, 0.0)


def test_baselines_that_leave_a_network_on_the_front_count() -> None:
    history = History(RECORDS, POINTS, "error", BaselineScores([(-3.0, -1.5)], (0.0, 0.0)))
    assert history.front_networks == {1}
    assert history.against_useful_baselines() == history
    assert History([], [], "error").against_useful_baselines().points == []
