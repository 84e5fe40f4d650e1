"""What `simstead status` says of the nodes of a cluster."""

from pathlib import Path

from search.commands.status import format_status, read_status
from search.run.directory import RunDirectory
from search.run.nodes import ClusterStatus, NodeState, NodeStatus
from tests.builders import make_spec


def test_nodes_without_work_are_named_with_the_reason(tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path / "run", make_spec())
    assert not any(line.startswith("node") for line in format_status(read_status(run)))
    nodes = (
        NodeStatus(address="10.0.0.1", cores=4, kind="fast", state=NodeState.ADMITTED, lost=1),
        NodeStatus(address="10.0.0.3", cores=4, kind="slow", state=NodeState.ADMITTED),
        NodeStatus(
            address="10.0.0.2", cores=1, state=NodeState.REFUSED, reason="it doesn't see the run"
        ),
    )
    run.write("nodes.json", ClusterStatus(kind="fast", nodes=nodes))
    lines = format_status(read_status(run))
    assert "nodes        admitted 2  refused 1  gone 0  tasks lost and repeated 1" in lines
    assert "kind         fast: 1 time" in lines
    assert "kind         slow: 1 train only" in lines
    assert "node         10.0.0.2 refused, 1 core, it doesn't see the run" in lines
    assert not any("10.0.0.1" in line for line in lines)
