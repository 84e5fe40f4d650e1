"""What becomes of tasks whose node or worker dies, without a cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import NodeDiedError, WorkerCrashedError

from problems.errors import ClusterError
from search.workers import tasks
from search.workers.node_pool import NodePool
from search.workers.tasks import run_sharing, run_tasks

Fate = Callable[[str], Exception | None]
"""What happens to a task on the node of a name."""


class FakeRay:
    """Runs a task when its result is wanted, unless it meets its fate."""

    def __init__(self, fate: Fate) -> None:
        self.fate, self.tried = fate, list[str]()

    def remote(self, **_: object) -> Callable[[Callable[..., Any]], Any]:
        def decorated(function: Callable[..., Any]) -> Any:
            def options(scheduling_strategy: Any) -> Any:
                return SimpleNamespace(
                    remote=lambda *arguments: (scheduling_strategy.node_id, function, arguments)
                )

            return SimpleNamespace(options=options)

        return decorated

    def put(self, value: object) -> object:
        return value

    def wait(self, references: Sequence[Any], **_: object) -> tuple[Sequence[Any], Sequence[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Any) -> Any:
        node, function, arguments = reference
        self.tried.append(node)
        if error := self.fate(node):
            raise error
        return function(*arguments)

    def cancel(self, *_: object, **__: object) -> None:
        """Do nothing: nothing runs."""


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fate], FakeRay]:
    def install(fate: Fate) -> FakeRay:
        ray = FakeRay(fate)
        monkeypatch.setattr(tasks, "ray", ray)
        on_node = lambda name, soft: SimpleNamespace(node_id=name, soft=soft)  # noqa: E731 - short
        monkeypatch.setattr(tasks, "NodeAffinitySchedulingStrategy", on_node)
        return ray

    return install


NODE_DIED, WORKER_CRASHED = NodeDiedError("a node"), WorkerCrashedError()


def dies(*nodes: str, error: Exception = NODE_DIED) -> Fate:
    return lambda node: error if node in nodes else None


def write(task: str, folder: Path) -> None:
    (folder / task).write_text(f"{task} {len(list(folder.iterdir()))}")


@pytest.mark.usefixtures("two_nodes")
def test_a_task_that_is_lost_with_a_node_is_done_by_another(
    fake_ray: Callable[[Fate], FakeRay], tmp_path: Path
) -> None:
    ray = fake_ray(dies("node0"))
    assert sorted(run_tasks(["a", "b", "c"], tmp_path, write)) == ["a", "b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    assert ray.tried.count("node1") == 3


@pytest.mark.usefixtures("two_nodes")
def test_a_task_that_every_node_loses_is_given_up(
    fake_ray: Callable[[Fate], FakeRay], tmp_path: Path
) -> None:
    fake_ray(dies("node0", "node1"))
    with pytest.raises(ClusterError, match="lost 3 times"):
        list(run_tasks(["a"], tmp_path, write))
    fake_ray(dies("node0", "node1"))
    ((task, result),) = run_sharing(lambda shared, task: (shared, task), "shared", ["a"], 1)
    assert task == "a"
    assert str(result).startswith("lost 3 times")


@pytest.mark.usefixtures("two_nodes")
def test_a_worker_that_dies_is_doubted_once(
    fake_ray: Callable[[Fate], FakeRay], tmp_path: Path
) -> None:
    ray = fake_ray(dies("node0", error=WORKER_CRASHED))
    assert list(run_sharing(lambda shared, task: shared + task, "a", ["b"], 1)) == [("b", "ab")]
    assert ray.tried == ["node0", "node1"]
    ray = fake_ray(dies("node0", "node1", error=WORKER_CRASHED))
    assert list(run_sharing(lambda shared, task: shared + task, "a", ["b"], 1)) == [
        ("b", "its worker died")
    ]
    assert list(run_tasks(["a"], tmp_path, write)) == ["a"], "it is done here"


def test_a_doubtful_result_is_confirmed_by_a_second_node_if_there_is_one(
    fake_ray: Callable[[Fate], FakeRay], two_nodes: NodePool, tmp_path: Path
) -> None:
    ray, discarded = fake_ray(dies()), list[str]()

    def discard(task: str) -> bool:
        discarded.append(task)
        return True

    assert list(run_tasks(["a"], tmp_path, write, discard=discard)) == ["a"]
    assert (ray.tried, discarded) == (["node0", "node1"], ["a"]), "the second result stands"
    for node in two_nodes.admitted[1:]:
        for _ in range(3):
            two_nodes.start(node)
            two_nodes.lose(node, "unreachable")
    assert list(run_tasks(["b"], tmp_path, write, discard=discard)) == ["b"]
    assert discarded == ["a"], "there is no second node"
