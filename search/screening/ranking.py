"""A list of points by the probability of a class, where there is no reference to run them.

The threshold above which a point is kept is that of a screening: chosen on the validation split so
that a stated share of the class is kept. Nothing is run, so there is no audit: what the test split
says about the recall holds for points that are distributed as the data.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from problems import Problem, Target, UserError
from problems.data.cache import default_cache
from problems.data.dataset import generate
from search.run.records import ConfidenceInterval
from search.run.table import write_table
from search.screening.decision import SURROGATE, RecallRule, compare_classifier
from search.screening.kept_class import KeptClass, label_field
from search.screening.points import FilePoints, read_file_points
from search.screening.request import ScreeningRequest, check_request, write_json
from search.screening.threshold import CONFIDENCE, Threshold
from spaces.candidate import FrozenModel
from spaces.surrogate import Surrogate

RANKED_FILE, SUMMARY_FILE = "ranked.csv", "summary.json"

KEEP, SKIP, UNKNOWN = "keep", "skip", "unknown"
"""What the list says of a point; "unknown" where the surrogate has no answer."""


class RankingSummary(FrozenModel):
    """The results of a ranking.

    Args:
        problem: Name of the problem.
        artefact: Hash of the surrogate's artefact.
        label: Output field that holds the class.
        keep: Number of the class to keep, and its name.
        keep_recall: Requested share of the class to keep.
        points: Number of points.
        kept: Number of points above the threshold.
        unknown: Number of points without an answer.
        flagged: Number of points with a flag.
        threshold: The threshold.
        test_samples: Samples in the test split.
        recall: Share of the class that the rule keeps in the test split.
        skipped: Share of the test split that it skips.
    """

    problem: str
    artefact: str
    label: str
    keep: tuple[int, str]
    keep_recall: float
    points: int
    kept: int
    unknown: int
    flagged: int
    threshold: Threshold
    test_samples: int
    recall: ConfidenceInterval
    skipped: ConfidenceInterval


def rank_points(
    problem: Problem, surrogate: Surrogate, artefact: str, request: ScreeningRequest, folder: Path
) -> RankingSummary:
    """Write the points of a file in the order of their probability, and return the summary.

    Args:
        problem: A problem with recorded data.
        surrogate: Its surrogate.
        artefact: Hash of the artefact of the surrogate.
        request: The options, with the file of points.
        folder: A folder that is new or empty.

    Raises:
        UserError: There is no file of points, an option needs a simulation, the surrogate predicts
            no label or fails, no threshold can be chosen, or the folder is in use.
        UnknownNameError: There is no output field of the given name, or no such class.
    """
    path = _sweep(problem, request)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out: {folder} exists and isn't empty; name a new folder")
    if surrogate.encoding.target is not Target.LABEL:
        raise UserError(
            f"the surrogate predicts a {surrogate.encoding.target}, not the probability of a "
            "label; pick a trial with an encoding of a label"
        )
    points = read_file_points(problem, path)
    data = generate(problem, default_cache())
    field = label_field(problem, data.validation.outputs, request.label or "")
    kept_class = KeptClass.of(field, request.keep)
    rule = RecallRule(kept_class, request.keep_recall)
    judged = compare_classifier(problem, rule, data, SURROGATE, surrogate.run)
    if judged.threshold is None or judged.recall is None or judged.skipped is None:
        raise UserError(f"the surrogate fails on the validation split: {judged.reason}")
    table = _ranked(surrogate, points, kept_class, judged.threshold)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / RANKED_FILE)
    summary = RankingSummary(
        problem=problem.name,
        artefact=artefact,
        label=kept_class.label,
        keep=(kept_class.number, kept_class.name),
        keep_recall=request.keep_recall,
        points=len(table),
        kept=list(table["decision"]).count(KEEP),
        unknown=list(table["decision"]).count(UNKNOWN),
        flagged=sum(map(bool, table["flags"])),
        threshold=judged.threshold,
        test_samples=len(data.test),
        recall=judged.recall,
        skipped=judged.skipped,
    )
    write_json(folder / SUMMARY_FILE, summary)
    return summary


def _ranked(
    surrogate: Surrogate, points: FilePoints, kept_class: KeptClass, threshold: Threshold
) -> pd.DataFrame:
    """Return the table of the points, most probable first."""
    outputs, flags = surrogate.run(points.inputs, np.random.default_rng(0), flags=True)
    probability = kept_class.probability(outputs[kept_class.label])
    known = np.isfinite(probability)
    kept = probability >= threshold.score
    columns = {
        "row": np.arange(1, len(probability) + 1),
        **dict([points.groups] if points.groups else []),
        f"{kept_class.label}: {kept_class.name}": probability,
        "decision": np.where(known, np.where(kept, KEEP, SKIP), UNKNOWN),
        "flags": flags.texts(),
    }
    order = np.argsort(-np.where(known, probability, -np.inf), kind="stable")
    return pd.DataFrame(columns).iloc[order]


def _sweep(problem: Problem, request: ScreeningRequest) -> Path:
    """Return the file of points; options that need a simulation are refused."""
    check_request(problem, request)
    for option, value in (("--points", request.points), ("--audit", request.audit)):
        if value is not None:
            raise UserError(
                f"{option} needs a simulation, and problem {problem.name!r} has recorded data; "
                "leave it out"
            )
    if request.sweep is None:
        raise UserError(
            f"problem {problem.name!r} has recorded data, and no simulation to draw points; name "
            "a file with the input fields: --sweep points.csv"
        )
    return request.sweep


def format_ranking(summary: RankingSummary) -> Iterator[str]:
    """Yield lines with the number of points kept, the guarantee, and what the test split says."""
    threshold, recall, skipped = summary.threshold, summary.recall, summary.skipped
    unknown = f", {summary.unknown:,} without an answer" * bool(summary.unknown)
    yield (
        f"points       {summary.points:,}: {summary.kept:,} are kept, "
        f"{summary.points - summary.kept - summary.unknown:,} skipped{unknown}; "
        f"{summary.flagged:,} have flags"
    )
    yield (
        f"threshold    a probability of {threshold.score:.3g} or more of {summary.label} "
        f"{summary.keep[1]}, by {threshold.positives} such samples of the validation split"
    )
    short = threshold.guaranteed_recall < summary.keep_recall
    yield (
        f"guaranteed   recall {threshold.guaranteed_recall:.3f} or more with "
        f"{100.0 * CONFIDENCE:.0f} % confidence, for points distributed as that split"
        + f"; less than the requested {summary.keep_recall:g}, for which they are too few"
        * short
    )
    yield (
        f"test split   recall {recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f}), "
        f"{100.0 * skipped.value:.0f} % of its {summary.test_samples} samples are skipped"
    )
    yield "             nothing was run: there is no reference, and so no audit of skipped points"
