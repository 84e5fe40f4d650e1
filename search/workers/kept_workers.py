"""Which workers Tune keeps when their trial ends, so that the next one starts no process."""

from collections.abc import Mapping
from typing import Any

from ray.tune import PlacementGroupFactory

from search.workers.node_pool import Node

NODE_LABEL = "ray.io/node-id"
"""Ray's label of a node with its name."""


def resources_on_node(config: Mapping[str, Any]) -> PlacementGroupFactory:
    """Return the resources of a trial: its cores, on the node that its configuration names."""
    selector = {NODE_LABEL: config["node"]}
    return PlacementGroupFactory([{"CPU": config["cores"]}], bundle_label_selector=[selector])


class KeptWorkers:
    """Lets Tune keep as many idle workers of each node as it has room for.

    By itself Tune keeps the worker of an ended trial only if another trial waits for the same
    resources, or if none waits at all. The resources of a trial are those of its node, so while a
    worker started on one node, each trial that ended on another one lost its worker.

    Args:
        cores: Cores of a trial.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._kept: dict[Node, int] = {}

    def update(self, cache: Any, admitted: list[Node]) -> None:
        """Tell Tune about nodes that have come or gone.

        Args:
            cache: Tune's idle workers, by their resources.
            admitted: The nodes that get work.
        """
        room = {node: node.cores // self.cores for node in admitted}
        if room == self._kept:
            return
        for node in room.keys() | self._kept.keys():
            config = {"node": node.id, "cores": self.cores}
            change = room.get(node, 0) - self._kept.get(node, 0)
            cache.increase_max(resources_on_node(config), change)
        self._kept = room
