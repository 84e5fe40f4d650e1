"""How many samples of each class the splits of a dataset have."""

from collections.abc import Iterator, Sequence

from problems.interfaces.class_fields import class_counts, class_fields
from problems.interfaces.types import SPLITS, Dataset, Field


def describe_classes(fields: Sequence[Field], data: Dataset) -> list[str]:
    """Return a line for each field of classes, with the samples of each class in each split.

    Args:
        fields: Fields of the outputs.
        data: The dataset.
    """
    lines: list[str] = []
    for field in class_fields(fields):
        parts = [
            f"{name} {', '.join(f'{n} {word}' for word, n in counts.items())}"
            for name, split in data.splits().items()
            if len(split)
            for counts in [class_counts(field, split.outputs)]
        ]
        lines.append(f"{field.name}: {'; '.join(parts)}")
    return lines


def missing_classes(fields: Sequence[Field], data: Dataset) -> Iterator[str]:
    """Yield a message for each split that lacks a class of an output.

    Args:
        fields: Fields of the outputs.
        data: The dataset.
    """
    for field in class_fields(fields):
        for name in SPLITS:
            split = data.splits()[name]
            if not len(split):
                continue
            counts = class_counts(field, split.outputs)
            absent = [word for word, n in counts.items() if not n]
            # A shifted split may lack a class; it can't be scored with one class alone.
            allowed = len(counts) - 2 if name == "shifted" else 0
            if len(absent) > allowed:
                counted = ", ".join(f"{n} {word}" for word, n in counts.items())
                yield (
                    f"the {name} split has no sample of class {' or '.join(absent)} of "
                    f"{field.name!r} ({counted}); record more of it, use finer groups, or leave "
                    "that class and its samples out"
                )
