"""Features from which the stability of a system is predicted, invariant under common rotations.

Sources: Tamayo et al., PNAS 117 (2020) 18194 (summaries of a short run); Cranmer et al., PNAS 118
(2021) e2026053118 (series of elements).
"""

import numpy as np

from problems.cases.stability.short_run import ShortRunResult
from problems.cases.stability.theory import (
    EPSILON,
    amd_ratios,
    angular_momentum_deficit,
    axis_gap,
    complex_orbit_vectors,
    hill_spacing,
    relative_eccentricity,
    resonance_overlap,
    resonance_strength,
    secular_scales,
    system_frame_elements,
    three_body_spacing,
)
from problems.interfaces.types import Array, Batch

LOG_FLOOR = 1e-8
"""Lower limit of the argument of logarithms; smaller values are equivalent to zero."""

AXIS_CHANGE_SCALE = 1e-4
"""Relative change of an axis above which the feature grows as its logarithm."""


def log(values: Array) -> Array:
    """Return log10 of values (...,), with `LOG_FLOOR` in place of smaller values."""
    return np.log10(np.maximum(values, LOG_FLOOR))


def scale_free(inputs: Batch) -> Array:
    """Return the logarithms of masses, gaps and Hill spacings (b, 7)."""
    mass, elements = inputs["mass"], inputs["elements"]
    return np.concatenate(
        [np.log10(mass), log(axis_gap(elements)), log(hill_spacing(mass, elements))], axis=-1
    )


def orbit_shapes(inputs: Batch) -> Array:
    """Return the logarithms of eccentricities, tilts and differences of neighbours (b, 10)."""
    elements = system_frame_elements(inputs["mass"], inputs["elements"])
    eccentricity, tilt = complex_orbit_vectors(elements)
    relative = relative_eccentricity(elements) / axis_gap(elements)
    mutual = np.abs(np.diff(tilt, axis=-1))
    return np.concatenate(
        [log(np.abs(eccentricity)), log(np.abs(tilt)), log(relative), log(mutual)], axis=-1
    )


def orbit_angles(inputs: Batch) -> Array:
    """Return cosines and sines of the angles of e- and I-vectors and of longitudes (b, 18)."""
    elements = system_frame_elements(inputs["mass"], inputs["elements"])
    vectors = complex_orbit_vectors(elements)
    phases = [vector / np.maximum(np.abs(vector), EPSILON) for vector in vectors]
    phases.append(np.exp(1j * elements[..., 5]))
    return np.concatenate([part for phase in phases for part in (phase.real, phase.imag)], axis=-1)


def stability_criteria(inputs: Batch) -> Array:
    """Return the logarithms of AMD ratios, resonances and secular periods (b, 16).

    The overlap of resonances is that at the epoch and that at the largest relative eccentricity in
    the secular motion. The periods of this motion, in innermost orbits, are the times in which
    eccentricities change.
    """
    mass = inputs["mass"]
    elements = system_frame_elements(mass, inputs["elements"])
    of_collision, of_hill = amd_ratios(mass, elements)
    extreme, periods = secular_scales(mass, elements)
    return np.concatenate(
        [
            log(of_collision),
            log(of_hill),
            log(resonance_overlap(mass, elements, relative_eccentricity(elements))),
            log(resonance_overlap(mass, elements, extreme)),
            log(extreme / axis_gap(elements)),
            log(periods),
            log(resonance_strength(mass, elements)),
            log(three_body_spacing(mass, elements)),
        ],
        axis=-1,
    )


def time_series(inputs: Batch, short_run: ShortRunResult, stride: int, *, chaos: bool) -> Array:
    """Return the features of every stride-th frame (b, t, c), including those of the epoch.

    Args:
        inputs: Systems at the epoch.
        short_run: Short run of the systems.
        stride: Distance between the frames.
        chaos: Whether MEGNO is a feature; the short run must contain it.
    """
    frames = slice(stride - 1, None, stride)
    elements = short_run.elements[:, frames]
    start = inputs["elements"]
    eccentricity, tilt = complex_orbit_vectors(elements)
    gap = axis_gap(start)[:, None]
    relative = np.diff(eccentricity, axis=-1) / gap
    change = np.log(elements[..., 0] / start[:, None, :, 0])
    constant = [
        scale_free(inputs),
        stability_criteria(inputs),
        log(short_run.duration_orbits)[:, None],
    ]
    parts = [
        np.arcsinh(change / AXIS_CHANGE_SCALE),
        log(np.abs(eccentricity)),
        log(np.abs(relative)),
        relative.real,
        relative.imag,
        log(np.abs(np.diff(tilt, axis=-1))),
        np.repeat(np.concatenate(constant, axis=-1)[:, None], elements.shape[1], axis=1),
    ]
    if chaos:
        parts.append(log(np.abs(short_run.megno[:, frames, None] - 2.0)))
    return np.concatenate(parts, axis=-1)


def summary_features(inputs: Batch, short_run: ShortRunResult, *, chaos: bool) -> Array:
    """Return the logarithms of features of the epoch and of the short run (b, c).

    Args:
        inputs: Systems at the epoch.
        short_run: Short run of the systems.
        chaos: Whether MEGNO is a feature; the short run must contain it.
    """
    mass = inputs["mass"][:, None]
    elements = short_run.elements
    eccentricity, tilt = complex_orbit_vectors(elements)
    gap = axis_gap(inputs["elements"])[:, None]
    relative = np.abs(np.diff(eccentricity, axis=-1)) / gap
    axis = np.log(elements[..., 0] / inputs["elements"][:, None, :, 0])
    half = elements.shape[1] // 2
    deficit = np.sum(angular_momentum_deficit(mass, elements), axis=-1, keepdims=True)
    parts = [
        scale_free(inputs),
        orbit_shapes(inputs),
        stability_criteria(inputs),
        log(short_run.duration_orbits)[:, None],
        log(relative.max(axis=1)),
        log(relative.mean(axis=1)),
        log(relative.std(axis=1)),
        log(np.abs(eccentricity).max(axis=1)),
        log(np.abs(eccentricity).std(axis=1)),
        log(np.abs(np.diff(tilt, axis=-1)).max(axis=1)),
        log(axis.std(axis=1)),
        log(np.abs(axis[:, half:].mean(axis=1) - axis[:, :half].mean(axis=1))),
        log(deficit.std(axis=1) / np.maximum(deficit.mean(axis=1), EPSILON)),
        log(resonance_overlap(mass, elements, relative_eccentricity(elements)).max(axis=1)),
        log(resonance_strength(mass, elements).mean(axis=1)),
    ]
    if chaos:
        departure = np.abs(short_run.megno[..., None] - 2.0)
        parts += [log(departure[:, -1]), log(departure[:, half:].mean(axis=1))]
    return np.concatenate(parts, axis=-1)
