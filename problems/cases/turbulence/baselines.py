"""Large-eddy simulations with classical closures, whose constants are fitted to the training split.

A constant is fitted to the spectrum of the runs in which it takes part: a constant that gives the
right dissipation of the filtered velocity leaves an error of the spectrum that another one removes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize_scalar

from problems.cases.turbulence.closures import (
    Mixed,
    Smagorinsky,
    TensorExpansion,
    expansion_terms,
)
from problems.cases.turbulence.filtering import CONTRACTION, coarse_equations
from problems.cases.turbulence.large_eddy import Closure, ResolvedFlow, Schedule, large_eddy_run
from problems.cases.turbulence.simulation import ForcedTurbulence
from problems.cases.turbulence.validation import FIRST_UNFORCED, log_spectra
from problems.interfaces.types import Batch, Run, Split

CONSTANTS = (0.02, 0.2)
"""Range in which the constant of an eddy viscosity is fitted."""

CONSTANT_TOLERANCE = 0.004
"""Accuracy of the constant; spectra change by less than those of two runs of the reference."""

RUNS_OF_FIT = 2
"""Training runs to which a constant is fitted."""


@dataclass(frozen=True)
class LargeEddySimulation:
    """A large-eddy simulation with one closure.

    Args:
        points: Points of the coarse grid along a side.
        schedule: Times of the run.
        closure: The closure.
    """

    IDENTITY: ClassVar[str] = "turbulence/large-eddy-simulation"

    points: int
    schedule: Schedule
    closure: Closure

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - a baseline's signature
        """Return the outputs of the runs."""
        return large_eddy_run(
            self.points,
            self.schedule,
            inputs,
            lambda histories: [self.closure(flow) for flow, *_ in histories],
        )


@dataclass(frozen=True)
class FittedConstant:
    """A closure with one constant, by which the spectrum of training runs is closest.

    Args:
        simulation: The reference.
        closure: Makes the closure from its constant.
    """

    IDENTITY: ClassVar[str] = "turbulence/fitted-constant"

    simulation: ForcedTurbulence
    closure: Callable[[float], Closure]

    def fit(self, train: Split) -> Run:
        """Return the large-eddy simulation with the fitted constant."""
        some = train.take(np.arange(min(RUNS_OF_FIT, len(train))))
        expected = log_spectra(some.outputs["spectrum"])

        def error(constant: float) -> float:
            run = self._simulation(constant)(some.inputs, np.random.default_rng(0))
            difference = log_spectra(run["spectrum"]) - expected
            return float(np.mean(difference[:, FIRST_UNFORCED - 1 :] ** 2))

        fitted = minimize_scalar(
            error, bounds=CONSTANTS, method="bounded", options={"xatol": CONSTANT_TOLERANCE}
        )
        return self._simulation(float(fitted.x))

    def _simulation(self, constant: float) -> LargeEddySimulation:
        reference = self.simulation
        return LargeEddySimulation(reference.coarse, reference.schedule, self.closure(constant))


@dataclass(frozen=True)
class FittedExpansion:
    """The tensor expansion with the coefficients that fit the training stresses best.

    Args:
        simulation: The reference.
    """

    IDENTITY: ClassVar[str] = "turbulence/fitted-expansion"

    simulation: ForcedTurbulence

    def fit(self, train: Split) -> Run:
        """Return the large-eddy simulation with coefficients by least squares."""
        equations = coarse_equations(self.simulation.coarse, 0.0)
        frames = np.asarray(train.outputs["velocity"], np.float32)
        products, moments = np.zeros((4, 4)), np.zeros(4)
        for velocity, stress in zip(
            frames.reshape(-1, *frames.shape[2:]),
            train.outputs["stress"].reshape(-1, 6, *frames.shape[3:]),
            strict=True,
        ):
            terms = expansion_terms(ResolvedFlow(equations, equations.to_modes(velocity)))
            rows = terms.reshape(4, 6, -1).astype(float)
            weighted = rows * CONTRACTION[None, :, None]
            products += np.einsum("acp,bcp->ab", weighted, rows)
            moments += np.einsum("acp,cp->a", weighted, stress.reshape(6, -1))
        coefficients = tuple(map(float, np.linalg.solve(products, moments)))
        reference = self.simulation
        return LargeEddySimulation(
            reference.coarse, reference.schedule, TensorExpansion(coefficients)
        )


def eddy_viscosity(simulation: ForcedTurbulence) -> FittedConstant:
    """Return the Smagorinsky model with a constant to be fitted."""
    return FittedConstant(simulation, Smagorinsky)


def mixed_model(simulation: ForcedTurbulence) -> FittedConstant:
    """Return the gradient model with a Smagorinsky term whose constant is to be fitted."""
    return FittedConstant(simulation, Mixed)
