"""The nodes that get work: admitted, each with its cores, and what was lost with them."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from problems.errors import ClusterError
from problems.interfaces.types import Clock
from search.run.nodes import ClusterStatus, NodeFacts, NodeState, NodeStatus

REFRESH_S = 1.0
"""Time between looks at which nodes there are [s]."""

ABSENCE_S = 60.0
"""Without an admitted node for so long, a search ends [s]."""

MAX_RETRIES = 3
"""A task that was lost is repeated at most so often."""

MAX_LOSSES_IN_A_ROW = 3
"""A node that loses so many tasks, and completes none in between, gets no more."""


class Node(NamedTuple):
    """A node of the cluster.

    Args:
        id: Ray's name for it.
        address: Its IP address.
        port: Port at which its Ray answers.
        cores: Cores that it offers.
    """

    id: str
    address: str
    port: int
    cores: int


class Examination(Protocol):
    """An examination of a node, which takes a while."""

    def outcome(self) -> NodeFacts | str | None:
        """Return what the node showed, the reason for which it is refused, or None for now."""
        ...


class Losses:
    """The nodes with which a task was lost, one entry for each time."""

    def __init__(self) -> None:
        self.nodes: list[str] = []

    @property
    def suspect(self) -> bool:
        """Whether the task was lost with two nodes, which may be its own doing."""
        return len(set(self.nodes)) > 1

    @property
    def exhausted(self) -> bool:
        """Whether the task isn't repeated any more: lost too often, or once more while suspect."""
        return len(self.nodes) > MAX_RETRIES or (self.suspect and len(self.nodes) > 2)


@dataclass
class _Member:
    node: Node
    examination: Examination | None
    facts: NodeFacts | None = None
    state: NodeState | None = None
    reason: str = ""
    lost: int = 0
    lost_in_a_row: int = 0
    trains_only: bool = False

    @property
    def status(self) -> NodeStatus:
        facts = self.facts
        return NodeStatus(
            address=self.node.address,
            host=facts.host if facts else "",
            cores=self.node.cores,
            kind=facts.kind if facts else "",
            trains_only=self.trains_only,
            shares_folders=facts.shares_folders if facts else True,
            state=self.state or NodeState.REFUSED,
            reason=self.reason if self.state else "not examined yet",
            lost=self.lost,
        )


