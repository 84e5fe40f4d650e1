"""What is told of surrogates of labels: which inputs matter, and the worst errors by name."""

from typing import Self

from search.run.directory import RunDirectory
from spaces.candidate import FrozenModel

LABELS_FILE = "labels.json"
"""File of the run directory with the results."""


class InputChange(FrozenModel):
    """How much a part of a network's input changes the logits.

    Args:
        name: Name of the channel, or index of the element.
        change: Mean |change| of the logits as it moves by its standard deviation.
    """

    name: str
    change: float


class InputSensitivity(FrozenModel):
    """Which inputs of a surrogate's network matter, the most important first.

    Args:
        trial: The trial.
        encoding: Its encoding.
        samples: Number of test samples.
        channels: Channels of the network's input.
        channels_in_all: Number of channels.
        elements: Elements (residues, cells, steps) with all their channels; () for flat inputs.
        elements_in_all: Number of elements.
    """

    trial: int
    encoding: str
    samples: int
    channels: tuple[InputChange, ...]
    channels_in_all: int
    elements: tuple[InputChange, ...] = ()
    elements_in_all: int = 0


class WorstLabel(FrozenModel):
    """A test sample whose class has a small predicted probability.

    Args:
        name: What the files of recorded data call the sample, or its number in the test split.
        label: Output field.
        given: Its class.
        predicted: The most probable class.
        probability: Predicted probability of its class.
    """

    name: str
    label: str
    given: str
    predicted: str
    probability: float


class LabelResults(FrozenModel):
    """The results for the surrogates of labels among the finalists.

    Args:
        recommended: The recommended trial.
        sensitivities: Which inputs matter, for one surrogate of each encoding.
        worst: The worst errors of the recommended trial on the test split.
    """

    recommended: int
    sensitivities: tuple[InputSensitivity, ...]
    worst: tuple[WorstLabel, ...]

    @classmethod
    def of_run(cls, run: RunDirectory) -> Self | None:
        """Return the results in a run directory, None if there are none."""
        path = run.folder / LABELS_FILE
        return cls.read(path) if path.exists() else None
