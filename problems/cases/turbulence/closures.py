"""Classical closures of the resolved velocity."""

from dataclasses import dataclass

import numpy as np

from problems.cases.turbulence.filtering import (
    COMPONENTS,
    contracted,
    deviatoric,
    symmetric,
)
from problems.cases.turbulence.large_eddy import ResolvedFlow
from problems.interfaces.types import Array

TEST_FILTER_RATIO = 2.0
"""Width of the test filter over that of the grid's filter."""

GRADIENT_COEFFICIENT = 1.0 / 12.0
"""Leading term of the stress of a Gaussian filter, in squares of its width."""


def no_stress(flow: ResolvedFlow) -> Array:
    """Return zeros (6, n, n, n): the coarse simulation without a closure."""
    return np.zeros((len(COMPONENTS), *flow.velocity.shape[1:]), flow.velocity.dtype)


@dataclass(frozen=True)
class Smagorinsky:
    """tau = -2 (C width)^2 |S| S (Smagorinsky, Mon. Weather Rev. 91 (1963) 99).

    Args:
        constant: The constant C.
    """

    constant: float

    def __call__(self, flow: ResolvedFlow) -> Array:
        """Return the stress (6, n, n, n)."""
        length = np.float32(self.constant * flow.equations.filter_width)
        return (-2.0 * length**2) * (magnitude(flow.strain) * flow.strain)


def dynamic_smagorinsky(flow: ResolvedFlow) -> Array:
    """Return the stress (6, n, n, n) with a constant from a second, wider filter at every step.

    The constant is an average over the cube by least squares, and not negative (Germano et al.,
    Phys. Fluids A 3 (1991) 1760; Lilly, Phys. Fluids A 4 (1992) 633).

    Args:
        flow: The resolved flow.
    """
    equations, strain, velocity = flow.equations, flow.strain, flow.velocity
    width = np.float32(equations.filter_width)
    # Filters of widths a and b make one of width (a^2 + b^2)^0.5.
    second = (TEST_FILTER_RATIO**2 - 1.0) * width**2
    test = np.exp(-equations.squared * (second / 24.0)).astype(np.float32)
    stress = magnitude(strain) * strain
    products = np.stack([velocity[i] * velocity[j] for i, j in COMPONENTS])
    wide = equations.to_field(equations.to_modes(np.concatenate((products, stress))) * test)
    wide_modes = flow.modes * test
    wide_velocity = equations.to_field(wide_modes)
    wide_strain = symmetric(equations.gradient(wide_modes))
    between = deviatoric(
        wide[:6] - np.stack([wide_velocity[i] * wide_velocity[j] for i, j in COMPONENTS])
    )
    scale = -2.0 * width**2
    model = scale * (TEST_FILTER_RATIO**2 * magnitude(wide_strain) * wide_strain - wide[6:])
    squared = np.sum(contracted(model, model))
    constant = np.sum(contracted(between, model)) / np.maximum(squared, np.finfo(np.float32).tiny)
    return (scale * np.maximum(constant, np.float32(0.0))) * stress


@dataclass(frozen=True)
class Mixed:
    """The gradient model with a Smagorinsky term (Clark et al., J. Fluid Mech. 91 (1979) 1).

    Args:
        constant: Constant of the Smagorinsky term, 0 for the gradient model alone.
    """

    constant: float = 0.0

    def __call__(self, flow: ResolvedFlow) -> Array:
        """Return the stress (6, n, n, n)."""
        gradient, width = flow.gradient, np.float32(flow.equations.filter_width)
        products = np.stack(
            [np.einsum("k...,k...->...", gradient[i], gradient[j]) for i, j in COMPONENTS]
        )
        leading = deviatoric(np.float32(GRADIENT_COEFFICIENT) * width**2 * products)
        return leading + Smagorinsky(self.constant)(flow) if self.constant else leading


@dataclass(frozen=True)
class TensorExpansion:
    """width^2 (a |S| S + b S^2 + c R^2 + d (S R - R S)), deviatoric, with constant coefficients.

    These are the terms of second order in the velocity gradients of Pope's expansion (J. Fluid
    Mech. 72 (1975) 331); S is the strain rate and R the rotation rate.

    Args:
        coefficients: The coefficients a, b, c and d.
    """

    coefficients: tuple[float, ...]

    def __call__(self, flow: ResolvedFlow) -> Array:
        """Return the stress (6, n, n, n)."""
        return np.einsum(
            "t,tc...->c...", np.array(self.coefficients, np.float32), expansion_terms(flow)
        )


def expansion_terms(flow: ResolvedFlow) -> Array:
    """Return the terms (4, 6, n, n, n) of `TensorExpansion`."""
    gradient, width = flow.gradient, np.float32(flow.equations.filter_width)
    transposed = np.swapaxes(gradient, 0, 1)
    strain, rotation = (gradient + transposed) / 2, (gradient - transposed) / 2
    mixed = _product(strain, rotation)
    tensors = (
        magnitude(flow.strain) * strain,
        _product(strain, strain),
        _product(rotation, rotation),
        mixed + np.swapaxes(mixed, 0, 1),
    )
    rows = [np.stack([tensor[i, j] for i, j in COMPONENTS]) for tensor in tensors]
    return np.stack([width**2 * deviatoric(row) for row in rows])


def magnitude(strain: Array) -> Array:
    """Return |S| = (2 S_ij S_ij)^0.5 (...) of strain rates (6, ...)."""
    return np.sqrt(2 * contracted(strain, strain))


def without_backscatter(stress: Array, strain: Array) -> Array:
    """Return stresses (6, ...) that nowhere return energy to the resolved velocity.

    Where tau_ij S_ij is positive, the part of the stress along the strain rate is removed.

    Args:
        stress: Stresses.
        strain: Strain rates (6, ...).
    """
    returned = np.maximum(contracted(stress, strain), 0)
    squared = np.maximum(contracted(strain, strain), np.finfo(np.float32).tiny)
    return stress - (returned / squared) * strain


def _product(left: Array, right: Array) -> Array:
    """Return the matrix products (3, 3, ...) of tensors (3, 3, ...)."""
    return np.einsum("ik...,kj...->ij...", left, right)
