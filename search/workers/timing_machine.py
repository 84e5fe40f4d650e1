"""A machine of the deployment's kind that times the networks which nodes of another kind train."""

import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.trial.context import SearchContext
from search.trial.lifecycle import deploy_for_another, time_for_another
from search.trial.record_builder import InfeasibleError, RecordBuilder
from search.watchdog import watchdog, watchdog_paused
from search.workers.node_pool import Node
from search.workers.ray_cluster import prepare_process

ATTEMPTS = 3
"""A network is timed again so often if the process that does it died, perhaps by another one."""

RESTART_S = 5.0
"""Time in which that process starts again [s]."""


class TimingActor:
    """The process on a machine that times networks, one after the other.

    Args:
        context: What the trials share.
    """

    def __init__(self, context: SearchContext) -> None:
        prepare_process(context.problem.deployment.threads)
        self._context = context

    def call(
        self, function: Callable[[SearchContext, RecordBuilder], RecordBuilder], builder: Any
    ) -> RecordBuilder:
        """Return the builder of a trial after one of its parts that are done here."""
        with watchdog(), self._context.with_files(builder.number, builder.trained_by) as context:
            return function(context, builder)


class RemoteTimingMachine(NamedTuple):
    """The timing machine as seen from a node of another kind.

    Args:
        name: Ray's name of its process.
        send: Sends to the run what was written here; None where its folder is seen.
    """

    name: str
    send: Callable[[], None] | None = None

    def time_untrained(self, builder: RecordBuilder) -> RecordBuilder:
        """Return the builder of a trial with the time of its untrained network, or its failure."""
        return self._call(time_for_another, builder)

    def deploy(self, builder: RecordBuilder) -> RecordBuilder:
        """Return the builder of a trial whose trained network was deployed, or its failure."""
        if self.send:
            self.send()
        return self._call(deploy_for_another, builder)

    def _call(
        self,
        function: Callable[[SearchContext, RecordBuilder], RecordBuilder],
        builder: RecordBuilder,
    ) -> RecordBuilder:
        actor: Any = ray.get_actor(self.name)
        with watchdog_paused():
            for _ in range(ATTEMPTS):
                try:
                    timed: RecordBuilder = ray.get(actor.call.remote(function, builder))
                except RayActorError:
                    time.sleep(RESTART_S)
                else:
                    return timed
        raise InfeasibleError(f"the process that times it died {ATTEMPTS} times")


class TimingService:
    """Starts the processes that time, each once a node needs it.

    Args:
        context: What the trials share.
    """

    def __init__(self, context: SearchContext) -> None:
        self._context = context
        self._actors: dict[str, Any] = {}
        self._prefix = f"simstead-timing-{secrets.token_hex(8)}"

    def name(self, node: Node) -> str:
        """Return Ray's name of the process on a node."""
        name = f"{self._prefix}-{node.id}"
        if node.id not in self._actors:
            there = NodeAffinitySchedulingStrategy(node.id, soft=False)
            self._actors[node.id] = (
                ray.remote(TimingActor)
                .options(name=name, num_cpus=0, max_restarts=-1, scheduling_strategy=there)
                .remote(self._context)
            )
        return name
