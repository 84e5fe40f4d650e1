"""The 27 descriptors of an interface: counts of contacts, link density, counts of residues.

They are those of the table MANY and of PRODIGY-CRYSTAL: Elez et al., BMC Bioinformatics 19 (2018)
suppl. 15, 438.
"""

import numpy as np

from problems.cases.interfaces.residues import (
    CHARACTER_OF_KIND,
    CHARACTERS,
    KIND_OF_NAME,
    KINDS,
)
from problems.interfaces.types import Array

PAIR_NAMES = ("CC", "CP", "CA", "PP", "AP", "AA")
LINK_DENSITY = "LD"
RESIDUE_NAMES = (
    *("ALA", "CYS", "GLU", "ASP", "GLY", "PHE", "ILE", "HIS", "LYS", "MET"),
    *("LEU", "ASN", "GLN", "PRO", "SER", "ARG", "THR", "TRP", "VAL", "TYR"),
)
DESCRIPTORS = (*PAIR_NAMES, LINK_DENSITY, *RESIDUE_NAMES)
"""Names of the descriptors, in the order of the table."""

N_PAIRS = len(PAIR_NAMES)

COUNTS = np.array([name != LINK_DENSITY for name in DESCRIPTORS])
"""Which descriptors are counts (27,)."""

_CLASS_OF_PAIR = np.array(
    [
        [sorted(name) == sorted(first + second) for name in PAIR_NAMES]
        for first in CHARACTERS
        for second in CHARACTERS
    ],
    dtype=float,
)
_ORDER = np.array([KIND_OF_NAME[name] - 1 for name in RESIDUE_NAMES])


def descriptors_of(contact: Array, kinds: Array) -> Array:
    """Return the descriptors (b, 27) of interfaces, in the order of `DESCRIPTORS`.

    Args:
        contact: 1 where residues of first and second chain are in contact, or 0 (b, n, n).
        kinds: Kinds of the residues of both chains (b, 2, n), 0 where there is none.
    """
    contact = np.asarray(contact, float)
    degree = np.stack([contact.sum(axis=2), contact.sum(axis=1)], axis=1)
    taking_part = (degree > 0.0).sum(axis=2)
    total = contact.sum(axis=(1, 2))
    density = total / np.maximum(taking_part.prod(axis=1), 1)
    one_hot = (np.asarray(kinds)[..., None] == np.arange(1, KINDS + 1)).astype(float)
    residues = np.einsum("bsi,bsik->bk", degree, one_hot)
    character = one_hot @ (CHARACTER_OF_KIND[:, None] == np.arange(len(CHARACTERS)))
    pairs = np.einsum("bia,bij,bjc->bac", character[:, 0], contact, character[:, 1], optimize=True)
    classes = pairs.reshape(len(total), -1) @ _CLASS_OF_PAIR
    return np.concatenate([classes, density[:, None], residues[:, _ORDER]], axis=1)