@dataclass
class NodePool:
    """The nodes of a cluster; each is examined before it gets work, also when it joins later.

    Args:
        list_nodes: Returns the nodes that live.
        answers: Returns whether a node answers.
        examine: Starts the examination of a node; None admits every node.
        on_change: Called with the state of the nodes and the changed ones when it has changed, if
            anybody wants to know.
        kind: The kind of machine that times; others train only. Without one all nodes time.
        here: Name of the driver's own node.
        clock: Returns seconds.
    """

    list_nodes: Callable[[], Sequence[Node]]
    answers: Callable[[Node], bool]
    examine: Callable[[Node], Examination] | None = None
    on_change: Callable[[ClusterStatus, Sequence[NodeStatus]], None] | None = None
    kind: str = ""
    here: str = ""
    clock: Clock = time.monotonic
    _members: dict[str, _Member] = field(default_factory=dict[str, _Member], init=False)
    _used: Counter[str] = field(default_factory=Counter[str], init=False)
    _refreshed: float = field(default=-math.inf, init=False)
    _last_admitted: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        self._last_admitted = self.clock()

    @property
    def admitted(self) -> list[Node]:
        """The nodes that get work."""
        return [m.node for m in self._members.values() if m.state is NodeState.ADMITTED]

    @property
    def timing(self) -> list[Node]:
        """The admitted nodes that time networks, and don't only train them."""
        return [node for node in self.admitted if self.times(node)]

    def choose_timing(self, waiting: Mapping[Node, int]) -> Node | None:
        """Return the node that times what others train: of those with the least work the driver's.

        None while there is none.

        Args:
            waiting: Number of trials whose networks each node times, where there are any.
        """

        def order(node: Node) -> tuple[int, bool, bool]:
            return waiting.get(node, 0), node.id != self.here, not node.cores

        return min(self.timing, key=order, default=None)

    def times(self, node: Node) -> bool:
        """Return whether a node is of the kind that times networks."""
        return not self._members[node.id].trains_only

    def await_timing(self, wait: Callable[[], None]) -> Node:
        """Return a node that times, of which there may be none for a while.

        Args:
            wait: Waits a moment.

        Raises:
            ClusterError: There has been none for `ABSENCE_S`.
        """
        self.refresh()
        while (node := self.choose_timing({})) is None:
            wait()
            self.refresh()
        return node

    def slots(self, cores: int, *, timing: bool = False) -> int:
        """Return how many tasks of some cores the admitted nodes run at a time.

        Args:
            cores: Cores of a task.
            timing: Whether only nodes that time count.
        """
        return sum(node.cores // cores for node in (self.timing if timing else self.admitted))

    def await_admission(self, wait: Callable[[], None]) -> None:
        """Wait until all nodes that are there are examined.

        Args:
            wait: Waits a moment; it raises if the search has to end.

        Raises:
            ClusterError: No node is admitted.
        """
        self.refresh(at_once=True)
        while any(member.state is None for member in self._members.values()):
            wait()
            self.refresh(at_once=True)
        if not self.admitted:
            raise ClusterError(f"no node of the cluster is admitted: {self._reasons()}")

    def refresh(self, *, at_once: bool = False) -> None:
        """Look which nodes there are, and at the outcomes of examinations.

        Args:
            at_once: Whether to look even if the last look was a moment ago.

        Raises:
            ClusterError: No node has been admitted for `ABSENCE_S`.
        """
        now = self.clock()
        if not at_once and now - self._refreshed < REFRESH_S:
            return
        self._refreshed = now
        nodes = self.list_nodes()
        changed = [*self._remove_absent(nodes), *self._add_new(nodes), *self._conclude()]
        self._report(changed)
        if any(node.cores for node in self.timing):  # the driver's own may have none
            self._last_admitted = now
        elif now - self._last_admitted > ABSENCE_S and not self._examining:
            raise ClusterError(f"the cluster has had no node to work on: {self._reasons()}")

    @property
    def _examining(self) -> bool:
        return any(member.state is None for member in self._members.values())

    def _remove_absent(self, nodes: Iterable[Node]) -> list[_Member]:
        present = {node.id for node in nodes}
        gone = [
            member
            for member in self._members.values()
            if member.node.id not in present and member.state is not NodeState.GONE
        ]
        for member in gone:
            member.state, member.reason = NodeState.GONE, "it left the cluster"
        return gone

    def _add_new(self, nodes: Iterable[Node]) -> list[_Member]:
        new = [
            node
            for node in nodes
            if node.id not in self._members
            or (self._members[node.id].state is NodeState.GONE and self.answers(node))
        ]
        for node in new:
            examination = self.examine(node) if self.examine else None
            earlier = self._members.get(node.id)
            self._members[node.id] = member = _Member(node, examination)
            member.lost = earlier.lost if earlier else 0
            if examination is None:
                member.state = NodeState.ADMITTED
        return [] if self.examine else [self._members[node.id] for node in new]

    def _conclude(self) -> list[_Member]:
        concluded: list[_Member] = []
        for member in self._members.values():
            if member.state is not None or member.examination is None:
                continue
            outcome = member.examination.outcome()
            if isinstance(outcome, str):
                member.state, member.reason = NodeState.REFUSED, outcome
            elif outcome:
                member.state, member.facts = NodeState.ADMITTED, outcome
                member.trains_only = bool(self.kind) and outcome.kind != self.kind
            else:
                continue
            concluded.append(member)
        return concluded

    def choose(
        self,
        cores: int,
        avoided: Collection[str] = (),
        queue: int = 1,
        *,
        timing: bool = False,
        excluded: Collection[Node] = (),
    ) -> Node | None:
        """Return the node with the largest share of free slots; None where no node has one.

        While no node times, none is chosen: what it trained couldn't be timed.

        Args:
            cores: Cores of the task.
            avoided: Names of nodes that are chosen only where there are no others.
            queue: Tasks for each slot, of which one runs and the others wait.
            timing: Whether the task times networks, so that its node has to be of their kind.
            excluded: Nodes that aren't chosen now.
        """
        nodes = self.admitted if self.timing and not timing else self.timing
        admitted = [node for node in nodes if node.cores >= cores]
        elsewhere = [node for node in admitted if node.id not in avoided]
        loads = {n: self._used[n.id] / (n.cores // cores) for n in elsewhere or admitted}
        free = [n for n, load in loads.items() if load < queue and n not in excluded]
        return min(free, key=loads.__getitem__, default=None)

    def start(self, node: Node) -> None:
        """Count a task that is given to a node."""
        self._used[node.id] += 1

    def finish(self, node: Node) -> None:
        """Count a task that a node has completed, whatever its result."""
        self.release(node)
        self._members[node.id].lost_in_a_row = 0

    def release(self, node: Node) -> None:
        """Count a task that a node was given and that is of no interest any more."""
        self._used[node.id] -= 1

    def lose(self, node: Node, reason: str) -> None:
        """Count a task that was lost with a node, which gets no more if it doesn't answer.

        Args:
            node: The node.
            reason: What happened.
        """
        self.release(node)
        member = self._members[node.id]
        member.lost += 1
        member.lost_in_a_row += 1
        if self._works(member) and member.lost_in_a_row >= MAX_LOSSES_IN_A_ROW:
            member.state = NodeState.REFUSED
            member.reason = f"it lost {member.lost_in_a_row} tasks in a row, the last: {reason}"
        self._report([member])

    def is_gone(self, node: Node) -> bool:
        """Return whether a node gets no work any more, as one that doesn't answer."""
        member = self._members[node.id]
        works_still = self._works(member)
        self._report([] if works_still else [member])
        return not works_still

    def _works(self, member: _Member) -> bool:
        """Return whether a node gets work; one that doesn't answer gets none from now on."""
        if member.state is NodeState.ADMITTED and not self.answers(member.node):
            member.state, member.reason = NodeState.GONE, "it doesn't answer any more"
        return member.state is NodeState.ADMITTED

    def _report(self, changed: Sequence[_Member]) -> None:
        if changed and self.on_change:
            everything = sorted(self._members.values(), key=lambda member: member.node.address)
            status = ClusterStatus(
                kind=self.kind, nodes=tuple(member.status for member in everything)
            )
            self.on_change(status, [member.status for member in changed])

    def _reasons(self) -> str:
        texts = [member.status.description for member in self._members.values()]
        return "; ".join(texts) or "it has none"
