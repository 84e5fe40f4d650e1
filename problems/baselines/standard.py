"""The baselines that every problem gets, by the layout and target of its encodings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems.baselines.classifiers import (
    fit_boosted_classifier,
    fit_forest_classifier,
    fit_logistic_regression,
    fit_neighbour_classifier,
    fit_process_classifier,
)
from problems.baselines.densities import fit_gaussian_mixture, fit_kernel_density
from problems.baselines.gaussian_process import fit_gaussian_process
from problems.baselines.linear_models import fit_linear, fit_polynomial, fit_reduced_rank
from problems.baselines.local_models import fit_nearest_neighbours, fit_radial_basis_functions
from problems.baselines.structured import (
    fit_component_process,
    fit_element_trees,
    fit_spectral_filter,
    fit_summary_classifier,
    fit_summary_forest,
)
from problems.baselines.training_rows import FittedModel, Method, TrainingRows
from problems.baselines.trees import fit_boosted_trees, fit_random_forest
from problems.encodings.cheap_run import CheapRunEncoding
from problems.encodings.rollout import RollOutEncoding
from problems.interfaces.problem import Problem
from problems.interfaces.types import (
    Array,
    Encoding,
    Layout,
    RollsForward,
    Target,
)

REGRESSIONS: Mapping[str, Method] = {
    "linear": fit_linear,
    "polynomial": fit_polynomial,
    "nearest neighbours": fit_nearest_neighbours,
    "Gaussian process": fit_gaussian_process,
    "radial basis functions": fit_radial_basis_functions,
    "boosted trees": fit_boosted_trees,
    "random forest": fit_random_forest,
}
"""Models of values as a function of the inputs."""

CLASSIFIERS: Mapping[str, Method] = {
    "logistic regression": fit_logistic_regression,
    "nearest neighbours": fit_neighbour_classifier,
    "Gaussian process": fit_process_classifier,
    "boosted trees": fit_boosted_classifier,
    "random forest": fit_forest_classifier,
}

ROLL_OUTS: Mapping[str, Method] = {
    "linear autoregression": fit_linear,
    "dynamic mode decomposition": fit_reduced_rank,
    "Gaussian process of a step": fit_gaussian_process,
}

DISTRIBUTIONS: Mapping[str, Method] = {
    "kernel density": fit_kernel_density,
    "Gaussian mixture": fit_gaussian_mixture,
}

CHEAP_RUN_MODELS: Mapping[str, Method] = {
    "linear correction of the cheap run": fit_linear,
    "Gaussian process of the cheap run": fit_gaussian_process,
}
"""Models of what the reference adds to a cheap run, as a function of inputs and cheap outputs."""

FLAT_MODELS: Mapping[Target, Mapping[str, Method]] = {
    Target.VALUE: REGRESSIONS,
    Target.LABEL: CLASSIFIERS,
    Target.DISTRIBUTION: DISTRIBUTIONS,
}
"""Models in the place of the network of a flat encoding."""

STRUCTURED: Mapping[str, Method] = {
    "linear": fit_linear,
    "Gaussian process of components": fit_component_process,
}
"""Models of values where no encoding is flat, beside those of `_structured_models`."""

GRIDS = frozenset({Layout.GRID1D, Layout.GRID2D, Layout.GRID3D})

MEAN = "mean"


class StandardBaseline(NamedTuple):
    """A baseline that a problem gets.

    Args:
        method: Fits the model to the pairs of the encoding; None for the mean of the outputs.
        encoding: Name of the encoding whose network the model replaces; "" for the mean.
    """

    method: Method | None = None
    encoding: str = ""


@dataclass(frozen=True)
class ZeroNetwork:
    """A network whose targets are 0, (b, ...) -> (b, o).

    Args:
        outputs: Number of targets.
    """

    outputs: int

    def __call__(self, inputs: Array) -> Array:
        """Return zeros (b, o)."""
        return np.zeros((len(inputs), self.outputs), dtype=np.float32)


def fit_zero(rows: TrainingRows) -> FittedModel:
    """Return the network whose targets are 0, for an encoding that corrects an answer.

    Args:
        rows: The training rows.
    """
    return FittedModel(ZeroNetwork(rows.targets.shape[1]), ())


def standard_baselines(problem: Problem) -> dict[str, StandardBaseline]:
    """Return the baselines that a problem gets by their names, those of its user left out.

    Models of the inputs take the place of the network in the first flat encoding, and models that
    are called again and again in the first encoding for roll-outs. Where there is neither, models
    of sequences, grids, sets and graphs take that of the first network of values.

    Args:
        problem: The problem.
    """
    if not problem.standard_baselines:
        return {}
    named = dict(_models(problem))
    if any(encoding.target is not Target.POLICY for encoding in problem.encodings.values()):
        named = {MEAN: StandardBaseline(), **named}
    return {name: baseline for name, baseline in named.items() if name not in problem.baselines}


def baseline_encodings(problem: Problem) -> frozenset[str]:
    """Return the encodings in which the models of standard baselines are fitted.

    They are the same once the fitted ones have been added to the baselines of the problem.

    Args:
        problem: The problem.
    """
    if not problem.standard_baselines:
        return frozenset()
    return frozenset(baseline.encoding for _, baseline in _models(problem))


def _models(problem: Problem) -> Iterator[tuple[str, StandardBaseline]]:
    """Yield the models with their names."""
    encodings = problem.encodings
    values = [name for name, each in encodings.items() if each.target is Target.VALUE]
    flat = {
        target: [
            name
            for name, each in encodings.items()
            if each.target is target and each.layout is Layout.FLAT
        ]
        for target in Target
    }
    cheap = [n for n in flat[Target.VALUE] if isinstance(encodings[n], CheapRunEncoding)]
    rolling = [name for name in values if isinstance(encodings[name], RollsForward)]
    for target, methods in FLAT_MODELS.items():
        yield from _each(methods, flat[target])
    yield from _each(CHEAP_RUN_MODELS, cheap)
    if values and not flat[Target.VALUE] and not rolling:
        yield from _each(_structured_models(encodings[values[0]]), values)
    if not flat[Target.LABEL]:
        whole = [
            name
            for name, encoding in encodings.items()
            if encoding.target is Target.LABEL and not encoding.aligned
        ]
        yield from _each({"forest of summaries": fit_summary_classifier}, whole)
    yield from _each(ROLL_OUTS, rolling)
    corrected = next(
        (name for name in values if encodings[name].corrected_baseline is not None), None
    )
    if corrected is not None:
        persists = isinstance(encodings[corrected], RollOutEncoding)
        yield "last value" if persists else "no correction", StandardBaseline(fit_zero, corrected)


def _structured_models(encoding: Encoding) -> Mapping[str, Method]:
    """Return the models of values that suit an encoding which isn't flat."""
    if not encoding.aligned:
        return {**STRUCTURED, "forest of summaries": fit_summary_forest}
    filters = {"spectral filter": fit_spectral_filter} if encoding.layout in GRIDS else {}
    return {**STRUCTURED, "trees of each element": fit_element_trees, **filters}


def _each(
    methods: Mapping[str, Method], encodings: Sequence[str]
) -> Iterator[tuple[str, StandardBaseline]]:
    """Yield the models in the first of the encodings, nothing if there is none."""
    for encoding in encodings[:1]:
        for name, method in methods.items():
            yield name, StandardBaseline(method, encoding)
