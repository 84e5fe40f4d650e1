"""Calls of a process on another node, without a cluster."""

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from problems import UserError
from problems.errors import ClusterError
from search.workers import remote_process
from search.workers.node_pool import MAX_RETRIES, NodePool
from search.workers.remote_process import ProcessActor, RemoteProcess


def tell_twice(value: int, tell: Callable[..., None]) -> int:
    tell(1, value)
    tell(2, value)
    return 2 * value


def refuse() -> None:
    raise UserError("a mistake")


class FakeRay:
    """Actors on nodes of which some are dead; a call runs when its result is wanted."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.placed: list[str] = []
        self.actors: list[ProcessActor] = []
        self.outcomes: dict[int, Any] = {}

    def remote(self, actor_class: type[ProcessActor]) -> Any:
        def start(node: str, *arguments: Any) -> Any:
            self.placed.append(node)
            actor = actor_class(*arguments)
            self.actors.append(actor)

            def method(name: str) -> Any:
                def call(*args: Any, **options: Any) -> Any:
                    return node, lambda: getattr(actor, name)(*args, **options)

                return SimpleNamespace(remote=call)

            return SimpleNamespace(**{name: method(name) for name in ("call", "messages", "close")})

        def options(scheduling_strategy: Any, **_: object) -> Any:
            node = scheduling_strategy.node_id
            return SimpleNamespace(remote=lambda *arguments: start(node, *arguments))

        return SimpleNamespace(options=options)

    def wait(self, references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        self.outcomes = {id(each): self._outcome(each) for each in references}
        return references, []

    def _outcome(self, reference: Any) -> Any:
        node, run = reference
        if node in self.dead:
            return ActorDiedError()
        try:
            return run()
        except UserError as error:
            return error

    def get(self, reference: Any) -> Any:
        """Return what a call that was waited for returned, or what it returns now."""
        known = id(reference) in self.outcomes
        outcome = self.outcomes[id(reference)] if known else self._outcome(reference)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def kill(self, _: object) -> None:
        """Do nothing: the test ends the processes."""


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(remote_process, "ray", fake)
    on_node = lambda name, soft: SimpleNamespace(node_id=name, soft=soft)  # noqa: E731 - short
    monkeypatch.setattr(remote_process, "NodeAffinitySchedulingStrategy", on_node)
    return fake


@pytest.fixture
def process(ray: FakeRay, two_nodes: NodePool) -> Generator[RemoteProcess]:  # noqa: ARG001 - connected
    with RemoteProcess() as process:
        yield process
    for actor in ray.actors:
        actor.close()


def test_a_call_returns_its_result_and_passes_on_what_it_tells(
    process: RemoteProcess, ray: FakeRay
) -> None:
    told: list[tuple[int, int]] = []
    assert process.call(tell_twice, 5, on_message=lambda *m: told.append(m)) == 10
    assert told == [(1, 5), (2, 5)]
    assert process.call(abs, -3) == 3
    assert ray.placed == ["node0"], "one worker serves all calls"
    with pytest.raises(UserError, match="a mistake"):
        process.call(refuse)


def test_a_call_that_is_lost_with_its_node_is_repeated_on_another(
    process: RemoteProcess, ray: FakeRay, two_nodes: NodePool
) -> None:
    assert process.call(abs, -3) == 3
    ray.dead.add("node0")
    two_nodes.list_nodes = lambda: [node for node in two_nodes.admitted if node.id != "node0"]
    two_nodes.refresh(at_once=True)
    assert process.call(abs, -4) == 4
    assert ray.placed == ["node0", "node1"]
    ray.dead.add("node1")
    with pytest.raises(ClusterError, match=f"lost {1 + MAX_RETRIES} times"):
        process.call(abs, -5)
