"""Statistics of forecasts: censored forecast horizons and the lines of the secular motion."""

import numpy as np

from problems.cases.planets.secular import secular_motion
from problems.interfaces.types import Array, Batch

PADDING = 8
"""Ratio of the padded to the given length of a path, whose spectrum is then finely sampled."""


def secular_periods(inputs: Batch) -> Array:
    """Return the shortest period (b,) [yr] of the eccentricity vectors in Laplace-Lagrange theory.

    Args:
        inputs: Systems at the epoch.
    """
    motion = secular_motion(inputs["star_mass"], inputs["mass"], inputs["elements"][..., 0])
    return 2.0 * np.pi / np.max(np.abs(motion.eccentricity.frequency), axis=1)


def restricted_mean_survival(time: Array, ended: Array, limit: float) -> float:
    """Return the mean time up to a limit, with right-censored times, by the product-limit estimate.

    Source: Kaplan & Meier, J. Am. Stat. Assoc. 53 (1958) 457. After the largest censored time the
    estimate stays constant (Gill, Ann. Stat. 8 (1980) 469).

    Args:
        time: Time (n,) of the end, or of the last observation.
        ended: Whether the end was observed (n,).
        limit: Time up to which survival is integrated.
    """
    mean, survival, last = 0.0, 1.0, 0.0
    for end in np.unique(time[ended & (time < limit)]):
        mean += survival * (end - last)
        survival *= 1.0 - np.sum(ended & (time == end)) / np.sum(time >= end)
        last = end
    return float(mean + survival * (limit - last))


def strongest_lines(vectors: Array) -> tuple[Array, Array]:
    """Return frequency [revolutions over the horizon] and amplitude (b, p) of the strongest line.

    The spectrum of the eccentricity vector, with a Hann window, is interpolated by a parabola about
    its maximum.
    Source: Laskar, Icarus 88 (1990) 266.

    Args:
        vectors: (k, h, ...) (b, t, p, c) at evenly spaced frames.
    """
    path = vectors[..., 0] + 1j * vectors[..., 1]
    frames = path.shape[1]
    window = np.hanning(frames + 2)[1:-1]
    points = PADDING * frames
    size = np.abs(np.fft.fft(path * window[:, None], n=points, axis=1)) / window.sum()
    peak = size.argmax(axis=1)[:, None]
    before, at, after = (
        np.log(np.take_along_axis(size, (peak + step) % points, axis=1)[:, 0] + 1e-300)
        for step in (-1, 0, 1)
    )
    curvature = np.minimum(before - 2.0 * at + after, -1e-12)
    shift = np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)
    amplitude = np.exp(at - 0.25 * (before - after) * shift)
    return (peak[:, 0] + shift) / PADDING, amplitude


def line_errors(predicted: Array, reference: Array) -> tuple[Array, Array]:
    """Return the differences (b, p) of the strongest lines of two sets of paths.

    Args:
        predicted: (k, h, ...) (b, t, p, c) at evenly spaced frames.
        reference: The same of the reference.

    Returns:
        Absolute difference of frequencies [revolutions over the horizon], relative one of
        amplitudes.
    """
    frequency, amplitude = strongest_lines(predicted)
    true_frequency, true_amplitude = strongest_lines(reference)
    frames = predicted.shape[1]
    # Frequencies that differ by a revolution a frame can't be told apart.
    turns = np.mod(frequency - true_frequency + 0.5 * frames, frames) - 0.5 * frames
    floor = np.finfo(float).tiny
    return np.abs(turns), np.abs(amplitude / np.maximum(true_amplitude, floor) - 1.0)
