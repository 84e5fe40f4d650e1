"""What a run bought of its budget of further simulations, and what random draws would have cost."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from problems.diagnosis.learning_curve import PowerLaw, fit_power_law
from search.run.records import DatasetSummary
from search.run.simulations import SimulationsSummary

ErrorCurve = tuple[tuple[int, float], ...]
"""(training samples, error), fewest samples first."""

MIN_LAW_POINTS = 3


class SimulationsView(NamedTuple):
    """The bought samples of a run.

    Args:
        sentences: What was bought and how, in words.
        emulator: Name of the emulator.
        chosen: Errors in the replay by the rule, geometric means over its starts.
        random: The same of random draws.
        bought: Errors with the bought samples.
        random_law: Errors of random draws with as many samples, extrapolated by a power law.
    """

    sentences: tuple[str, ...]
    emulator: str
    chosen: ErrorCurve
    random: ErrorCurve
    bought: ErrorCurve
    random_law: ErrorCurve


def simulations_view(data: DatasetSummary | None) -> SimulationsView | None:
    """Return the bought samples of a run; None if it bought none."""
    summary = data.simulations if data else None
    if summary is None:
        return None
    replay = summary.plan.replay
    chosen, random = (
        _finite((p.samples, _geometric_mean(getattr(p, way))) for p in replay.points)
        for way in ("chosen", "random")
    )
    bought = _finite((point.samples, point.error) for point in summary.points)
    law = fit_power_law(*zip(*random, strict=True)) if len(random) >= MIN_LAW_POINTS else None
    return SimulationsView(
        sentences=_sentences(summary, bought, law),
        emulator=replay.emulator,
        chosen=chosen,
        random=random,
        bought=bought,
        random_law=tuple((n, law.predict(n)) for n, _ in bought) if law else (),
    )


def _sentences(
    summary: SimulationsSummary, bought: ErrorCurve, law: PowerLaw | None
) -> tuple[str, ...]:
    plan, text = summary.plan, summary.description
    sentences = [f"{text[0].upper()}{text[1:]}."]
    if plan.replay.chooses and law and len(bought) > 1:
        start, (samples, error) = bought[0][0], bought[-1]
        gained = law.scale / (error - law.floor) if error > law.floor else math.inf
        needed = gained ** (1.0 / law.exponent) if law.exponent > 0.0 else math.inf
        if start < needed < math.inf:
            sentences.append(
                f"For this error random draws would need about {round(needed) - start:,} samples "
                f"in place of {samples - start:,}, by a power law extrapolated from the replay."
            )
    if plan.sample_s is not None:
        hours = plan.simulations * plan.sample_s / 3600.0
        sentences.append(
            f"The {plan.simulations:,} simulations take {hours:.3g} h of the reference, one call "
            "after the other."
        )
    return tuple(sentences)


def _geometric_mean(errors: tuple[float, ...]) -> float:
    positive = all(0.0 < error < math.inf for error in errors)
    return float(np.exp(np.mean(np.log(errors)))) if errors and positive else math.nan


def _finite(points: Iterable[tuple[int, float]]) -> ErrorCurve:
    return tuple((n, error) for n, error in points if 0.0 < error < math.inf)
