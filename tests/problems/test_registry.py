import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from problems import Registry, Size, UnknownNameError, UserError, load_problem
from problems.registry import known_problems


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown problem 'planet'; did you mean 'planets'"):
        load_problem("planet", Size.TINY)


def test_a_name_far_from_all_lists_them() -> None:
    with pytest.raises(UnknownNameError, match=f"known: {', '.join(known_problems())}"):
        load_problem("zzz", Size.TINY)


def test_a_name_is_registered_once() -> None:
    registry: Registry[object] = Registry("thing")
    registry.register("one")(SimpleNamespace())
    with pytest.raises(ValueError, match="'one' is registered twice"):
        registry.register("one")(SimpleNamespace())


def test_a_file_that_fails_registers_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from problems import register_problem\n"
        "from problems.template.problem import problem\n"
        "@register_problem('of-a-file')\n"
        "def mine(size):\n"
        "    return problem\n"
        "raise RuntimeError('not yet')\n"
    )
    with pytest.raises(UserError, match="not yet"):
        load_problem(f"{file}:mine")
    assert "of-a-file" not in set(known_problems())
    file.write_text(file.read_text().replace("raise RuntimeError('not yet')\n", ""))
    try:
        assert load_problem(f"{file}:mine", Size.TINY).name == "template"
    finally:
        Registry.forget_module(next(name for name in sys.modules if name.endswith("_mine")))


@pytest.mark.parametrize("size", list(Size))
def test_every_size_is_there(size: Size) -> None:
    problem = load_problem("planets", size)
    assert problem.samples is not None
    assert problem.samples.train > problem.samples.test
