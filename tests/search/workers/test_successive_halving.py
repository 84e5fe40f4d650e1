import math

import pytest

from search.run.records import Record
from search.workers.successive_halving import (
    MIN_NETWORKS,
    SuccessiveHalving,
    kendall_tau,
    rung_correlations,
)
from tests.builders import make_record, make_rung


def test_the_first_arrival_is_promoted() -> None:
    assert SuccessiveHalving().should_continue(1, 10.0, 1.0)


def test_the_dominated_are_stopped_and_a_front_never_is() -> None:
    halving = SuccessiveHalving()
    for i in range(8):
        assert halving.should_continue(1, 1.0 + i, 9.0 - i), "a front member was cut"
    assert not halving.should_continue(1, 20.0, 20.0)
    assert halving.should_continue(1, 0.5, 9.5)


def test_beside_the_front_a_quarter_is_promoted_and_the_crowded_are_stopped_first() -> None:
    halving = SuccessiveHalving()
    for error in (1.0, 1.1, 1.2, 1.3, 1.4):
        halving.should_continue(1, error, error)
    assert not halving.should_continue(1, 1.15, 1.15), "third of six"
    assert halving.should_continue(1, 1.05, 1.05), "second of seven"
    others = SuccessiveHalving()
    arrivals = [(1.0, 1.0), *((9.0, 9.0),) * 5, (2.0, 4.0), (2.1, 3.0), (2.11, 2.9), (4.0, 2.0)]
    for error, time in arrivals:
        others.should_continue(1, error, time)
    assert not others.should_continue(1, 2.105, 2.95), "amid its neighbours"
    assert others.should_continue(1, 1.5, 9.5), "at the end of its front"


def test_rungs_are_apart() -> None:
    halving = SuccessiveHalving()
    for _ in range(8):
        halving.should_continue(1, 1.0, 1.0)
    assert halving.should_continue(2, 50.0, 50.0)


def test_a_diverged_candidate_is_stopped() -> None:
    assert not SuccessiveHalving().should_continue(1, math.inf, 1.0)


def test_a_rungs_ranking_is_held_against_the_ends() -> None:
    assert kendall_tau([1, 2, 3, 4], [10, 20, 30, 40]) == 1.0
    assert kendall_tau([1, 2, 3, 4], [4, 3, 2, 1]) == -1.0
    assert kendall_tau([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))
    assert math.isnan(kendall_tau([1, 1], [1, 2]))


def test_only_networks_that_were_trained_to_the_end_tell_of_a_rung() -> None:
    def at_rung(error: float, end: float | None, training: int | None = None) -> Record:
        return make_record(unpruned_error=end, training=training, rungs=(make_rung(error),))

    whole = [at_rung(1.0 + i, end) for i, end in enumerate([0.1, 0.2, 0.4, 0.3])]
    others = [at_rung(0.5, None), at_rung(9.0, 0.01, training=0)]  # stopped there, deployed again
    (told,) = rung_correlations([*whole, *others])
    assert (told.share, told.networks) == (0.25, 4)
    assert told.correlation == pytest.approx(2 / 3)
    assert rung_correlations([*whole[: MIN_NETWORKS - 1], *others]) == []


def test_a_third_objective_has_its_say() -> None:
    halving = SuccessiveHalving()
    assert all(halving.should_continue(1, 1.0, 1.0, 10.0) for _ in range(4))
    assert not halving.should_continue(1, 2.0, 2.0, 20.0)
    assert halving.should_continue(1, 2.0, 2.0, 5.0)


def test_a_resumed_network_arrives_at_a_rung_once() -> None:
    arrivals = [
        make_record(key=key, untrained_relative_time=1.0, rungs=(make_rung(),)) for key in "abcd"
    ]

    def second_goes_on(earlier: list[Record]) -> bool:
        """Whether the second best goes on: of six it is in the best quarter, of three it isn't."""
        halving = SuccessiveHalving(earlier)
        assert halving.should_continue(0.25, 0.1, 0.1)
        return halving.should_continue(0.25, 0.2, 0.2)

    assert second_goes_on(arrivals)
    assert not second_goes_on(arrivals[:1] * 4)
