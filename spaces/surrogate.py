"""A surrogate from disk: an artefact loaded into what runs where the simulation ran."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors.numpy import load_file

import problems
from problems import Problem, UserError, load_problem
from problems.dataset import origin
from spaces.artefact import STATISTICS
from spaces.manifest import Manifest, read_manifest
from spaces.registered import RUNTIMES
from spaces.runtimes import InPortions


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
            UserError: The artefact is damaged, or belongs to another problem or kind of machine, or
                its problem isn't where it was.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if problem is None:
            problem = _its_problem(manifest, folder)
        _refuse_foreign(manifest, problem, folder)
        candidate = manifest.candidate
        recipe = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
        encoding = recipe.restored(load_file(folder / STATISTICS))
        predict = RUNTIMES[candidate.runtime].load(folder, manifest.lowering)
        return cls(encoding, InPortions(predict, manifest.batch), manifest.noise)


def _its_problem(manifest: Manifest, folder: Path) -> Problem:
    try:
        return load_problem(manifest.source, manifest.candidate.size)
    except UserError as error:
        raise UserError(
            f"{folder} was made for the problem {manifest.source}, which can't be loaded here "
            f"({error}); give it: Surrogate.load(folder, problem)"
        ) from error


def _refuse_foreign(manifest: Manifest, problem: Problem, folder: Path) -> None:
    candidate = manifest.candidate
    if (candidate.problem, candidate.problem_version) != (problem.name, problem.version):
        raise UserError(
            f"{folder} was made for {candidate.problem} version {candidate.problem_version}, "
            f"not {problem.name} version {problem.version}"
        )
    if manifest.simulation != origin(problem):
        raise UserError(
            f"{folder} was made for {candidate.problem} at size {candidate.size}, "
            "whose simulation has other parameters; load that problem"
        )
    if not RUNTIMES[candidate.runtime].portable and manifest.machine != platform.machine():
        raise UserError(f"{folder} was compiled for {manifest.machine}; export on such a machine")
