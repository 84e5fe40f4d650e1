"""Which kind of machine times, and the spaces of another machine than this one."""

import pytest

from problems import Problem, UserError
from problems.errors import ClusterError
from search.run.origin import available_deployments
from search.workers.deployment_kind import Machine, MachineOfNode, deployment_machine
from search.workers.node_pool import Node
from spaces.availability import Availability, availability_here, spaces_of
from spaces.candidate import Arithmetic
from spaces.space import Space
from tests.search.workers.conftest import FakeNodes

LOGIN, OLD, NEW = "Xeon 4110, 8 cores", "EPYC 7763, 128 cores", "EPYC 9654, 192 cores"


def node(number: int, kind: str, cores: int) -> MachineOfNode:
    machine = Machine(f"host{number}", kind, kind, Availability({}, ()))
    return MachineOfNode(Node(f"node{number}", f"10.0.0.{number}", 1, cores), machine)


NODES = (node(0, LOGIN, 0), node(1, OLD, 4), node(2, NEW, 4), node(3, NEW, 4))


@pytest.mark.parametrize(
    ("wanted", "earlier", "kind"),
    [
        (None, "", OLD),
        (None, NEW, NEW),
        ("9654", "", NEW),
        ("epyc 9654", NEW, NEW),
        ("10.0.0.3", "", NEW),
        ("host1", "", OLD),
    ],
)
def test_the_first_node_with_cores_times_or_what_is_named(
    wanted: str | None, earlier: str, kind: str
) -> None:
    assert deployment_machine(NODES, 2, wanted, earlier).kind == kind


@pytest.mark.parametrize(
    ("wanted", "earlier", "told"),
    [
        ("EPYC", "", "nodes of 2 kinds are called so"),
        ("H200", "", f"no node is called so; the kinds of the cluster are: {OLD}; {NEW}"),
        ("Xeon", "", "no node is called so"),
        ("9654", OLD, f"the times of this run were measured on {OLD}"),
    ],
)
def test_a_kind_that_is_not_there_or_not_the_runs_is_refused(
    wanted: str, earlier: str, told: str
) -> None:
    with pytest.raises(UserError, match=f"--kind {wanted}: {told}"):
        deployment_machine(NODES, 2, wanted, earlier)


def test_a_run_whose_kind_is_not_there_waits_for_such_a_node() -> None:
    with pytest.raises(ClusterError, match=f"measured on {LOGIN}, and no node is of that kind"):
        deployment_machine(NODES, 2, None, LOGIN)


def test_a_space_is_that_of_the_machine_that_times(problem: Problem) -> None:
    here, this_machine = available_deployments(Space(problem)), availability_here()
    refused = dict.fromkeys(this_machine.refused, "no such runtime") | {
        deployment: "no such runtime"
        for combination in Space(problem).combination_space.combinations
        if (deployment := (combination.pruning, combination.runtime, combination.precision))
        if combination.runtime != "eager"
    }
    with spaces_of(Availability(refused, (Arithmetic.FP32,))):
        there = available_deployments(Space(problem))
    assert set(there) < set(here)
    assert {name.split()[-1] for name in there} == {"eager"}
    with spaces_of(this_machine):
        assert available_deployments(Space(problem)) == here
    assert available_deployments(Space(problem)) == here


def test_what_others_train_is_timed_by_the_drivers_node_if_it_can() -> None:
    nodes = FakeNodes(1, 1)
    pool = nodes.pool(here="node1")
    pool.refresh()
    first, here = nodes.nodes
    assert pool.choose_timing({}) == pool.choose_timing({first: 1, here: 1}) == here
    assert pool.choose_timing({here: 1}) == first
    nodes.nodes = nodes.nodes[:1]
    pool.refresh(at_once=True)
    assert pool.choose_timing({}) == pool.await_timing(lambda: None) == nodes.nodes[0]
    nodes.nodes = []
    pool.refresh(at_once=True)

    def wait() -> None:
        nodes.now += 30.0

    with pytest.raises(ClusterError, match="no node to work on"):
        pool.await_timing(wait)
