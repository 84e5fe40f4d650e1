"""Candidates: frozen values that are stored as JSON, with the hash of the JSON as their key."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from problems import Scalar, Size, UserError
from problems.errors import printable_values
from problems.provenance import digest


class Precision(StrEnum):
    """Number format of a deployed network."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class Arithmetic(StrEnum):
    """Number format of products in training; weights and sums stay in float32 (autocast)."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Teacher(StrEnum):
    """What predicts the outputs of further training samples that the reference wasn't run for."""

    EMULATOR = "emulator"
    ENSEMBLE = "ensemble"


class Pruning(StrEnum):
    """The kind of pruning of a trained network: none, of channels, or of single weights."""

    NONE = "none"
    STRUCTURED = "structured"
    MAGNITUDE = "magnitude"
    TWO_OF_FOUR = "2:4"


class FrozenModel(BaseModel):
    """A value that never changes and refuses fields it doesn't know.

    Infinity and NaN survive JSON as strings: a diverged roll-out has an error, and it is infinite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """The present name of each field by a name that older files have for it."""

    @model_validator(mode="before")
    @classmethod
    def _with_present_names(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping) or not cls.RENAMED:
            return fields
        return {cls.RENAMED.get(name, name): value for name, value in fields.items()}

    def model_dump_json(self, **options: Any) -> str:
        """Return the value as JSON; lone surrogates, which JSON lacks, are written as escapes.

        Args:
            **options: Of pydantic.
        """
        try:
            return super().model_dump_json(**options)
        except PydanticSerializationError:
            fields = printable_values(self.model_dump())
            return super(FrozenModel, self.model_validate(fields)).model_dump_json(**options)

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


ABSENT_BEFORE = (
    *("labelled", "labelled_paths"),
    *("label_smoothing", "class_weights", "dropout", "temperature"),
)
"""Settings of a training that older candidates lack; where they are off, they are left out."""


class Training(FrozenModel):
    """Settings of a training; the number of epochs belongs to the problem and isn't searched.

    Args:
        learning_rate: Largest learning rate.
        batch_size: Pairs per step.
        weight_decay: Weight decay of AdamW.
        arithmetic: Number format of products.
        averaging: Share of the steps so far over which weights are averaged; 0 means no averaging.
        input_noise: Standard deviation of noise added to inputs, in scaled units; 0 means no noise.
        unrolled: Number of successive calls of a roll-out in the loss; 1 means single steps.
        augmented: Copies of each training sample, transformed by symmetries of the problem.
        labelled: Number of further training samples whose outputs the teacher predicts.
        labelled_paths: The same for encodings that are rolled out.
        teacher: The teacher: the best standard baseline, or an ensemble of networks.
        label_smoothing: Share of the probability that the targets of a label give to all classes
            alike.
        class_weights: Whether the loss of a label weighs each class by its inverse frequency.
        dropout: Share of the inputs of linear layers that are set to zero in training on a label.
        temperature: Whether the logits of a label are divided by a temperature that is fitted on
            the validation split after the training.
    """

    learning_rate: float
    batch_size: int
    weight_decay: float
    arithmetic: Arithmetic = Arithmetic.FP32
    averaging: float = 0.0
    input_noise: float = 0.0
    unrolled: int = 1
    augmented: int = 0
    labelled: int = 0
    labelled_paths: int = 0
    teacher: Teacher = Teacher.EMULATOR
    label_smoothing: float = 0.0
    class_weights: bool = False
    dropout: float = 0.0
    temperature: bool = False

    @property
    def further_samples(self) -> int:
        """Number of further training samples, of either kind."""
        return self.labelled + self.labelled_paths

    @model_serializer(mode="wrap")
    def _without_teacher(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the fields; keys and hashes of candidates of older versions stay as they were."""
        values = serialise(self)
        for name in ABSENT_BEFORE:
            if not values[name]:
                del values[name]
        if not self.further_samples:
            del values["teacher"]
        return values


class Candidate(FrozenModel):
    """A problem with an encoding, architecture, training, pruning, precision, runtime and seed.

    Args:
        problem: Registered name of the problem.
        problem_version: Version of the problem when the candidate was suggested.
        size: Size of the problem.
        encoding: Name of the encoding.
        encoding_settings: Settings of the encoding.
        architecture: Name of the family.
        architecture_settings: Settings of the family.
        training: Settings of the training.
        pruning: Kind of pruning.
        pruning_settings: Ratio and criterion of the pruning, where it has them.
        precision: Number format of the deployed network.
        runtime: Name of the runtime.
        seed: Seed of initialisation and batches.
        ensemble_seeds: Seeds of the networks whose outputs are averaged; empty for one network.
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
    ensemble_seeds: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """Hash of the candidate's canonical JSON."""
        return digest(self.model_dump(mode="json"))

    @model_serializer(mode="wrap")
    def _without_ensemble(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the fields; keys and hashes of candidates of older versions stay as they were."""
        values = serialise(self)
        if not self.ensemble_seeds:
            del values["ensemble_seeds"]
        return values

    @property
    def parameters(self) -> dict[str, Scalar]:
        """The value of every parameter, by the names that `simstead space` lists."""
        pruning = f"{self.architecture}.{self.pruning}"
        return {
            "encoding": self.encoding,
            "architecture": self.architecture,
            "pruning": str(self.pruning),
            "runtime": self.runtime,
            "precision": str(self.precision),
            **_with_prefix(self.encoding, self.encoding_settings),
            **_with_prefix(self.architecture, self.architecture_settings),
            **_with_prefix("training", self._training_parameters),
            **_with_prefix(pruning, self.pruning_settings),
        }

    @property
    def _training_parameters(self) -> dict[str, Scalar]:
        training = self.training
        values = training.model_dump(mode="json")
        values |= {name: getattr(training, name) for name in ABSENT_BEFORE}
        return {name: value for name, value in values.items() if name != "teacher"}


def _with_prefix(prefix: str, settings: dict[str, Scalar]) -> dict[str, Scalar]:
    return {f"{prefix}.{setting}": value for setting, value in settings.items()}
