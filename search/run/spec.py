"""What a search was asked for, as a value that survives JSON."""

from enum import StrEnum

from problems import Scalar, Size
from spaces.candidate import FrozenModel
from spaces.restrictions import Restrictions

SPEC_FORMAT = 3

DEFAULT_DEPLOYMENTS = 3
"""A deployment takes seconds where a training takes minutes: three show what a network is good for
at twice the time that its training and its first deployment take."""

DEFAULT_RETRAININGS = 2
"""Three seeds tell luck from skill, and cost no more than a few trials."""


class SamplerName(StrEnum):
    """Who asks for candidates once the opening is dealt."""

    AUTO = "auto"
    ADDITIVE = "additive"
    TPE = "tpe"
    NSGA2 = "nsga2"
    NSGA3 = "nsga3"
    GP = "gp"
    RANDOM = "random"


class ExtraObjective(StrEnum):
    """What may be made small besides error and time."""

    MEMORY = "memory"


class Spec(FrozenModel):
    """What was asked for; runs with equal identities open with the same candidates."""

    format: int = SPEC_FORMAT
    problem: str
    problem_version: int
    source: str = ""
    """What the user names the problem by: its name, or a file or module; for going on with it."""
    folder: str = ""
    """Where a module's name is looked for."""
    origin: str = ""
    """Hash of what the data come from and of what is searched: a changed file is another search."""
    size: Size
    seed: int
    trials: int
    workers: int
    available_deployments: tuple[str, ...] = ()
    """Precisions by runtimes that are to be had where it was begun; older runs don't say."""
    restrictions: Restrictions = Restrictions()
    """What is left of the problem's space, and how much its options weigh."""
    first: tuple[dict[str, Scalar], ...] = ()
    """Parameters of candidates that are tried before the opening."""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    """Objectives besides error and time."""
    sampler: SamplerName = SamplerName.AUTO
    """Who asks later; may change when a run is gone on with."""
    opening: int = 24
    """Candidates that are dealt before a sampler has a say: every choice is among them."""
    deployments: int = DEFAULT_DEPLOYMENTS
    """How often a trained network is deployed, one of the front more often; may change when a run
    is gone on with."""
    retrainings: int = DEFAULT_RETRAININGS
    """How often a recommended network is trained again; may change as well."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What must agree for a run to be gone on with; trials and workers may change."""
        return (
            self.format,
            self.problem,
            self.problem_version,
            self.origin,
            self.size,
            self.seed,
            self.restrictions,
            self.first,
            self.extra_objectives,
            self.opening,
        )
