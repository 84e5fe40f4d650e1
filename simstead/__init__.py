"""The public names of simstead: to declare a problem, to search, and to use what was found.

What is heavy is imported where it is called, so that a problem's file can import from here.
"""

from typing import TYPE_CHECKING, Any

from problems import (
    SPLITS,
    Array,
    BaselineMargin,
    Batch,
    Beyond,
    Calibration,
    Choose,
    Curve,
    Dataset,
    Deployment,
    Encoding,
    Field,
    FittedBaseline,
    FlatEncoding,
    Goals,
    GraphEncoding,
    Grid1DEncoding,
    Grid2DEncoding,
    Grid3DEncoding,
    Host,
    InterruptedRunError,
    Layout,
    Metric,
    MissingExtraError,
    NormalisedError,
    Pairs,
    Picture,
    PolicyEncoding,
    Predict,
    Problem,
    Profile,
    ReadOptions,
    Recorded,
    Registry,
    RollOutEncoding,
    Run,
    Samples,
    Scalar,
    SequenceEncoding,
    SetEncoding,
    Settings,
    Simulation,
    Size,
    Split,
    Symmetry,
    Target,
    TensorEncoding,
    UnknownNameError,
    UserError,
    VectorsEncoding,
    known_problems,
    load_problem,
    register_problem,
)
from simstead.runs import OpenedRun, open_run, search

if TYPE_CHECKING:
    from spaces.surrogate import Surrogate

__all__ = [
    "SPLITS",
    "Array",
    "BaselineMargin",
    "Batch",
    "Beyond",
    "Calibration",
    "Choose",
    "Curve",
    "Dataset",
    "Deployment",
    "Encoding",
    "Field",
    "FittedBaseline",
    "FlatEncoding",
    "Goals",
    "GraphEncoding",
    "Grid1DEncoding",
    "Grid2DEncoding",
    "Grid3DEncoding",
    "Host",
    "InterruptedRunError",
    "Layout",
    "Metric",
    "MissingExtraError",
    "NormalisedError",
    "OpenedRun",
    "Pairs",
    "Picture",
    "PolicyEncoding",
    "Predict",
    "Problem",
    "Profile",
    "ReadOptions",
    "Recorded",
    "Registry",
    "RollOutEncoding",
    "Run",
    "Samples",
    "Scalar",
    "SequenceEncoding",
    "SetEncoding",
    "Settings",
    "Simulation",
    "Size",
    "Split",
    "Surrogate",
    "Symmetry",
    "Target",
    "TensorEncoding",
    "UnknownNameError",
    "UserError",
    "VectorsEncoding",
    "known_problems",
    "load_problem",
    "open_run",
    "register_problem",
    "search",
]


def __getattr__(name: str) -> Any:
    """Return `Surrogate`, whose import brings torch.

    Args:
        name: Name of an attribute that isn't defined here.

    Raises:
        AttributeError: There is no such name.
    """
    if name == "Surrogate":
        from spaces.surrogate import Surrogate  # noqa: PLC0415 - brings torch

        return Surrogate
    raise AttributeError(f"module 'simstead' has no attribute {name!r}")
