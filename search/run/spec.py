"""The request that a search was started with, as a value that survives JSON."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from problems import Scalar, Size
from spaces.candidate import FrozenModel
from spaces.restrictions import Restrictions

SPEC_FORMAT = 3

DEFAULT_DEPLOYMENTS = 3
"""Deployments per network. A deployment takes seconds where a training takes minutes: three show
what a network is good for, in twice the time of its training and first deployment."""

DEFAULT_RETRAININGS = 2
"""Retrainings per recommended network: three seeds tell luck from skill, and cost no more than a
few trials."""


class SamplerName(StrEnum):
    """What suggests candidates after the initial design."""

    AUTO = "auto"
    ADDITIVE = "additive"
    TPE = "tpe"
    NSGA2 = "nsga2"
    NSGA3 = "nsga3"
    GP = "gp"
    RANDOM = "random"


class ExtraObjective(StrEnum):
    """Objectives that may be added to error and time."""

    MEMORY = "memory"


class Transport(StrEnum):
    """How files reach the nodes of a cluster, and those that nodes write reach the driver."""

    SHARED = "shared"
    RAY = "ray"


class Spec(FrozenModel):
    """The request of a run; runs with equal identities begin with the same candidates."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "origin": "origin_hash",
        "offered": "available_deployments",
        "narrowing": "restrictions",
        "first": "warm_start",
        "besides": "extra_objectives",
        "opening": "initial_design_size",
    }

    format: int = SPEC_FORMAT
    problem: str
    problem_version: int
    source: str = ""
    """Name, file or module of the problem as the user gave it; `resume` loads the problem by it."""
    folder: str = ""
    """Folder in which a module is looked up."""
    origin_hash: str = ""
    """Hash of what the data and the space come from: with a changed file it is another search."""
    size: Size
    seed: int
    trials: int
    workers: int
    available_deployments: tuple[str, ...] = ()
    """Precisions by runtimes that were available at the start; empty in older runs."""
    kind: str = ""
    """Processor, cores and GPU of the machines that time; "" where no cluster was joined."""
    transport: Transport = Transport.SHARED
    """How files travel between the driver and nodes that don't see the run; may change when the
    run is resumed."""
    restrictions: Restrictions = Restrictions()
    """Restrictions of the problem's space, with the weights of its options."""
    warm_start: tuple[dict[str, Scalar], ...] = ()
    """Parameters of candidates that are tried before the initial design."""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    """Objectives besides error and time."""
    sampler: SamplerName = SamplerName.AUTO
    """What suggests candidates after the initial design; may change when the run is resumed."""
    initial_design_size: int = 24
    """Candidates of the initial design, in which every option occurs."""
    deployments: int = DEFAULT_DEPLOYMENTS
    """Deployments of a trained network, more for a network on the front; may change when the run
    is resumed."""
    retrainings: int = DEFAULT_RETRAININGS
    """Retrainings of a recommended network; may change when the run is resumed."""
    simulations: int = 0
    """Largest number of further simulations for the training split; 0 if hours are the budget, or
    there is none."""
    reference_hours: float = 0.0
    """Hours of the reference, one call after the other, that further simulations may take; 0 for no
    limit, or without a budget."""

    @property
    def buys_simulations(self) -> bool:
        """Whether the run has a budget of further simulations."""
        return self.simulations > 0 or self.reference_hours > 0.0

    @property
    def identity(self) -> tuple[object, ...]:
        """The fields that must agree for a run to be resumed; trials and workers may change."""
        return (
            self.format,
            self.problem,
            self.problem_version,
            self.origin_hash,
            self.size,
            self.seed,
            self.restrictions,
            self.warm_start,
            self.extra_objectives,
            self.initial_design_size,
            self.simulations,
            self.reference_hours,
        )
