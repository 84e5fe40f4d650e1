"""Sparse polynomials of the inputs: selected products of orthonormal polynomials of one input.

Sources: Blatman & Sudret, Journal of Computational Physics 230 (2011) 2345 (sparse expansions, size
by the leave-one-out error); Oladyshkin & Nowak, Reliability Engineering & System Safety 106 (2012)
179 (polynomials that are orthonormal for the data).
"""

import copy
import math
from collections.abc import Iterator
from itertools import combinations, islice, pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.least_squares import (
    NormalEquations,
    fit_logistic,
    leave_one_out_errors,
    principal_components,
    row_blocks,
    select_columns,
)
from spaces.solved_network import SolvedNetwork, first_slices
from spaces.training_targets import Learner, ProbabilityOutput, SolvedLearner

TERMS = (16, 32, 64, 128, 256)
"""Searched numbers of terms."""

MAX_FACTORS = 3
"""Largest number of inputs in a term: interactions of more inputs are rarely found in data."""

CANDIDATES = 3000
"""Largest number of terms among which terms are selected, unless more inputs have a linear term."""

SELECTION_PAIRS, SELECTION_COMPONENTS = 1500, 16
"""Largest numbers of pairs by which terms are selected, and of components of their targets."""

RIDGE = 1e-8
"""Weight of the penalty of least squares, relative to the number of pairs."""

LABEL_RIDGE = 1e-3
"""The same for the logits of labels, which are infinite for separable classes without a penalty."""

LABEL_NUMBERS = 2**26
"""Float64 numbers of features from which labels are learned, 512 MiB; later pairs are left out."""


