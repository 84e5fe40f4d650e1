"""Workers outlast their trials, wherever another worker is just starting."""

from ray.tune.utils import object_cache

from search.workers.kept_workers import KeptWorkers, resources_on_node
from search.workers.node_pool import NodePool
from tests.search.workers.conftest import FakeNodes


def test_a_worker_is_kept_while_another_starts_on_another_node(
    nodes: FakeNodes, two_nodes: NodePool
) -> None:
    here, there = (resources_on_node({"node": node.id, "cores": 1}) for node in two_nodes.admitted)
    cache = vars(object_cache)["_ObjectCache"]()  # Tune's own, which is private
    cache.increase_max(there)
    assert not cache.cache_object(here, "worker"), "Tune keeps it by itself: this can go"
    kept = KeptWorkers(cores=1)
    for _ in range(2):
        kept.update(cache, two_nodes.admitted)
    assert cache.cache_object(here, "worker")
    assert not cache.cache_object(here, "another"), "the node has a core"
    assert list(cache.flush_cached_objects()) == []
    nodes.nodes = nodes.nodes[1:]
    two_nodes.refresh(at_once=True)
    kept.update(cache, two_nodes.admitted)
    assert list(cache.flush_cached_objects()) == ["worker"], "its node is gone"
