"""Problems: simulations or recorded data, encodings, and scores of predictions."""

from problems.data.read_options import ReadOptions
from problems.data.recorded_declaration import Recorded
from problems.data.splits import Beyond
from problems.encodings.aligned import (
    FlatEncoding,
    Grid1DEncoding,
    Grid2DEncoding,
    Grid3DEncoding,
    LabelEncoding,
    SequenceEncoding,
)
from problems.encodings.rollout import RollOutEncoding
from problems.encodings.sets_and_graphs import GraphEncoding, SetEncoding
from problems.encodings.vectors_and_tensors import TensorEncoding, VectorsEncoding
from problems.errors import InterruptedRunError, MissingExtraError, UnknownNameError, UserError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.policies import PolicyEncoding
from problems.interfaces.problem import (
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
from problems.interfaces.types import (
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
    Target,
)
from problems.interfaces.types import (
    EncodedNetwork as Surrogate,  # the name in users' files
)
from problems.label_scores import LabelScore
from problems.registry import Registry, known_problems, register_problem
from problems.scores import NormalisedError
from problems.sources import load_problem

__all__ = [
    "SPLITS",
    "Array",
    "BaselineMargin",
    "Batch",
    "Beyond",
    "Calibration",
    "Choose",
    "ClassField",
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
    "LabelEncoding",
    "LabelScore",
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
    "register_problem",
]
