"""The kind of machine that times: chosen among the nodes of a cluster before anything is searched.

What a search offers belongs to that kind, and not to the machine on which its driver runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from problems import UserError
from problems.errors import ClusterError
from search.run.environment import host_name, machine_kind, processor_name
from search.workers.joined_cluster import EXAMINATION_S
from search.workers.node_pool import Node
from search.workers.ray_cluster import living_nodes
from spaces.availability import Availability, availability_here


class Machine(NamedTuple):
    """A machine that may time.

    Args:
        host: Its name.
        kind: Its processor, cores and GPU.
        processor: Its processor.
        availability: What it supports.
    """

    host: str
    kind: str
    processor: str
    availability: Availability


def machine_here() -> Machine:
    """Return this machine."""
    return Machine(host_name(), machine_kind(), processor_name(), availability_here())


class MachineOfNode(NamedTuple):
    """A node and its machine."""

    node: Node
    machine: Machine

    def is_called(self, text: str) -> bool:
        """Return whether a text is the node's address or name, or a part of its kind."""
        machine = self.machine
        return text in {self.node.address, machine.host} or text.lower() in machine.kind.lower()


def machines_of_nodes() -> list[MachineOfNode]:
    """Return the nodes of the cluster that answer, this one first, with their machines."""
    here = ray.get_runtime_context().get_node_id()
    nodes = sorted(living_nodes(), key=lambda node: (node.id != here, node.address))
    remote = ray.remote(num_cpus=0, max_retries=0)(machine_here)
    nodes_of = {
        remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(): node
        for node in nodes
    }
    ray.wait(list(nodes_of), num_returns=len(nodes_of), timeout=EXAMINATION_S)
    answered: list[MachineOfNode] = []
    for reference, node in nodes_of.items():
        try:
            answered.append(MachineOfNode(node, ray.get(reference, timeout=0)))
        except RayError:  # its examination will say why
            ray.cancel(reference, force=True)
    return answered


def deployment_machine(
    nodes: Sequence[MachineOfNode], cores: int, name: str | None, earlier: str
) -> Machine:
    """Return the machine whose kind times; without an answer of any node, this machine.

    Args:
        nodes: Nodes with their machines, in order of preference.
        cores: Cores of a trial.
        name: Address or name of a node, or a part of a kind; None for the kind of the run or,
            where that has none, of the first node with the cores of a trial.
        earlier: The kind that timed in the run so far, "" for none.

    Raises:
        UserError: No node is called so, nodes of several kinds are, or the run has
            another one.
        ClusterError: No node is of the run's kind.
    """
    if not nodes:
        return machine_here()
    able = [each for each in nodes if each.node.cores >= cores] or nodes
    kinds = list(dict.fromkeys(each.machine.kind for each in able))
    there = f"the kinds of the cluster are: {'; '.join(kinds)}"
    if name:
        able = [each for each in able if each.is_called(name)]
        called = {each.machine.kind for each in able}
        if len(called) != 1:
            many = f"nodes of {len(called)} kinds are" if called else "no node is"
            raise UserError(f"--kind {name}: {many} called so; {there}")
        if earlier and earlier not in called:
            raise UserError(
                f"--kind {name}: the times of this run were measured on {earlier}; give --run "
                "another folder"
            )
    elif earlier:
        able = [each for each in able if each.machine.kind == earlier]
        if not able:
            raise ClusterError(
                f"the times of this run were measured on {earlier}, and no node is of that kind; "
                f"{there}"
            )
    return able[0].machine
