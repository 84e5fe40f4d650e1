"""On which node each trial runs, and which trials are repeated because they were lost."""

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ActorUnschedulableError,
    LocalRayletDiedError,
    NodeDiedError,
    RuntimeEnvSetupError,
)

from search.sampling.trial_queue import TrialRequest
from search.workers.node_pool import Losses, Node
from search.workers.ray_cluster import node_pool

MAX_STARTS = 8
"""Workers of a node that start at a time where its files may lie on a disk that nodes share: the
imports of a start are 26,000 calls of the file system and 5 s of a processor."""

NODE_FAILURES = (
    ActorUnavailableError,
    ActorUnschedulableError,
    LocalRayletDiedError,
    NodeDiedError,
    RuntimeEnvSetupError,
)
"""Errors of Ray for a worker whose node died, can't be reached, or can't start workers."""


class PlacedTrial(NamedTuple):
    """A trial and its node.

    Args:
        trial_id: Name of this attempt: the trial's number, and from the second on its own.
        request: The request.
        node: The node.
        timed_on: The node that times its network, None if its own does.
    """

    trial_id: str
    request: TrialRequest
    node: Node
    timed_on: Node | None


class TrialPlacement:
    """Gives trials to nodes, and repeats those that are lost with a node.

    Args:
        cores: Cores of a trial.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._placed: dict[str, PlacedTrial] = {}
        self._starting: dict[str, Node] = {}
        self._lost = deque[TrialRequest]()
        self._losses: dict[int, Losses] = {}

    @property
    def slots(self) -> int:
        """Number of trials that the admitted nodes run at a time."""
        return node_pool().slots(self.cores)

    def next(self, suggest: Callable[[], TrialRequest | None]) -> PlacedTrial | None:
        """Return the next trial with its node; None where no node is free or no trial is left.

        Args:
            suggest: Returns the next request, where no lost trial is to be repeated.

        Raises:
            ClusterError: There has been no node for a while.
        """
        pool = node_pool()
        pool.refresh()
        starts = Counter(self._starting.values()) if pool.examine else Counter[Node]()
        full = {node for node, count in starts.items() if count >= MAX_STARTS}
        for request in self._lost:
            avoided = self._losses[request.number].nodes
            node = pool.choose(self.cores, avoided, excluded=full)
            if node:
                self._lost.remove(request)
                return self._place(request, node)
        node = pool.choose(self.cores, excluded=full)
        request = suggest() if node else None
        return self._place(request, node) if request and node else None

    def _place(self, request: TrialRequest, node: Node) -> PlacedTrial:
        losses = self._losses.get(request.number)
        attempt = f".{len(losses.nodes)}" if losses else ""
        pool = node_pool()
        waiting = Counter(each.timed_on for each in self._placed.values() if each.timed_on)
        timed_on = None if pool.times(node) else pool.choose_timing(waiting)
        placed = PlacedTrial(f"{request.number}{attempt}", request, node, timed_on)
        pool.start(node)
        self._placed[placed.trial_id] = placed
        self._starting[placed.trial_id] = node
        return placed

    def started(self, trial_id: str) -> None:
        """Note that the worker of a trial has started."""
        self._starting.pop(trial_id, None)

    def _remove(self, trial_id: str) -> PlacedTrial | None:
        self.started(trial_id)
        return self._placed.pop(trial_id, None)

    def is_stranded(self, trial_id: str) -> bool:
        """Return whether a trial that waits for its node waits in vain: the node is gone."""
        placed = self._placed.get(trial_id)
        return placed is not None and placed.node not in node_pool().admitted

    def complete(self, trial_id: str) -> str:
        """Note that a trial has ended by itself; return the address of its node, "" if unknown."""
        placed = self._remove(trial_id)
        if placed is None:
            return ""
        node_pool().finish(placed.node)
        return placed.node.address

    def lose_if_node_failed(self, trial_id: str, error: object) -> Losses | None:
        """Return the losses of a trial that was lost with its node, None if its worker just died.

        Args:
            trial_id: Name of the attempt.
            error: The error of its worker.
        """
        placed = self._placed.get(trial_id)
        if placed is None:
            return None
        pool = node_pool()
        preempted = isinstance(error, ActorDiedError) and error.preempted
        failed = preempted or isinstance(error, NODE_FAILURES)
        if not (failed or self.is_stranded(trial_id) or not pool.answers(placed.node)):
            return None
        return self.lose(trial_id, "its node died or can't be reached")

    def lose_if_timing_failed(self, trial_id: str) -> Losses | None:
        """Return the losses of a trial if the node that was to time its network is gone, else None.

        Args:
            trial_id: Name of the attempt.
        """
        placed = self._placed.get(trial_id)
        if placed is None or placed.timed_on is None or not node_pool().is_gone(placed.timed_on):
            return None
        self._remove(trial_id)
        node_pool().release(placed.node)
        return self._with_loss(placed, placed.timed_on)

    def lose(self, trial_id: str, reason: str) -> Losses:
        """Return the losses of a trial, this one included.

        Args:
            trial_id: Name of the attempt.
            reason: What happened.
        """
        placed = self._placed[trial_id]
        self._remove(trial_id)
        node_pool().lose(placed.node, reason)
        return self._with_loss(placed, placed.node)

    def _with_loss(self, placed: PlacedTrial, node: Node) -> Losses:
        losses = self._losses.setdefault(placed.request.number, Losses())
        losses.nodes.append(node.id)
        return losses

    def repeat(self, request: TrialRequest) -> None:
        """Repeat a trial that was lost, as soon as a node is free."""
        self._lost.append(request)
