"""A requested screening: its points, its surrogate, the class to keep; checked before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from problems import Batch, Problem, Simulation, Size, Target, UnknownNameError, UserError
from problems.atomic_files import atomic_write
from problems.data.shards import plan_shards
from problems.interfaces.types import n_samples
from problems.provenance import canonical_form, digest
from search.export import pick_record
from search.run.directory import RunDirectory
from search.screening.kept_class import KeptClass, may_hold_classes
from search.screening.sweep import draw_points, read_points
from search.timing.reference import verified_manifest
from spaces.candidate import FrozenModel
from spaces.manifest import MANIFEST, Manifest, read_manifest
from spaces.surrogate import Surrogate

DEFAULT_POINTS = 1000
DEFAULT_RECALL = 0.99

MIN_AUDIT = 10
"""Smallest number of audited points: with fewer, the interval of the recall is useless."""

RECOMMENDED = "recommended"
SPEC_FILE, CALLS_FOLDER = "screening.json", "runs"


class ScreeningSpec(FrozenModel):
    """The specification of a screening; a screening is continued only if it is the same."""

    format: int = 1
    problem: str
    size: Size
    data: str
    """Hash of the simulation and of the data on which the threshold is chosen."""
    artefact: str
    """Hash of the surrogate's artefact."""
    points: int
    sweep: str
    """Hash of the points, if they were read from a file."""
    seed: int
    label: str
    """Output field with the class, if the user named one."""
    keep: str | int | None = None
    """Word or number of the class to keep, if the user named one."""
    keep_recall: float
    audit: int | None


@dataclass(frozen=True)
class ScreeningJob:
    """A screening with everything that is needed to run it.

    Args:
        screening: Its specification.
        problem: The problem.
        simulation: The reference.
        inputs: The points of the sweep.
        surrogate: The surrogate that decides about the points.
        folder: Folder of the screening.
    """

    screening: ScreeningSpec
    problem: Problem
    simulation: Simulation
    inputs: Batch
    surrogate: Surrogate
    folder: Path

    @property
    def runs(self) -> Path:
        """Folder of the reference's results, with a file for each call."""
        return self.folder / CALLS_FOLDER


class ScreeningRequest(NamedTuple):
    """The options of a screening, beside problem and surrogate.

    Args:
        points: Number of points to draw.
        sweep: File of points.
        seed: Seed of the points, the audit and a stochastic reference.
        label: Output field with the class.
        keep: Word or number of the class to keep; None for the second of two.
        keep_recall: Smallest share of the class to keep.
        audit: Number of skipped points to audit.
    """

    points: int | None = None
    sweep: Path | None = None
    seed: int = 0
    label: str | None = None
    keep: str | int | None = None
    keep_recall: float = DEFAULT_RECALL
    audit: int | None = None


def resolve_artefact(text: str) -> tuple[Path, Manifest]:
    """Return the folder of an artefact and its manifest.

    Args:
        text: The folder, RUN or RUN:PICK, where PICK is that of `simstead export`.

    Raises:
        UserError: There is no such artefact, or it is damaged.
    """
    if (Path(text) / MANIFEST).is_file():
        return Path(text), read_manifest(Path(text))
    folder, _, pick = text.rpartition(":")
    if not folder or (Path(text) / "spec.json").is_file():
        folder, pick = text, RECOMMENDED
    if not (Path(folder) / "spec.json").is_file():
        raise UserError(
            f"SURROGATE: {text} holds neither an artefact nor a run; name a folder written by "
            "`simstead export`, or RUN or RUN:PICK"
        )
    run = RunDirectory.open(Path(folder))
    record = pick_record(run, pick).record
    return run.artefact_path(record.number), verified_manifest(run, record)


