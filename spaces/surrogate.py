"""A surrogate from disk: an artefact loaded into what runs where the simulation ran."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors.numpy import load_file

import problems
from problems import Encoding, Problem, UserError, load_problem
from spaces.artefact import EXAMPLES, STATISTICS
from spaces.manifest import Manifest, read_manifest
from spaces.precision import relative_distance
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor


@dataclass(frozen=True)
class Surrogate(problems.Surrogate):
    """A fitted encoding around a lowered network: it has `Simulation.run`'s signature."""

    @classmethod
    def load(cls, folder: Path | str, problem: Problem | None = None) -> Self:
        """Return the surrogate that an artefact holds.

        PyTorch's runtimes set the process's number of threads to the artefact's.

        Args:
            folder: The artefact, or what `simstead export` wrote.
            problem: What it stands in for; loaded from where the search had it if not given.

        Raises:
            UserError: The artefact is damaged, or belongs to another problem or kind of machine;
                its problem or runtime can't be had here; it answers otherwise than it did.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if problem is None:
            problem = _its_problem(manifest, folder)
        _refuse_foreign(manifest, problem, folder)
        candidate = manifest.candidate
        recipe = _its_encoding(manifest, problem, folder)
        encoding = recipe.restored(load_file(folder / STATISTICS))
        predict = RUNTIMES[candidate.runtime].load(folder, manifest.lowering)
        network = FixedBatchPredictor(predict, manifest.batch)
        _refuse_other_answers(network, manifest, folder)
        return cls(encoding, network, manifest.noise)


def _its_problem(manifest: Manifest, folder: Path) -> Problem:
    try:
        return load_problem(manifest.source, manifest.candidate.size)
    except UserError as error:
        raise UserError(
            f"{folder} was made for the problem {manifest.source}, which can't be loaded here "
            f"({error}); give it: Surrogate.load(folder, problem)"
        ) from error


def _its_encoding(manifest: Manifest, problem: Problem, folder: Path) -> Encoding:
    candidate = manifest.candidate
    try:
        return problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder} was made with the encoding {candidate.encoding!r} and its settings "
            f"{dict(candidate.encoding_settings)}, which {problem.name} doesn't have any more "
            f"({error})"
        ) from error


def _refuse_foreign(manifest: Manifest, problem: Problem, folder: Path) -> None:
    candidate = manifest.candidate
    if (candidate.problem, candidate.problem_version) != (problem.name, problem.version):
        raise UserError(
            f"{folder} was made for {candidate.problem} version {candidate.problem_version}, "
            f"not {problem.name} version {problem.version}"
        )
    if not manifest.stands_in_for(problem):
        raise UserError(
            f"{folder} was made for {candidate.problem} at size {candidate.size}, "
            "whose simulation has other parameters; load that problem"
        )
    runtime = RUNTIMES[candidate.runtime]
    reason = runtime.cannot_run(candidate.precision)
    if reason is not None:
        raise UserError(f"{folder} runs in {candidate.runtime} {candidate.precision}: {reason}")
    lacking = set(manifest.bound_to) - set(runtime.bound_to())
    if not runtime.portable and (manifest.machine != platform.machine() or lacking):
        without = f", without {', '.join(sorted(lacking))}" if lacking else ""
        raise UserError(
            f"{folder} was compiled for {manifest.machine}; this is {platform.machine()}{without}: "
            "search on such a machine, or export a trial of another runtime"
        )


def _refuse_other_answers(network: FixedBatchPredictor, manifest: Manifest, folder: Path) -> None:
    """Hold a network against its recorded call: PyTorch's are rebuilt by code that may change."""
    recorded = load_file(folder / EXAMPLES)
    away = relative_distance(network(recorded["inputs"]), recorded["answers"])
    if not away <= manifest.tolerance:
        wrote = manifest.versions.get("simstead", "another version")
        raise UserError(
            f"{folder} answers {away:.2g} away from what it did where simstead {wrote} wrote it; "
            f"{manifest.tolerance:g} is allowed: use that version, or search again"
        )
