"""The 20 kinds of residues: names, character, composition, properties and contact energies."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from problems.interfaces.types import Array


class Character(StrEnum):
    """Classes of residues by which contacts are counted (Elez et al. 2018)."""

    CHARGED = "C"
    POLAR = "P"
    APOLAR = "A"


class Residue(NamedTuple):
    """A kind of residue.

    Args:
        name: Name of three letters.
        letter: Name of one letter.
        character: Class by which its contacts are counted.
        heavy_atoms: Atoms other than hydrogen in a chain.
        share: Frequency in proteins [%]: statistics of UniProtKB/Swiss-Prot, about 2021.
        hydropathy: Kyte & Doolittle, J. Mol. Biol. 157 (1982) 105.
        volume: Volume in crystals of proteins [A^3]; Zamyatnin, Prog. Biophys. Mol. Biol. 24 (1972)
            107.
        charge: Charge at pH 7 [e]; that of histidine is taken as 0.
    """

    name: str
    letter: str
    character: Character
    heavy_atoms: int
    share: float
    hydropathy: float
    volume: float
    charge: float


_C, _P, _A = Character.CHARGED, Character.POLAR, Character.APOLAR

RESIDUES = (
    Residue("ALA", "A", _A, 5, 8.25, 1.8, 88.6, 0.0),
    Residue("ARG", "R", _C, 11, 5.53, -4.5, 173.4, 1.0),
    Residue("ASN", "N", _P, 8, 4.06, -3.5, 114.1, 0.0),
    Residue("ASP", "D", _C, 8, 5.46, -3.5, 111.1, -1.0),
    Residue("CYS", "C", _A, 6, 1.38, 2.5, 108.5, 0.0),
    Residue("GLN", "Q", _P, 9, 3.93, -3.5, 143.8, 0.0),
    Residue("GLU", "E", _C, 9, 6.72, -3.5, 138.4, -1.0),
    Residue("GLY", "G", _A, 4, 7.07, -0.4, 60.1, 0.0),
    Residue("HIS", "H", _C, 10, 2.27, -3.2, 153.2, 0.0),
    Residue("ILE", "I", _A, 8, 5.91, 4.5, 166.7, 0.0),
    Residue("LEU", "L", _A, 8, 9.65, 3.8, 166.7, 0.0),
    Residue("LYS", "K", _C, 9, 5.80, -3.9, 168.6, 1.0),
    Residue("MET", "M", _A, 8, 2.41, 1.9, 162.9, 0.0),
    Residue("PHE", "F", _A, 11, 3.86, 2.8, 189.9, 0.0),
    Residue("PRO", "P", _A, 7, 4.74, -1.6, 112.7, 0.0),
    Residue("SER", "S", _P, 6, 6.65, -0.8, 89.0, 0.0),
    Residue("THR", "T", _P, 7, 5.36, -0.7, 116.1, 0.0),
    Residue("TRP", "W", _A, 14, 1.10, -0.9, 227.8, 0.0),
    Residue("TYR", "Y", _A, 12, 2.92, -1.3, 193.6, 0.0),
    Residue("VAL", "V", _A, 7, 6.86, 4.2, 140.0, 0.0),
)
"""The residues in the order of AAindex; kind 1 is the first of them, and kind 0 is no residue.

Histidine counts as charged, and all residues that are neither charged nor Asn, Gln, Ser and Thr as
apolar: so contacts were counted in the table MANY.
"""

KINDS = len(RESIDUES)

KIND_OF_NAME = {residue.name: kind for kind, residue in enumerate(RESIDUES, start=1)}

_SHARES = np.array([residue.share for residue in RESIDUES])
COMPOSITION = _SHARES / _SHARES.sum()
"""Frequency of each kind in proteins (20,)."""

CHARACTERS = tuple(Character)

CHARACTER_OF_KIND = np.array([CHARACTERS.index(residue.character) for residue in RESIDUES])
"""Index in `CHARACTERS` of each kind (20,)."""

_LOWER_TRIANGLE = """
-0.20
 0.27  0.13
 0.24  0.02 -0.04
 0.30 -0.71 -0.12  0.27
-0.26  0.32  0.28  0.38 -1.34
 0.21 -0.12 -0.05  0.12  0.04  0.14
 0.43 -0.75 -0.01  0.40  0.46  0.10  0.45
-0.03  0.14  0.10  0.17 -0.09  0.20  0.48 -0.20
 0.21  0.04  0.10 -0.22 -0.19  0.22 -0.11  0.23 -0.33
-0.35  0.18  0.55  0.54 -0.48  0.14  0.38  0.21  0.19 -0.60
-0.37  0.09  0.36  0.62 -0.50  0.08  0.37  0.14  0.10 -0.79 -0.81
 0.20  0.50 -0.14 -0.69  0.35 -0.20 -0.87  0.12  0.26  0.21  0.16  0.38
-0.23  0.17  0.32  0.62 -0.49 -0.01  0.24  0.08 -0.17 -0.60 -0.68  0.22 -0.56
-0.33  0.08  0.29  0.48 -0.53 -0.04  0.34  0.11 -0.19 -0.65 -0.78  0.11 -0.89 -0.82
 0.07 -0.02  0.13  0.25 -0.18 -0.05  0.26 -0.01 -0.05  0.05 -0.08  0.12 -0.16 -0.19 -0.07
 0.15  0.12  0.14  0.01  0.09  0.25  0.10  0.10  0.15  0.35  0.26  0.10  0.32  0.10  0.17  0.13
 0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00  0.00 0.00
-0.40 -0.41 -0.09  0.06 -0.74 -0.11 -0.15 -0.24 -0.46 -0.65 -0.70 -0.28 -0.94 -0.78 -0.73  0.07 0.00
-0.74
-0.15 -0.37  0.01 -0.07 -0.16 -0.18 -0.16 -0.04 -0.21 -0.33 -0.44 -0.40 -0.51 -0.49 -0.40  0.07 0.00
-0.55 -0.27
-0.38  0.17  0.39  0.66 -0.51  0.17  0.41  0.04  0.18 -0.68 -0.80  0.16 -0.47 -0.67 -0.08  0.25 0.00
-0.62 -0.27 -0.72
"""


def _contact_energies() -> Array:
    """Return the symmetric matrix of the energies (21, 21), 0 in the row of no residue."""
    energies = np.zeros((KINDS + 1, KINDS + 1))
    energies[1:, 1:][np.tril_indices(KINDS)] = list(map(float, _LOWER_TRIANGLE.split()))
    return np.tril(energies) + np.tril(energies, -1).T


CONTACT_ENERGIES_RT = _contact_energies()
"""Energy of a contact of two kinds (21, 21) [RT]: Betancourt & Thirumalai, Protein Sci. 8 (1999)
361, as listed by AAindex (BETM990101); contacts with threonine are the zero of energy."""

HYDROPATHY_UNIT, VOLUME_UNIT_A3 = 4.5, 227.8
"""Largest hydropathy and volume of a residue."""

PROPERTIES = np.array(
    [(0.0, 0.0, 0.0, 0.0)]
    + [
        (
            residue.hydropathy / HYDROPATHY_UNIT,
            residue.volume / VOLUME_UNIT_A3,
            max(residue.charge, 0.0),
            max(-residue.charge, 0.0),
        )
        for residue in RESIDUES
    ]
)
"""Hydropathy, volume, positive and negative charge of each kind (21, 4), zero for no residue."""

PROPERTY_COLUMNS = ("hydropathy", "volume", "positive charge", "negative charge")
"""Names of the columns of `PROPERTIES`."""

VOLUME = 1
"""Column of `PROPERTIES` with the volume."""
