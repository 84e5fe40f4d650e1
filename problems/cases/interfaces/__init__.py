"""The problem `interfaces`: is an interface of proteins biological, or a contact of the crystal?"""

from dataclasses import dataclass, replace

from problems.cases.interfaces.baselines import ApolarContacts, SupportVectors
from problems.cases.interfaces.encodings import (
    BeadsEncoding,
    DescriptorsEncoding,
    DistancesEncoding,
    ResidueGraphEncoding,
)
from problems.cases.interfaces.simulation import DockedComplexes
from problems.cases.interfaces.validation import InterfacePictures, InterfaceScore
from problems.cases.interfaces.voxels import VoxelsEncoding
from problems.interfaces.problem import Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem


@dataclass(frozen=True)
class InterfacesPreset:
    """The settings of the problem at one size.

    Args:
        residues: Smallest and largest number of residues of a side.
        shifted: Those of the shifted split, all larger.
        cells: Cells of the grid along each axis.
        samples: Complexes of each split.
        epochs: Passes over the training pairs.
    """

    residues: tuple[int, int]
    shifted: tuple[int, int]
    cells: int
    samples: Samples
    epochs: int


PRESETS = {
    Size.TINY: InterfacesPreset((12, 16), (17, 18), 8, Samples(96, 48, 48, 16), 4),
    Size.STANDARD: InterfacesPreset((14, 20), (21, 22), 10, Samples(2000, 600, 2000, 600), 20),
    Size.FULL: InterfacesPreset((14, 40), (41, 48), 12, Samples(40_000, 4000, 10_000, 4000), 30),
}


@register_problem("interfaces")
def interfaces(size: Size) -> Problem:
    """Return the problem at one size."""
    preset = PRESETS[size]
    simulation = DockedComplexes(preset.residues, preset.shifted[1])
    score = InterfaceScore(simulation.outputs)
    return Problem(
        name="interfaces",
        summary="is an interface of proteins biological, or a contact of the crystal?",
        simulation=simulation,
        shifted=replace(simulation, residues=preset.shifted),
        encodings={
            "descriptors": DescriptorsEncoding(),
            "distances": DistancesEncoding(),
            "graph": ResidueGraphEncoding(),
            "beads": BeadsEncoding(),
            "voxels": VoxelsEncoding(cells=preset.cells),
        },
        score=score,
        baselines={
            "apolar-apolar contacts": ApolarContacts(),
            "support vectors": SupportVectors(),
        },
        samples=preset.samples,
        epochs=preset.epochs,
        timed=False,  # it stands for crystals, whose interfaces no code classifies
        deployment=Deployment(batch=64),
        pictures=InterfacePictures(score),
    )
