"""Pictures of predicted planetary systems beside integrated ones, with chaotic systems marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from problems.cases.planets.baselines import PredictabilityLimit
from problems.cases.planets.validation import (
    FORECAST_THRESHOLD,
    eccentricity,
    normalised_error,
    system_errors,
)
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.types import Array, Batch, take_samples

SYSTEMS_PLOTTED = 3
"""Systems of which orbits are drawn."""

SYSTEMS_COMPARED = 12
"""Systems whose errors are drawn over time. For each of them the reference is run once more."""

CACHED_SHADOWS = 256
"""Systems whose shadow trajectory a process caches: every finalist is drawn for the same ones."""


@dataclass(frozen=True)
class PlanetPictures:
    """Pictures of the orbits of the first systems, and of the errors of some more over time.

    Args:
        times_yr: Times of the frames [yr].
        limit: Says which systems are chaotic.
    """

    IDENTITY: ClassVar[str] = "planets/pictures"

    times_yr: tuple[float, ...]
    limit: PredictabilityLimit

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return paths of the eccentricity vector, e over time, and errors over time.

        Args:
            predicted: Outputs of the surrogate.
            reference: Outputs of the reference.
            inputs: Systems at the epoch.
        """
        systems = min(SYSTEMS_COMPARED, len(inputs["mass"]))
        chaotic = self.chaotic(
            *(take_samples(batch, slice(systems)) for batch in (inputs, reference))
        )
        drawn: list[Picture] = []
        for system in range(min(SYSTEMS_PLOTTED, systems)):
            drawn += self._orbits(system, predicted, reference, inputs, chaotic=chaotic[system])
        errors = normalised_error(
            predicted["elements"][:systems],
            reference["elements"][:systems],
            inputs["mass"][:systems] > 0.0,
        )
        curves = [
            Curve(
                f"system {system + 1}{_mark(chaotic=bool(chaotic[system]))}",
                self.times_yr,
                tuple(errors[system]),
            )
            for system in np.argsort(chaotic, kind="stable").tolist()
        ]
        title = f"Errors over time; {np.sum(chaotic)} of {systems} systems are chaotic"
        return [*drawn, Picture(title, "time [yr]", "normalised error", tuple(curves))]

    def chaotic(self, inputs: Batch, reference: Batch) -> Array:
        """Return which systems are chaotic (b,): a perturbed reference has an error above 0.1.

        A system whose perturbed run fails is chaotic too.

        Args:
            inputs: Systems at the epoch.
            reference: Outputs of the reference.
        """
        shadows = [
            _shadow_elements(
                self.limit,
                float(inputs["star_mass"][system]),
                np.ascontiguousarray(inputs["mass"][system], float).tobytes(),
                np.ascontiguousarray(inputs["elements"][system], float).tobytes(),
            )
            for system in range(len(inputs["mass"]))
        ]
        exists = inputs["mass"] > 0.0
        errors = system_errors(np.stack(shadows), reference["elements"], exists)
        return ~(errors <= FORECAST_THRESHOLD)

    def _orbits(
        self, system: int, predicted: Batch, reference: Batch, inputs: Batch, *, chaotic: bool
    ) -> list[Picture]:
        """Return the path of the eccentricity vector, and e over time, of one system."""
        both = (("reference", reference, True), ("predicted", predicted, False))
        paths: list[Curve] = []
        shapes: list[Curve] = []
        for planet in np.flatnonzero(inputs["mass"][system] > 0.0):
            for name, outputs, truth in both:
                label = f"planet {planet + 1}, {name}"
                track = outputs["elements"][system, :, planet]
                paths.append(Curve(label, tuple(track[:, 1]), tuple(track[:, 2]), truth))
                shapes.append(Curve(label, self.times_yr, tuple(eccentricity(track)), truth))
        title = f"System {system + 1}{_mark(chaotic=chaotic)}"
        path = f"{title}: path of the eccentricity vector"
        return [
            Picture(path, "e cos(ϖ)", "e sin(ϖ)", tuple(paths), equal_axes=True),
            Picture(f"{title}: eccentricity", "time [yr]", "e", tuple(shapes)),
        ]


def _mark(*, chaotic: bool) -> str:
    return " (chaotic)" if chaotic else ""


@lru_cache(maxsize=CACHED_SHADOWS)
def _shadow_elements(
    limit: PredictabilityLimit, star_mass: float, mass: bytes, elements: bytes
) -> Array:
    masses = np.frombuffer(mass)
    inputs = {
        "star_mass": np.array([star_mass]),
        "mass": masses[None],
        "elements": np.frombuffer(elements).reshape(1, len(masses), -1),
    }
    return limit.shadow(inputs, np.random.default_rng(0))["elements"][0]
