"""Problems come from names, entry points, files and modules; a mistake is told with its place."""

import importlib.metadata
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from problems import Problem, Size, UserError, load_problem, sources
from problems.registry import PROBLEMS
from problems.source_code import source_hash
from problems.sources import ENTRY_POINT_GROUP, ProblemSource, locate_problem, problem_loaders
from problems.template.write import write_template


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_template("mine", tmp_path)


def test_a_file_is_loaded_by_its_path(file: Path) -> None:
    problem = load_problem(str(file))
    assert problem.name == "mine"
    assert load_problem(f"{file}:problem") is problem
    assert load_problem(str(file), Size.STANDARD) is problem


def test_a_reference_can_be_typed_from_anywhere(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    source = locate_problem("mine.py:problem")
    monkeypatch.chdir(tmp_path.parent)
    assert load_problem(source.reference).name == "mine"


def test_a_file_finds_the_modules_beside_it_and_they_shadow_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.LAST_RESORT, "folders", [])
    (file.parent / "a_neighbour.py").write_text("NAME = 'theirs'")
    (file.parent / "spaces.py").write_text("raise RuntimeError('a decoy')")
    file.write_text(
        file.read_text().replace("import numpy as np", "import numpy as np\nimport a_neighbour")
        + "\nfrom spaces.candidate import Candidate\n"
    )
    try:
        assert load_problem(str(file)).name == "mine"
    finally:
        sys.modules.pop("a_neighbour", None)


def test_a_module_is_loaded_by_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.LAST_RESORT, "folders", [])
    monkeypatch.chdir(file.parent)
    file.rename(file.with_name("a_module_of_mine.py"))
    assert load_problem("a_module_of_mine:problem").name == "mine"
    with pytest.raises(UserError, match=r"unknown attribute .* 'probleme'; did you mean 'problem'"):
        load_problem("a_module_of_mine:probleme")
    with pytest.raises(UserError, match="there is no module 'nowhere'"):
        load_problem("nowhere:problem")


def test_a_function_of_the_size_is_a_problem_of_several(file: Path) -> None:
    file.write_text(
        file.read_text()
        + "\n\ndef sized(size):\n    return type(problem)(**{**vars(problem), 'name': str(size)})\n"
    )
    assert load_problem(f"{file}:sized", Size.TINY).name == "tiny"
    assert load_problem(f"{file}:sized").name == "standard"


