"""How well the spread of an ensemble fits its errors, as values that survive JSON."""

from search.run.records import ConfidenceInterval, Timing
from spaces.candidate import FrozenModel


class FieldCoverage(FrozenModel):
    """Coverage and sharpness of the intervals of an output field.

    Args:
        coverage: Share of the values within the intervals of each level.
        width: Mean width of the intervals of each level, in standard deviations of the field's
            reference values; None for a field that is constant.
    """

    coverage: tuple[float, ...]
    width: tuple[float | None, ...]


class Deferral(FrozenModel):
    """The error of an ensemble that leaves some samples to the simulation.

    Args:
        share: Share of the samples left to the simulation: those with the largest deviations.
        error: Error on the other samples; None if the score doesn't exist for them.
    """

    share: float
    error: float | None


class SplitSpread(FrozenModel):
    """The spread of an ensemble against its errors on a split.

    Args:
        samples: Number of samples without failure.
        groups: Number of their groups; None if they are independent.
        levels: Shares of the values that the intervals should hold.
        coverage: Share of the values of all fields that they hold, by level, with its interval over
            samples or groups; empty for labels.
        fields: Coverage and sharpness by output field; empty for labels.
        rank_correlation: Spearman's rank correlation of the deviation and the error of a sample;
            None if one of them is constant.
        deferrals: Errors with more and more samples left to the simulation, beginning with none.
    """

    samples: int
    groups: int | None = None
    levels: tuple[float, ...]
    coverage: tuple[ConfidenceInterval, ...]
    fields: dict[str, FieldCoverage]
    rank_correlation: float | None
    deferrals: tuple[Deferral, ...]


class SpreadResult(FrozenModel):
    """The spread of an ensemble in the final evaluation.

    Args:
        reason: Why there are no figures; empty if there are.
        members: Number of members.
        timing: Timing of a call with spread.
        test: Figures on the test split.
        shifted: Figures on the shifted split, if there is one.
    """

    reason: str = ""
    members: int
    timing: Timing | None = None
    test: SplitSpread | None = None
    shifted: SplitSpread | None = None
