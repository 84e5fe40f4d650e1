"""One thing to try: a frozen value that survives JSON; its key is the hash of that JSON."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from problems import Scalar, Size, UserError
from problems.provenance import digest


class Precision(StrEnum):
    """Number format of a deployed network's arithmetic."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class Arithmetic(StrEnum):
    """Number format of products in training; weights and sums stay in float32 (autocast)."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Pruning(StrEnum):
    """What is taken out of a trained network."""

    NONE = "none"
    STRUCTURED = "structured"
    MAGNITUDE = "magnitude"
    TWO_OF_FOUR = "2:4"


class FrozenModel(BaseModel):
    """A value that never changes and refuses fields it doesn't know.

    Infinity and NaN survive JSON as strings: a diverged roll-out has an error, and it is infinite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the value in a JSON file.

        Raises:
            UserError: The file is missing or holds something else; says what and where.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path} is missing: the run was interrupted before it") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{path} can't be read: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{path} can't be read: {where}: {first['msg']}") from None


class Training(FrozenModel):
    """How a candidate is trained; epochs are the problem's, not searched.

    Args:
        learning_rate: The largest.
        batch_size: Pairs of a step.
        weight_decay: AdamW's.
        arithmetic: Number format of products.
        averaging: Share of the steps so far that the mean of the weights spans, which is kept in
            their place; 0 keeps the weights themselves.
        input_noise: Standard deviation of what is added to inputs, in scaled units; 0 adds nothing.
        unrolled: Calls of a roll-out that the loss spans; 1 reads nothing but the reference's.
        augmented: Copies of the training samples, transformed by the problem's symmetries.
    """

    learning_rate: float
    batch_size: int
    weight_decay: float
    arithmetic: Arithmetic = Arithmetic.FP32
    averaging: float = 0.0
    input_noise: float = 0.0
    unrolled: int = 1
    augmented: int = 0


class Candidate(FrozenModel):
    """Problem, encoding, architecture, training, pruning, precision, runtime and seed.

    Args:
        problem: Registered name.
        problem_version: The problem's version when it was asked for.
        size: Extent of the problem.
        encoding: Name of the encoding.
        encoding_settings: The encoding's own settings.
        architecture: Name of the family.
        architecture_settings: The family's own settings.
        training: Settings of the training loop.
        pruning: What is taken out.
        pruning_settings: Share that is taken out and by which criterion, where there is a choice.
        precision: Number format of the deployed network.
        runtime: What executes it.
        seed: Of initialisation and batches.
    """

    problem: str
    problem_version: int
    size: Size
    encoding: str
    encoding_settings: dict[str, Scalar]
    architecture: str
    architecture_settings: dict[str, Scalar]
    training: Training
    pruning: Pruning
    pruning_settings: dict[str, Scalar]
    precision: Precision
    runtime: str
    seed: int

    @property
    def key(self) -> str:
        """Hash of the canonical JSON."""
        return digest(self.model_dump(mode="json"))

    @property
    def parameters(self) -> dict[str, Scalar]:
        """Everything that was chosen, under the names that `simstead space` lists."""
        pruning = f"{self.architecture}.{self.pruning}"
        return {
            "encoding": self.encoding,
            "architecture": self.architecture,
            "pruning": str(self.pruning),
            "runtime": self.runtime,
            "precision": str(self.precision),
            **_branch(self.encoding, self.encoding_settings),
            **_branch(self.architecture, self.architecture_settings),
            **_branch("training", self.training.model_dump(mode="json")),
            **_branch(pruning, self.pruning_settings),
        }

    def to_json(self) -> str:
        """Return the candidate as JSON."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the candidate that `to_json` wrote."""
        return cls.model_validate_json(text)


def _branch(name: str, settings: dict[str, Scalar]) -> dict[str, Scalar]:
    return {f"{name}.{setting}": value for setting, value in settings.items()}