def test_an_entry_point_is_a_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.LAST_RESORT, "folders", [str(file.parent)])
    monkeypatch.syspath_prepend(file.parent)
    file.rename(file.with_name("plugged_in.py"))
    points = [
        EntryPoint("plugged", "plugged_in:problem", ENTRY_POINT_GROUP),
        EntryPoint("broken", "plugged_in:nothing", ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(
        sources, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    assert load_problem("plugged").name == "mine"
    assert locate_problem("plugged").load(default=Size.TINY).name == "mine"
    assert {"plugged", "broken", "planets"} <= set(problem_loaders())
    with pytest.raises(UserError, match=r"'broken' \(plugged_in:nothing\) can't be loaded"):
        load_problem("broken")
    with pytest.raises(UserError, match="did you mean 'plugged'"):
        load_problem("pluged")
    points.append(EntryPoint("planets", "plugged_in:problem", ENTRY_POINT_GROUP))
    with pytest.raises(UserError, match="'planets' is registered by plugged_in:problem, simstead"):
        load_problem("planets")


def test_no_entry_points_of_ours_are_left_installed() -> None:
    assert not list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))


WRONG = {
    "not there": (None, "", "is no Python file"),
    "syntax": ("x = (", "", "line 1: SyntaxError"),
    "fails": ("import math\nx = 1\ny = x / 0\n", "", "line 3: ZeroDivisionError: division by zero"),
    "fails beneath": (
        "import numpy\nnumpy.zeros(3).reshape(2)\n",
        "",
        "line 2: ValueError: cannot reshape",
    ),
    "a mistake of ours": (
        "from problems import FlatEncoding\n\nFlatEncoding((), ())\n",
        "",
        "line 3: FlatEncoding needs inputs and outputs",
    ),
    "an unknown argument": (
        "from problems import Problem\nProblem(simulatoin=1)\n",
        "",
        "line 2: TypeError: Problem.__init__() got an unexpected keyword argument 'simulatoin'",
    ),
    "no problem": ("x = 1\n", "", "holds no problem; call one 'problem'"),
    "not a problem": ("problem = 3\n", "", "is a int, not a Problem"),
    "a missing library": ("import a_library_of_theirs\n", "", "line 1: ModuleNotFoundError"),
    "another attribute": ("x = 1\n", ":y", "unknown attribute"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_file_is_told(name: str, tmp_path: Path) -> None:
    text, attribute, words = WRONG[name]
    path = tmp_path / "wrong.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as told:
        load_problem(f"{path}{attribute}")
    assert words in str(told.value)


ENCODED = {
    "a byte-order mark": b"\xef\xbb\xbf%s",
    "a mark and a coding line": b"\xef\xbb\xbf# -*- coding: utf-8 -*-\n%s",
    "a coding line": b"# -*- coding: latin-1 -*-\n%s\nNAME = 'caf\xe9'\n",
    "the ends of lines of another system": b"# x\r\n%s",
}


@pytest.mark.parametrize("name", ENCODED)
def test_a_file_is_read_in_its_encoding_and_hashed_alike(name: str, file: Path) -> None:
    expected = source_hash(load_problem(str(file)).simulation)
    other = file.with_name("other.py")
    other.write_bytes(ENCODED[name] % file.read_bytes())
    assert source_hash(load_problem(str(other)).simulation) == expected


NOT_TEXT = {
    "another encoding": (b"\n\nX = 'caf\xe9'\n", "line 3: byte 0xe9 isn't UTF-8; save it as UTF-8"),
    "a comment in another": (b"# caf\xe9\n", "line 1: byte 0xe9 isn't UTF-8"),
    "not its own": (b"# coding: ascii\n# caf\xe9\n", "line 2: byte 0xe9 isn't ASCII"),
    "an unknown one": (b"# coding: latin-9000\n", "line 1: unknown encoding: latin-9000"),
    "wide characters": ("x = 1\n".encode("utf-16"), "is UTF-16, which Python can't read"),
}


@pytest.mark.parametrize("name", NOT_TEXT)
def test_a_file_in_an_encoding_that_it_does_not_name_is_refused(name: str, tmp_path: Path) -> None:
    content, words = NOT_TEXT[name]
    path = tmp_path / "wrong.py"
    path.write_bytes(content)
    with pytest.raises(UserError) as told:
        load_problem(str(path))
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_two_problems_in_a_file_need_a_name(file: Path) -> None:
    file.write_text(file.read_text().replace("\nproblem = ", "\none = two = "))
    assert load_problem(str(file)).name == "mine"  # the same one twice is one
    file = file.rename(file.with_name("two.py"))
    file.write_text(file.read_text() + "\nthree = Problem(**{**vars(one), 'name': 'three'})\n")
    with pytest.raises(UserError, match="several problems: one, two, three"):
        load_problem(str(file))


def test_a_size_is_refused_where_there_is_one(file: Path) -> None:
    with pytest.raises(UserError, match="has one size; leave --size out"):
        load_problem(str(file), Size.TINY)


def test_a_source_knows_whether_it_is_code(file: Path) -> None:
    assert locate_problem("planets").user_source is None
    assert locate_problem(str(file)).user_source == ProblemSource(str(file), str(file.parent))
    assert isinstance(PROBLEMS["planets"](Size.TINY), Problem)


@pytest.mark.parametrize("name", ["my-problem", "1st", "class", "a b", "", "über"])
def test_a_template_needs_a_modules_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't name a Python file"):
        write_template(name, tmp_path)


def test_a_template_never_overwrites(file: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_template("mine", file.parent)
    with pytest.raises(UserError, match="can't be written"):
        write_template("mine", file.parent / "nowhere")
