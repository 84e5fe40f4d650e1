"""Nodes that exist by name only, for what the driver does with them."""

from collections.abc import Generator
from typing import Any

import pytest

from search.workers import ray_cluster
from search.workers.node_pool import Node, NodePool


class FakeNodes:
    """A cluster whose nodes come and go as a test says."""

    def __init__(self, *cores: int) -> None:
        self.nodes = [Node(f"node{i}", f"10.0.0.{i}", 1000 + i, n) for i, n in enumerate(cores)]
        self.silent: set[str] = set()
        self.now = 0.0

    def pool(self, **options: Any) -> NodePool:
        """Return the pool of these nodes, which reads their clock."""
        return NodePool(
            lambda: self.nodes,
            lambda node: node.id not in self.silent,
            clock=lambda: self.now,
            **options,
        )


@pytest.fixture
def one_node() -> Generator[NodePool]:
    yield from connected_pool(FakeNodes(4).pool())


@pytest.fixture
def nodes() -> FakeNodes:
    """Two nodes of one core each."""
    return FakeNodes(1, 1)


@pytest.fixture
def two_nodes(nodes: FakeNodes) -> Generator[NodePool]:
    yield from connected_pool(nodes.pool())


def connected_pool(pool: NodePool) -> Generator[NodePool]:
    """Let a pool be that of this process for a while."""
    pool.refresh()
    ray_cluster.NODE_POOLS.append(pool)
    yield pool
    ray_cluster.NODE_POOLS.remove(pool)
