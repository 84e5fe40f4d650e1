"""A screening as asked for: which points, whose surrogate, what is kept; refused before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from problems import Batch, Problem, Simulation, Size, Target, UnknownNameError, UserError
from problems.atomic_files import atomic_write
from problems.data.shards import plan_shards
from problems.interfaces.types import n_samples
from problems.provenance import canonical_form, digest
from search.export import pick_record
from search.run.directory import Run
from search.screening.sweep import draw_points, read_points
from search.timing.reference import verified_manifest
from spaces.candidate import FrozenModel
from spaces.manifest import MANIFEST, Manifest, read_manifest
from spaces.surrogate import Surrogate

DEFAULT_POINTS = 1000
DEFAULT_RECALL = 0.99

MIN_AUDIT = 10
"""Fewer audited points tell next to nothing."""

KNEE = "knee"
SPEC_FILE, CALLS_FOLDER = "screening.json", "runs"


class ScreeningSpec(FrozenModel):
    """A screening as asked for: what must agree for one to be gone on with."""

    format: int = 1
    problem: str
    size: Size
    data: str
    """Hash of the simulation and of the data that the threshold is chosen on."""
    artefact: str
    """Hash of the surrogate."""
    points: int
    sweep: str
    """Hash of the points, where they were read from a file."""
    seed: int
    label: str
    """Output field, where one was named."""
    keep: int
    keep_recall: float
    audit: int | None


@dataclass(frozen=True)
class ScreeningJob:
    """A screening with what carries it out.

    Args:
        screening: What was asked for.
        problem: Whose sweep it is.
        simulation: Its reference.
        inputs: The points.
        surrogate: Who decides.
        folder: Where all of it lies.
    """

    screening: ScreeningSpec
    problem: Problem
    simulation: Simulation
    inputs: Batch
    surrogate: Surrogate
    folder: Path

    @property
    def runs(self) -> Path:
        """Where what the reference returned lies, a file for each call."""
        return self.folder / CALLS_FOLDER


class ScreeningRequest(NamedTuple):
    """What the user says of a screening besides problem and surrogate."""

    points: int | None = None
    sweep: Path | None = None
    seed: int = 0
    label: str | None = None
    keep: int = 1
    keep_recall: float = DEFAULT_RECALL
    audit: int | None = None


def resolve_artefact(text: str) -> tuple[Path, Manifest]:
    """Return the artefact that a user means: its folder, RUN, or RUN:PICK as `export` has it.

    Raises:
        UserError: There is none, or it is damaged.
    """
    if (Path(text) / MANIFEST).is_file():
        return Path(text), read_manifest(Path(text))
    folder, _, pick = text.rpartition(":")
    if not folder or (Path(text) / "spec.json").is_file():
        folder, pick = text, KNEE
    if not (Path(folder) / "spec.json").is_file():
        raise UserError(
            f"SURROGATE: {text} holds neither an artefact nor a run; name a folder that `simstead "
            "export` wrote, or RUN or RUN:PICK"
        )
    run = Run.open(Path(folder))
    record = pick_record(run, pick).record
    return run.artefact(record.number), verified_manifest(run, record)


def prepare_screening(
    problem: Problem, named: str, asked: ScreeningRequest, folder: Path
) -> ScreeningJob:
    """Return a screening that can begin, or be gone on with; nothing is run for it.

    Raises:
        UserError: The problem has no labels or can't be run, the surrogate is another one's, a
            figure is out of range, or the folder holds something else.
    """
    _refuse_figures(asked)
    if not any(each.target is Target.LABEL for each in problem.encodings.values()):
        raise UserError(
            f"problem {problem.name!r} has no encoding whose target is a label; a screening needs "
            "a surrogate that answers with the probability of a class"
        )
    if problem.simulation is None:
        raise UserError(
            f"problem {problem.name!r} has recorded data: there is no simulation to run points by"
        )
    if asked.label is not None and asked.label not in _scalars(problem):
        raise UnknownNameError("--label", asked.label, _scalars(problem))
    artefact, manifest = resolve_artefact(named)
    surrogate = Surrogate.load(artefact, problem)
    if manifest.target is not Target.LABEL:
        raise UserError(
            f"{artefact} answers a {manifest.target}, not a label's probability; pick a trial of "
            f"one of the encodings {_label_encodings(problem)}"
        )
    if asked.sweep is None:
        inputs = draw_points(problem.simulation, asked.points or DEFAULT_POINTS, asked.seed)
    else:
        inputs = read_points(problem, asked.sweep)
    screening = ScreeningSpec(
        problem=problem.name,
        size=manifest.candidate.size,
        data=digest([shard.key for shard in plan_shards(problem)]),
        artefact=manifest.hash,
        points=n_samples(inputs),
        sweep="" if asked.sweep is None else digest(canonical_form(inputs)),
        seed=asked.seed,
        label=asked.label or "",
        keep=asked.keep,
        keep_recall=asked.keep_recall,
        audit=asked.audit,
    )
    _claim(folder, screening)
    return ScreeningJob(screening, problem, problem.simulation, inputs, surrogate, folder.resolve())


def _refuse_figures(asked: ScreeningRequest) -> None:
    if not 0.0 < asked.keep_recall <= 1.0:
        raise UserError(f"--keep-recall must lie in (0, 1], not {asked.keep_recall:g}")
    if asked.keep not in {0, 1}:
        raise UserError(f"--keep is the class that is worth running, 0 or 1, not {asked.keep}")
    least = {"--points": (asked.points, 1), "--audit": (asked.audit, MIN_AUDIT)}
    for option, (value, fewest) in (least | {"--seed": (asked.seed, 0)}).items():
        if value is not None and value < fewest:
            raise UserError(f"{option} must be {fewest} or more, not {value}")
    if asked.points is not None and asked.sweep is not None:
        raise UserError("--points and --sweep are both given; leave one out")


def _scalars(problem: Problem) -> list[str]:
    return [field.name for field in problem.outputs if not field.shape]


def _label_encodings(problem: Problem) -> str:
    encodings = problem.encodings.items()
    return ", ".join(name for name, each in encodings if each.target is Target.LABEL)


def _claim(folder: Path, screening: ScreeningSpec) -> None:
    """Take a folder for a screening, or find it there."""
    path = folder / SPEC_FILE
    if path.is_file():
        held, asked = ScreeningSpec.read(path).model_dump(), screening.model_dump()
        other = [name for name in asked if held[name] != asked[name]]
        if other:
            raise UserError(
                f"--out: {folder} holds another screening, with other {', '.join(other)}; name "
                "another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out: {folder} holds other files and no screening; name an empty folder")
    (folder / CALLS_FOLDER).mkdir(parents=True)
    write_json(folder / SPEC_FILE, screening)


def write_json(path: Path, value: FrozenModel) -> None:
    """Put a value on disk, whole or not at all."""
    with atomic_write(path) as file:
        file.write_json(value.model_dump_json(indent=1).encode())
