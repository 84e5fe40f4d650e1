"""Numbers that a system's fate may be told by; none of them changes under a common rotation.

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
    max_relative_eccentricity,
    relative_eccentricity,
    resonance_overlap,
    resonance_strength,
    system_frame_elements,
    three_body_spacing,
)
from problems.interfaces.types import Array, Batch

LOG_FLOOR = 1e-8
"""Eccentricities, inclinations and changes below this are as good as none."""

AXIS_CHANGE_SCALE = 1e-4
"""Relative change of an axis from which on its logarithm is told rather than itself."""


def log(values: Array) -> Array:
    """Return log10, of what is next to nothing that of the smallest."""
    return np.log10(np.maximum(values, LOG_FLOOR))


def scale_free(inputs: Batch) -> Array:
    """Return masses, gaps and Hill spacings (b, 7) as logarithms."""
    mass, elements = inputs["mass"], inputs["elements"]
    return np.concatenate(
        [np.log10(mass), log(axis_gap(elements)), log(hill_spacing(mass, elements))], axis=-1
    )


def orbit_shapes(inputs: Batch) -> Array:
    """Return eccentricities, tilts and what neighbours differ by (b, 10), as logarithms."""
    elements = system_frame_elements(inputs["mass"], inputs["elements"])
    eccentricity, tilt = complex_orbit_vectors(elements)
    relative = relative_eccentricity(elements) / axis_gap(elements)
    mutual = np.abs(np.diff(tilt, axis=-1))
    return np.concatenate(
        [log(np.abs(eccentricity)), log(np.abs(tilt)), log(relative), log(mutual)], axis=-1
    )


def orbit_angles(inputs: Batch) -> Array:
    """Return directions of e- and I-vectors and longitudes (b, 18) as cosines and sines."""
    elements = system_frame_elements(inputs["mass"], inputs["elements"])
    parts = [each / np.maximum(np.abs(each), EPSILON) for each in complex_orbit_vectors(elements)]
    parts.append(np.exp(1j * elements[..., 5]))
    return np.concatenate([part for each in parts for part in (each.real, each.imag)], axis=-1)


def stability_criteria(inputs: Batch) -> Array:
    """Return AMD over critical, overlap and nearness of resonances (b, 13) as logarithms.

    Overlap is told at the epoch and where secular theory has the eccentricities differ most.
    """
    mass = inputs["mass"]
    elements = system_frame_elements(mass, inputs["elements"])
    of_collision, of_hill = amd_ratios(mass, elements)
    extreme = max_relative_eccentricity(mass, elements)
    return np.concatenate(
        [
            log(of_collision),
            log(of_hill),
            log(resonance_overlap(mass, elements, relative_eccentricity(elements))),
            log(resonance_overlap(mass, elements, extreme)),
            log(extreme / axis_gap(elements)),
            log(resonance_strength(mass, elements)),
            log(three_body_spacing(mass, elements)),
        ],
        axis=-1,
    )


def time_series(inputs: Batch, short_run: ShortRunResult, stride: int, *, chaos: bool) -> Array:
    """Return every stride-th frame's numbers (b, t, c); those of the epoch stand in every frame.

    Args:
        inputs: The systems.
        begun: Their short run.
        stride: Which frames are read.
        chaos: Whether MEGNO is told, which the short run followed.
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
    """Return what theory says of the epoch and how the short run went (b, c), as logarithms.

    Args:
        inputs: The systems.
        begun: Their short run.
        chaos: Whether MEGNO is told, which the short run followed.
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
