"""The class that is worth running: which output field, which of its classes, how probable it is."""

from typing import NamedTuple, Self

import numpy as np

from problems import Array, Batch, Field, Problem, UnknownNameError, UserError
from problems.interfaces.class_fields import ClassField, with_classes


class KeptClass(NamedTuple):
    """The class that is worth running.

    Args:
        field: Output field that holds the classes.
        number: Number of the class.
    """

    field: ClassField
    number: int

    @classmethod
    def of(cls, field: Field, keep: str | int | None) -> Self:
        """Return a class of a field.

        Args:
            field: The field; one without words holds 0 and 1.
            keep: Word or number of the class. None means the second of two.

        Raises:
            UserError: There are more than two classes, and none is named.
            UnknownNameError: There is no such class.
        """
        worded = with_classes(field)
        names = worded.names
        if keep is None:
            if len(names) > 2:
                raise UserError(
                    f"{field.name!r} has {len(names)} classes; name the one that is worth "
                    f"running: --keep {'|'.join(names)}"
                )
            keep = 1
        number = names.index(str(keep)) if str(keep) in names else _number(str(keep))
        if not 0 <= number < len(names):
            raise UnknownNameError("--keep", str(keep), names)
        return cls(worded, number)

    @property
    def label(self) -> str:
        """Name of the output field."""
        return self.field.name

    @property
    def name(self) -> str:
        """Word of the class, or its number where the field has no words."""
        return self.field.names[self.number]

    def probability(self, values: Array) -> Array:
        """Return the probability of the class (n,); NaN where the prediction failed.

        Args:
            values: Predicted values of the field, (n,) for two classes or (n, k).
        """
        return self.field.probabilities(values)[:, self.number]

    def scores(self, values: Array) -> Array:
        """Return the score of each point (n,); infinite without a prediction.

        Args:
            values: Predicted values of the field, (n,) or (n, k).
        """
        probability = self.probability(values)
        return np.where(np.isfinite(probability), probability, np.inf)

    def holds(self, values: Array) -> Array:
        """Return whether each sample belongs to the class (n,).

        Args:
            values: Values of the reference, (n,) or (n, k).
        """
        return self.probability(values) == 1.0


def may_hold_classes(field: Field) -> bool:
    """Return whether the values of a field may be classes."""
    return isinstance(field, ClassField) or not field.shape


def label_field(problem: Problem, outputs: Batch, label: str) -> Field:
    """Return the output field whose values are classes.

    Args:
        problem: The problem.
        outputs: Outputs of the validation split.
        label: The field that the user named, or "".

    Raises:
        UserError: There is none, or there are several and none is named.
    """
    labels = {
        field.name: field
        for field in filter(may_hold_classes, problem.outputs)
        if np.isin(outputs[field.name], (0.0, 1.0)).all()
    }
    if label and label not in labels:
        raise UserError(f"--label: the values of field {label!r} aren't 0 and 1")
    if not labels:
        raise UserError(
            f"problem {problem.name!r} has no output field whose values are classes, nor one of "
            "shape () whose values are 0 and 1: there is no class to keep"
        )
    if not label and len(labels) > 1:
        raise UserError(f"several output fields are labels; name one: --label {'|'.join(labels)}")
    return labels[label] if label else next(iter(labels.values()))


def _number(text: str) -> int:
    """Return the number that a text is; -1 if it is none."""
    return int(text) if text.isascii() and text.isdigit() else -1
