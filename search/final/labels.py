"""The results for surrogates of labels: which inputs matter, and the worst errors by name."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from problems import Array, Problem, Size, Target
from problems.interfaces.class_fields import ClassField, class_fields, with_classes
from search.final.label_results import LABELS_FILE, InputSensitivity, LabelResults, WorstLabel
from search.final.sensitivity import input_changes
from search.run.directory import RunDirectory
from search.run.records import Record
from search.trial.scoring import SplitScore
from spaces.surrogate import Surrogate

BUDGET_S, TINY_BUDGET_S = 10.0, 0.5
"""Time of the differences that show which inputs of a surrogate matter [s]."""

SHOWN = 20
"""Channels, elements and errors that are told, the most important ones."""


class EvaluatedSurrogate(NamedTuple):
    """A finalist with its record and its score on the test split."""

    record: Record
    surrogate: Surrogate
    test: SplitScore

    @property
    def is_of_labels(self) -> bool:
        """Whether it predicts labels, and succeeds on a test sample."""
        is_label = self.surrogate.encoding.target is Target.LABEL
        return is_label and len(self.test.valid_samples) > 0


def write_label_results(
    problem: Problem,
    run: RunDirectory,
    finalists: Mapping[int, EvaluatedSurrogate],
    recommended: int | None,
) -> None:
    """Write which inputs matter and which errors are worst, where labels are predicted.

    Args:
        problem: The problem.
        run: The run.
        finalists: Surrogates by the numbers of their trials.
        recommended: The recommended trial, or None.
    """
    if recommended is None or not finalists[recommended].is_of_labels:
        return
    budget_s = TINY_BUDGET_S if run.spec().size is Size.TINY else BUDGET_S
    results = LabelResults(
        recommended=recommended,
        sensitivities=tuple(
            sensitivity
            for finalist in _representatives(problem, finalists, recommended)
            if (sensitivity := _sensitivity(finalist, budget_s)) is not None
        ),
        worst=_worst(problem, finalists[recommended].test),
    )
    run.write(LABELS_FILE, results)


def _representatives(
    problem: Problem, finalists: Mapping[int, EvaluatedSurrogate], recommended: int
) -> list[EvaluatedSurrogate]:
    """Return the recommended surrogate, and the most accurate one of each other encoding."""
    error = problem.objective.name
    first, others = finalists[recommended], [f for f in finalists.values() if f.is_of_labels]
    chosen = {first.record.candidate.encoding: first}
    for finalist in sorted(others, key=lambda each: each.record.metrics[error]):
        chosen.setdefault(finalist.record.candidate.encoding, finalist)
    return list(chosen.values())


def _sensitivity(finalist: EvaluatedSurrogate, budget_s: float) -> InputSensitivity | None:
    try:
        changes = input_changes(finalist.surrogate, finalist.test.valid_samples, budget_s)
    except Exception:  # noqa: BLE001 - a user's encoding may raise anything, and the figure is optional
        return None
    return InputSensitivity(
        trial=finalist.record.number,
        encoding=finalist.record.candidate.encoding,
        samples=changes.samples,
        channels=changes.channels[:SHOWN],
        channels_in_all=len(changes.channels),
        elements=changes.elements[:SHOWN],
        elements_in_all=len(changes.elements),
    )


def _worst(problem: Problem, test: SplitScore) -> tuple[WorstLabel, ...]:
    """Return the samples whose class has the smallest probability, the smallest first."""
    split, worst = test.valid_samples, list[WorstLabel]()
    names = test.valid_indices.astype(str) if split.names is None else split.names
    for field in _label_fields(problem, test):
        exact = field.probabilities(split.outputs[field.name])
        chance = field.probabilities(test.valid_outputs[field.name])
        given = np.sum(exact * chance, axis=1)
        words = [
            field.words(np.asarray(b[field.name])) for b in (split.outputs, test.valid_outputs)
        ]
        for index in np.argsort(given, kind="stable")[:SHOWN].tolist():
            if words[0][index] != words[1][index]:
                worst.append(
                    WorstLabel(
                        name=str(names[index]),
                        label=field.name,
                        given=words[0][index],
                        predicted=words[1][index],
                        probability=float(given[index]),
                    )
                )
    return tuple(worst)


def _label_fields(problem: Problem, test: SplitScore) -> Iterator[ClassField]:
    """Yield the outputs that hold classes; without words, those that are 0 or 1 in all samples."""
    worded = class_fields(problem.outputs)
    yield from worded
    for field in () if worded else problem.outputs:
        values: Array = np.asarray(test.valid_samples.outputs[field.name])
        if not field.shape and np.isin(values, (0.0, 1.0)).all():
            yield with_classes(field)