def prepare_screening(
    problem: Problem, artefact_name: str, request: ScreeningRequest, folder: Path
) -> ScreeningJob:
    """Return a screening that is ready to start or to continue; the reference isn't run.

    Args:
        problem: The problem.
        artefact_name: See `resolve_artefact`.
        request: The options of the screening.
        folder: Folder of the screening: empty, new, or of the same screening.

    Raises:
        UserError: The problem has no labels or no simulation, the surrogate belongs to another
            problem or predicts no label, an option is out of range, or the folder is in use.
        UnknownNameError: There is no output field of the given name.
    """
    check_request(problem, request)
    if problem.simulation is None:
        raise UserError(
            f"problem {problem.name!r} has recorded data: there is no simulation to run points"
        )
    artefact, manifest = resolve_artefact(artefact_name)
    surrogate = Surrogate.load(artefact, problem)
    if manifest.target is not Target.LABEL:
        raise UserError(
            f"{artefact} predicts a {manifest.target}, not the probability of a label; pick a "
            f"trial with one of the encodings {_label_encodings(problem)}"
        )
    if request.sweep is None:
        inputs = draw_points(problem.simulation, request.points or DEFAULT_POINTS, request.seed)
    else:
        inputs = read_points(problem, request.sweep)
    screening = ScreeningSpec(
        problem=problem.name,
        size=manifest.candidate.size,
        data=digest([shard.key for shard in plan_shards(problem)]),
        artefact=manifest.hash,
        points=n_samples(inputs),
        sweep="" if request.sweep is None else digest(canonical_form(inputs)),
        seed=request.seed,
        label=request.label or "",
        keep=request.keep,
        keep_recall=request.keep_recall,
        audit=request.audit,
    )
    _claim(folder, screening)
    return ScreeningJob(screening, problem, problem.simulation, inputs, surrogate, folder.resolve())


def check_request(problem: Problem, request: ScreeningRequest) -> None:
    """Check the options of a screening or a ranking.

    Args:
        problem: The problem.
        request: The options.

    Raises:
        UserError: The problem has no labels, or an option is out of range.
        UnknownNameError: There is no output field of the given name, or no such class.
    """
    _check_options(request)
    if not any(encoding.target is Target.LABEL for encoding in problem.encodings.values()):
        raise UserError(
            f"problem {problem.name!r} has no encoding whose target is a label; a screening needs "
            "a surrogate that predicts the probability of a class"
        )
    labels = {field.name: field for field in problem.outputs if may_hold_classes(field)}
    if request.label is not None and request.label not in labels:
        raise UnknownNameError("--label", request.label, labels)
    named = [labels[request.label]] if request.label else list(labels.values())
    if len(named) == 1:
        KeptClass.of(named[0], request.keep)


def _check_options(request: ScreeningRequest) -> None:
    if not 0.0 < request.keep_recall <= 1.0:
        raise UserError(f"--keep-recall must lie in (0, 1], not {request.keep_recall:g}")
    integers = {
        "--points": (request.points, 1),
        "--audit": (request.audit, MIN_AUDIT),
        "--seed": (request.seed, 0),
    }
    for option, (value, minimum) in integers.items():
        if value is not None and value < minimum:
            raise UserError(f"{option} must be {minimum} or more, not {value}")
    if request.points is not None and request.sweep is not None:
        raise UserError("--points and --sweep are both given; leave one out")


def _label_encodings(problem: Problem) -> str:
    encodings = problem.encodings.items()
    return ", ".join(name for name, encoding in encodings if encoding.target is Target.LABEL)


def _claim(folder: Path, screening: ScreeningSpec) -> None:
    """Reserve a folder for a screening, or check that it holds the same screening."""
    path = folder / SPEC_FILE
    if path.is_file():
        existing, requested = ScreeningSpec.read(path).model_dump(), screening.model_dump()
        differing = [name for name in requested if existing[name] != requested[name]]
        if differing:
            raise UserError(
                f"--out: {folder} holds another screening, with other {', '.join(differing)}; name "
                "another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out: {folder} holds other files and no screening; name an empty folder")
    (folder / CALLS_FOLDER).mkdir(parents=True)
    write_json(folder / SPEC_FILE, screening)


def write_json(path: Path, value: FrozenModel) -> None:
    """Write a value as JSON, atomically."""
    with atomic_write(path) as file:
        file.write(value.model_dump_json(indent=1).encode())
