"""Structure files: contacts of known crystals, and clear words about what is incomplete."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from problems import MissingExtraError, UserError
from problems.cases.interfaces.chains import gemmi_is_installed, read_crystal
from problems.cases.interfaces.descriptors import DESCRIPTORS
from problems.cases.interfaces.lattice import lattice_interfaces
from problems.cases.interfaces.structures import (
    complex_of_interface,
    descriptors_of_interface,
    read_folder,
)

SHARED = Path("../shared/data/interfaces")
needs_gemmi = pytest.mark.skipif(not gemmi_is_installed(), reason="gemmi isn't installed")
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} isn't there")

ENTRIES = ("1a0z", "1a7g", "1a8o", "1gl4", "1mol", "1ppe", "3c8p", "3rd3", "4cup")

# Two residues on a two-fold axis along z at (5, 5): the side chains of both images are 4 A apart.
CELL = "CRYST1   40.000   40.000   40.000  90.00  90.00  90.00 P 1 2 1\n"


def rows_of(name: str) -> list[dict[str, str]]:
    with (SHARED / name).open(newline="") as file:
        return list(csv.DictReader(file))


def structure_of(entry: str) -> Path:
    return next((SHARED / "structures").glob(f"{entry}.*"))


def atom_line(serial: int, residue: int, name: str, position: tuple[float, float, float]) -> str:
    x, y, z = position
    return (
        f"ATOM  {serial:5d}  CA  {name} A{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
        "  1.00 20.00           C\n"
    )


def small_chain(names: tuple[str, ...] = ("ALA",) * 6, x: float = 1.5) -> str:
    """Return a chain of alpha carbons along y, at a distance x from a two-fold axis."""
    lines = [atom_line(i, i, name, (x, 3.8 * i, 0.0)) for i, name in enumerate(names, 1)]
    return "".join(lines)


@needs_gemmi
@needs_data
@pytest.mark.parametrize("entry", ENTRIES)
def test_interfaces_of_a_crystal_are_those_counted_elsewhere(entry: str) -> None:
    expected = [row for row in rows_of("lattice_interfaces.csv") if row["entry"] == entry]
    found = lattice_interfaces(read_crystal(structure_of(entry)))
    assert sorted(
        tuple(np.round(descriptors_of_interface(interface), 4)) for interface in found
    ) == sorted(tuple(float(row[name]) for name in DESCRIPTORS) for row in expected)


@needs_gemmi
@needs_data
@pytest.mark.parametrize("name", ["1a7g_1", "1mol_1", "1gl4_2", "3rd3_2"])
def test_rows_of_the_table_are_reproduced_digit_for_digit(name: str) -> None:
    (row,) = (row for row in rows_of("many_features.csv") if row["PDB"] == name)
    found = lattice_interfaces(read_crystal(structure_of(name.split("_", maxsplit=1)[0])))
    expected = [row[descriptor] for descriptor in DESCRIPTORS]
    assert expected in [
        [f"{round(value, 4):g}" for value in descriptors_of_interface(each)] for each in found
    ]


@needs_gemmi
@needs_data
def test_trypsin_and_its_inhibitor_have_71_contacts() -> None:
    largest = lattice_interfaces(read_crystal(structure_of("1ppe")))[0]
    assert (largest.chains, len(largest.contacts)) == ("E/I", 71)


@needs_gemmi
def test_a_chain_on_a_two_fold_axis_touches_its_image_once(tmp_path: Path) -> None:
    path = tmp_path / "1abc.pdb"
    path.write_text(CELL + small_chain() + "END\n")
    (found,) = lattice_interfaces(read_crystal(path), smallest=1)
    # The axis is along y: each residue meets its own image at 3 A, and those beside it at 4.84 A.
    assert len(found.contacts) == 6 + 2 * 5
    assert descriptors_of_interface(found)[DESCRIPTORS.index("AA")] == 16
    fields = complex_of_interface(found)
    np.testing.assert_allclose(fields["position"][0].reshape(-1, 3).mean(axis=0), 0.0, atol=1e-9)
    assert fields["contact"].sum() == 16


@needs_gemmi
def test_what_is_left_out_or_incomplete_is_said(tmp_path: Path) -> None:
    names = ("ALA", "MSE", "XYZ", "GLY", "SER", "THR", "LEU")
    twice = small_chain(names).replace(" CA  SER", " CA ASER") + atom_line(
        99, 5, "SER", (1.6, 19.0, 0.5)
    ).replace(" CA  SER", " CA BSER")
    model = f"{twice}TER\nENDMDL\n"
    path = tmp_path / "models.pdb"
    path.write_text(f"MODEL        1\n{model}MODEL        2\n{model}END\n")
    crystal = read_crystal(path)
    words = " ".join(crystal.notes)
    for part in ("2 models", "alternate locations", "no crystal symmetry", "lack atoms"):
        assert part in words
    assert "unknown kind left out: 1 XYZ" in words
    assert not lattice_interfaces(crystal)


@needs_gemmi
def test_a_folder_is_read_on_after_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_text(CELL + small_chain(("LEU",) * 12) + "END\n")
    (tmp_path / "broken.cif").write_text("data_x\nloop_\n_atom_site.id\n_atom_site")
    (tmp_path / "dna.pdb").write_text(small_chain((" DA",) * 8) + "END\n")
    (tmp_path / "empty.pdb").write_text("")
    (tmp_path / "notes.txt").write_text("not a structure")
    read = read_folder(tmp_path)
    assert [each.name for each in read.interfaces] == ["a_1"]
    assert set(read.refused) == {"broken.cif", "dna.pdb", "empty.pdb"}
    assert "not readable as a structure" in read.refused["broken.cif"]
    assert "no chain of protein" in read.refused["dna.pdb"]


@needs_gemmi
def test_a_huge_assembly_is_refused(tmp_path: Path) -> None:
    names = [f"{first}{second}" for first in "ABCDEFGH" for second in "ABCDEFGH"]
    header = (
        "data_x\nloop_\n_atom_site.group_PDB\n_atom_site.id\n_atom_site.type_symbol\n"
        "_atom_site.label_atom_id\n_atom_site.label_alt_id\n_atom_site.label_comp_id\n"
        "_atom_site.label_asym_id\n_atom_site.label_entity_id\n_atom_site.label_seq_id\n"
        "_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n_atom_site.auth_asym_id\n"
        "_atom_site.auth_seq_id\n_atom_site.pdbx_PDB_model_num\n"
    )
    lines = [
        f"ATOM {10 * i + k} C CA . ALA {name} 1 {k} {10 * i} {3.8 * k:.1f} 0 {name} {k} 1\n"
        for i, name in enumerate(names)
        for k in range(1, 7)
    ]
    path = tmp_path / "virus.cif"
    path.write_text(header + "".join(lines))
    with pytest.raises(UserError, match="64 chains, more than 60; give the asymmetric unit"):
        read_crystal(path)


def test_without_gemmi_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemmi", None)
    with pytest.raises(MissingExtraError, match="interfaces"):
        read_crystal(tmp_path / "1abc.pdb")
