"""Which nodes get work, and how much."""

from collections.abc import Sequence

import pytest

from problems.errors import ClusterError
from search.run.nodes import ClusterStatus, NodeFacts, NodeState, NodeStatus
from search.workers.node_pool import ABSENCE_S, MAX_LOSSES_IN_A_ROW, MAX_RETRIES, Losses, Node
from tests.builders import make_node_facts
from tests.search.workers.conftest import FakeNodes


class Shown:
    """An examination whose outcome a test sets."""

    def __init__(self, outcome: NodeFacts | str | None = None) -> None:
        self.said = outcome

    def outcome(self) -> NodeFacts | str | None:
        return self.said


def test_a_node_gets_work_once_it_is_admitted_and_a_refused_one_says_why() -> None:
    nodes = FakeNodes(1, 1)
    shown = {"node0": Shown(), "node1": Shown("it doesn't see the run")}
    told: list[ClusterStatus] = []
    changed: list[NodeStatus] = []

    def on_change(status: ClusterStatus, nodes: Sequence[NodeStatus]) -> None:
        told.append(status)
        changed.extend(nodes)

    pool = nodes.pool(examine=lambda node: shown[node.id], on_change=on_change)

    def answer() -> None:
        assert pool.choose(1) is None
        shown["node0"].said = make_node_facts()

    pool.await_admission(answer)
    assert [node.id for node in pool.admitted] == ["node0"]
    assert [(node.address, node.state) for node in told[-1].nodes] == [
        ("10.0.0.0", NodeState.ADMITTED),
        ("10.0.0.1", NodeState.REFUSED),
    ]
    assert "it doesn't see the run" in changed[0].description


def test_without_an_admitted_node_the_search_ends_with_the_reasons() -> None:
    pool = FakeNodes(1).pool(examine=lambda _: Shown("it has Python 3.9"))
    with pytest.raises(ClusterError, match=r"10\.0\.0\.0.*it has Python 3\.9"):
        pool.await_admission(lambda: None)


def test_a_node_that_joins_later_is_examined_too() -> None:
    nodes = FakeNodes(1)
    pool = nodes.pool(examine=lambda _: Shown(make_node_facts()))
    pool.await_admission(lambda: None)
    assert pool.slots(1) == 1
    nodes.nodes.append(Node("later", "10.0.0.9", 9, 4))
    pool.refresh(at_once=True)
    assert pool.slots(1) == 5
    assert pool.slots(2) == 2


def test_work_goes_where_the_largest_share_is_free_and_elsewhere_after_a_loss() -> None:
    pool = FakeNodes(1, 4).pool()
    pool.refresh()
    small, large = pool.admitted
    for chosen in (small, large, large, large, large):
        assert pool.choose(1) == chosen
        pool.start(chosen)
    assert pool.choose(1) is None
    pool.finish(small)
    assert pool.choose(1, avoided=[small.id]) is None, "it waits for the other node"
    assert pool.choose(1, avoided=[small.id, large.id]) == small, "there is no elsewhere"


def test_a_node_that_does_not_answer_after_a_loss_is_gone_until_it_answers() -> None:
    nodes = FakeNodes(1, 1)
    pool = nodes.pool()
    pool.refresh()
    first, second = pool.admitted
    pool.start(first)
    nodes.silent.add(first.id)
    pool.lose(first, "its node died")
    pool.refresh(at_once=True)
    assert pool.admitted == [second], "Ray still counts it as alive"
    nodes.silent.clear()
    pool.refresh(at_once=True)
    assert pool.admitted == [first, second]


def test_a_node_that_loses_several_in_a_row_gets_no_more() -> None:
    pool = FakeNodes(1, 1).pool()
    pool.refresh()
    bad, good = pool.admitted
    for _ in range(MAX_LOSSES_IN_A_ROW - 1):
        pool.start(bad)
        pool.lose(bad, "unreachable")
    pool.start(bad)
    pool.finish(bad)
    assert bad in pool.admitted, "it completed one in between"
    for _ in range(MAX_LOSSES_IN_A_ROW):
        pool.start(bad)
        pool.lose(bad, "unreachable")
    assert pool.admitted == [good]


def test_a_cluster_without_nodes_is_waited_for_but_not_forever() -> None:
    nodes = FakeNodes(1, 0)
    pool = nodes.pool()
    pool.refresh()
    del nodes.nodes[0]
    nodes.now = ABSENCE_S / 2
    pool.refresh()
    nodes.now = 2 * ABSENCE_S
    with pytest.raises(ClusterError, match="it left the cluster"):
        pool.refresh()


@pytest.mark.parametrize(
    ("nodes", "exhausted"),
    [
        (["a"], False),
        (["a"] * MAX_RETRIES, False),
        (["a"] * (MAX_RETRIES + 1), True),
        (["a", "b"], False),
        (["a", "b", "a"], True),
    ],
)
def test_a_task_is_repeated_a_few_times_and_fewer_once_it_is_suspect(
    nodes: list[str], *, exhausted: bool
) -> None:
    losses = Losses()
    losses.nodes += nodes
    assert losses.exhausted is exhausted


def test_a_node_of_another_kind_trains_and_times_nothing() -> None:
    nodes = FakeNodes(1, 2)
    shown = {
        "node0": Shown(make_node_facts()),
        "node1": Shown(make_node_facts(kind="another processor")),
    }
    pool = nodes.pool(examine=lambda node: shown[node.id], kind="processor")
    pool.await_admission(lambda: None)
    assert (pool.slots(1), pool.slots(1, timing=True)) == (3, 1)
    first, second = nodes.nodes
    assert (pool.times(first), pool.times(second)) == (True, False)
    pool.start(first)
    assert pool.choose(1) == second
    assert pool.choose(1, timing=True) is None
    pool.finish(first)
    assert pool.choose(1, timing=True) == first
    nodes.nodes.remove(first)
    nodes.now += ABSENCE_S + 1.0
    with pytest.raises(ClusterError, match="another processor, trains only"):
        pool.refresh()