def candidate_terms(inputs: int, degree: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield terms as pairs of an input and its degree, by rising total degree.

    Args:
        inputs: Number of inputs.
        degree: Largest total degree.
    """
    for total in range(1, degree + 1):
        for factors in range(1, min(MAX_FACTORS, inputs, total) + 1):
            for chosen in combinations(range(inputs), factors):
                for cuts in combinations(range(1, total), factors - 1):
                    bounds = (0, *cuts, total)
                    degrees = (b - a for a, b in pairwise(bounds))
                    yield tuple(zip(chosen, degrees, strict=True))


def factor_indices(inputs: int, degree: int, limit: int) -> Tensor:
    """Return the factors (MAX_FACTORS, k) of candidate terms, k <= limit.

    A factor of degree d in input i has the index d * inputs + i; missing factors have the index 0,
    which is the constant 1.

    Args:
        inputs: Number of inputs.
        degree: Largest total degree.
        limit: Largest number of terms.
    """
    terms = list(islice(candidate_terms(inputs, degree), limit))
    indices = torch.zeros(MAX_FACTORS, len(terms), dtype=torch.long)
    for column, term in enumerate(terms):
        for row, (which, power) in enumerate(term):
            indices[row, column] = power * inputs + which
    return indices


class PolynomialFeatures(nn.Module):
    """Products of polynomials of single inputs, (b, ...) -> (b, m).

    The polynomials of an input follow from a recurrence of three terms.

    Args:
        inputs: Number of inputs c.
        degree: Largest degree d.
        factors: The factors (MAX_FACTORS, m) of the terms, from `factor_indices`.
    """

    def __init__(self, inputs: int, degree: int, factors: Tensor) -> None:
        super().__init__()
        self.degree = degree
        self.centres = nn.Buffer(torch.zeros(degree, inputs))
        norms = torch.arange(1.0, degree + 1.0).sqrt()  # those of Hermite's polynomials
        self.inverse_norms = nn.Buffer(norms.reciprocal()[:, None].repeat(1, inputs))
        self.ratios = nn.Buffer(((norms - 1.0).clamp(min=0.0) / norms)[:, None].repeat(1, inputs))
        self.factors: Tensor = nn.Buffer(factors)

    def polynomials(self, x: Tensor) -> Tensor:
        """Return the polynomials (b, (d + 1) * c) of inputs (b, c), all inputs degree by degree."""
        values = [torch.ones_like(x), (x - self.centres[0]) * self.inverse_norms[0]]
        for k in range(1, self.degree):
            linear = (x - self.centres[k]) * self.inverse_norms[k]
            values.append(linear * values[k] - self.ratios[k] * values[k - 1])
        return torch.cat(values, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the terms (b, m) of inputs (b, ...) of c numbers."""
        values = self.polynomials(x.flatten(1))
        first, *others = (values.index_select(1, indices) for indices in self.factors.unbind(0))
        for factor in others:
            first = first * factor
        return first

    @torch.no_grad()
    def orthonormalise(self, inputs: Tensor) -> None:
        """Make the polynomials of each input orthonormal for inputs (n, c) (Stieltjes).

        An input with k different values has k such polynomials; those of higher degree are 0.
        """
        last, value = torch.zeros_like(inputs), torch.ones_like(inputs)
        norm = torch.zeros_like(inputs[0])
        tiny = torch.finfo(torch.float32).eps * inputs.abs().amax(dim=0)
        for k in range(self.degree):
            centre = (inputs * value.square()).mean(0)
            product = (inputs - centre) * value - norm * last
            length = product.square().mean(0).sqrt()
            inverse = torch.where(length <= tiny, 0.0, 1.0 / length.clamp(min=1e-300))
            self.centres[k] = centre
            self.inverse_norms[k] = inverse
            self.ratios[k] = norm * inverse
            last, value, norm = value, product * inverse, length


class Polynomial(SolvedNetwork):
    """Polynomial features and a linear layer, (b, ...) -> (b, o).

    Args:
        features: The features, (b, ...) -> (b, m).
        terms: Number of terms m.
        outputs: Number of outputs o.
    """

    features: PolynomialFeatures

    def resize_features(self, width: int) -> None:
        """Keep the first terms, or add constants: there are no more terms than are worth having."""
        self.features.factors = first_slices(self.features.factors, 1, width)


class PolynomialLearner(SolvedLearner):
    """Selects the terms of a polynomial and solves for their weights."""

    def solve(self, inputs: Tensor, targets: Tensor) -> None:
        """Set polynomials, terms and weights."""
        network, classes = self.network, 0
        if isinstance(network, ProbabilityOutput):
            network, classes = network.network, network.classes
        if not isinstance(network, Polynomial):
            raise TypeError(f"expected a Polynomial, got {type(network).__name__}")
        inputs = inputs.flatten(1)
        rows = torch.randperm(len(inputs))[:SELECTION_PAIRS].to(inputs.device)
        error = self._select(network, inputs[rows].double(), targets[rows].double())
        weights, offsets = _solve_weights(network.features, inputs, targets, classes)
        network.set_weights(weights, offsets)
        if not classes:
            terms = copy.deepcopy(network.features).double()(inputs[rows].double())
            network.reduce_rank(terms, weights, error)

    def _select(self, network: Polynomial, inputs: Tensor, targets: Tensor) -> float:
        """Set the terms that are worth having; return their leave-one-out error."""
        features, terms = network.features, network.head.in_features
        n_inputs = inputs.shape[1]
        limit = max(CANDIDATES, n_inputs)
        factors = factor_indices(n_inputs, features.degree, limit)
        candidates = PolynomialFeatures(n_inputs, features.degree, factors).to(inputs)
        candidates.orthonormalise(inputs)
        columns = candidates(inputs)
        columns -= columns.mean(0)
        components = principal_components(targets - targets.mean(0), SELECTION_COMPONENTS)
        selected = select_columns(columns, components, min(terms, len(inputs) - 2))
        features.centres.copy_(candidates.centres)
        features.inverse_norms.copy_(candidates.inverse_norms)
        features.ratios.copy_(candidates.ratios)
        if not len(selected):
            network.resize(1)
            features.factors.zero_()
            return float(targets.std(correction=0))
        errors = leave_one_out_errors(columns[:, selected], components)
        count = 1 + int(errors.argmin())
        network.resize(count)
        features.factors.copy_(candidates.factors[:, selected[:count]])
        return float((errors[count - 1] * components.shape[1] / targets.shape[1]).sqrt())


def _solve_weights(
    features: PolynomialFeatures, inputs: Tensor, targets: Tensor, classes: int
) -> tuple[Tensor, Tensor]:
    """Return the weights (m, o) of the terms, and the constant (o,).

    Args:
        features: The features.
        inputs: Inputs (n, c).
        targets: Targets (n, o).
        classes: Number of classes; 0 if targets are values.
    """
    precise = copy.deepcopy(features).double()
    constant = torch.zeros_like(features.factors[:, :1])
    precise.factors = torch.cat([features.factors, constant], dim=1)
    count = features.factors.shape[1]
    identity = torch.eye(count + 1, dtype=torch.float64, device=inputs.device)
    if classes:
        limit = LABEL_NUMBERS // (count + 1)
        columns, labels = precise(inputs[:limit].double()), targets[:limit].double()
        weights = fit_logistic(columns, labels, classes, LABEL_RIDGE * len(columns))
    else:
        equations = NormalEquations(identity)
        for some, wanted in row_blocks(inputs, targets, count):
            equations.add(precise(some.double()), wanted.double())
        weights = equations.solve(RIDGE * len(inputs))
    return weights[:-1], weights[-1]


@register_architecture("polynomial")
class SparsePolynomial(Architecture):
    """Sparse polynomials of a total degree of up to `degree`."""

    serves = serving((Layout.FLAT,)) | serving((Layout.SEQUENCE,), (Target.VALUE,))
    solved = True

    unsuited: ClassVar = {
        "int8": "terms of low and high degree share a scale: outputs differ by up to 0.4",
        "structured": "the number of terms is a setting of its own",
        "magnitude": "its terms are selected already, and runtimes don't skip single zeros",
        "2:4": "its terms are selected already",
    }

    first_settings: ClassVar[Settings] = {"degree": 6, "terms": 64}
    first_training: ClassVar[Settings] = {"labelled": 8192}

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen total degree and number of terms."""
        return {
            "degree": choose.integer("degree", 1, 16),
            "terms": choose.categorical("terms", TERMS),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the first terms and a linear layer; surplus terms repeat the first ones."""
        terms, degree = int(settings["terms"]), int(settings["degree"])
        inputs = math.prod(shape.inputs)
        factors = factor_indices(inputs, degree, terms)
        factors = factors[:, torch.arange(terms) % factors.shape[1]]
        features = PolynomialFeatures(inputs, degree, factors)
        return Polynomial(features, terms, shape.outputs)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the learner that solves."""
        return PolynomialLearner(network)
