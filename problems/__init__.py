"""What is replaced: simulations, their encodings and how a prediction is judged."""

from problems.core import (
    SPLITS,
    Array,
    Batch,
    Choose,
    Dataset,
    Encoding,
    Field,
    Layout,
    Pairs,
    Predict,
    Run,
    Scalar,
    Settings,
    Simulation,
    Size,
    Split,
    Surrogate,
    Target,
)
from problems.elements import GraphEncoding, SetEncoding
from problems.encodings import (
    FlatEncoding,
    Grid1DEncoding,
    Grid2DEncoding,
    Grid3DEncoding,
    SequenceEncoding,
)
from problems.errors import InterruptedRunError, MissingExtraError, UnknownNameError, UserError
from problems.loading import load_problem
from problems.pictures import Curve, Picture
from problems.policies import PolicyEncoding
from problems.problem import (
    BaselineMargin,
    Calibration,
    Deployment,
    FittedBaseline,
    Goals,
    Host,
    Metric,
    Problem,
    Profile,
    Samples,
    Symmetry,
)
from problems.recorded import Recorded
from problems.registry import Registry, known_problems, register_problem
from problems.rollout import RollOutEncoding
from problems.scores import NormalisedError
from problems.splitting import Beyond
from problems.vectors import TensorEncoding, VectorsEncoding

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
    "Pairs",
    "Picture",
    "PolicyEncoding",
    "Predict",
    "Problem",
    "Profile",
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
    "register_problem",
]
