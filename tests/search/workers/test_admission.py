"""What a node must show before it gets work."""

from pathlib import Path

import pytest

from problems import Problem, Size
from problems.sources import ProblemSource
from search.run.nodes import NodeFacts
from search.workers import admission
from search.workers.admission import (
    Question,
    Witness,
    collect_facts,
    refusal,
    show,
    unanswered,
    witnesses_in,
)
from spaces.restrictions import Restrictions
from tests.builders import make_node_facts


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "VISIBILITY_S", 0.0)


def question(problem: Problem, witnesses: tuple[Witness, ...]) -> Question:
    return Question(witnesses, ProblemSource(problem.name, ""), Size.TINY, Restrictions())


def test_a_machine_like_the_drivers_that_sees_the_folders_is_admitted(tmp_path: Path) -> None:
    source = ProblemSource("planets", "")
    problem = source.load(Size.TINY)
    folders = {"the run": tmp_path / "run", "the cache": tmp_path / "cache"}
    with witnesses_in(folders) as witnesses:
        shown = show(question(problem, witnesses), "a" * 56)
        assert isinstance(shown, NodeFacts), shown
        assert refusal(shown, collect_facts(problem, Restrictions())) == ""
        assert unanswered(witnesses, "a" * 56) == ""
        assert "isn't seen by the driver" in unanswered(witnesses, "b" * 56), "it didn't reply"
    assert not any(file for folder in folders.values() for file in folder.iterdir())


@pytest.mark.parametrize("name", ["the run", "the cache"])
@pytest.mark.parametrize("hidden", ["gone", "other"])
def test_a_machine_without_a_folder_or_with_a_copy_is_refused(
    problem: Problem, tmp_path: Path, name: str, hidden: str
) -> None:
    folders = {"the run": tmp_path / "run", "the cache": tmp_path / "cache"}
    with witnesses_in(folders) as witnesses:
        (witness,) = [each for each in witnesses if each.name == name]
        if hidden == "gone":
            witness.path.unlink()
        else:
            witness.path.write_text("of another time")
        shown = show(question(problem, witnesses), "node")
    assert isinstance(shown, str)
    assert name in shown
    assert str(witness.path.parent) in shown


def test_a_machine_that_cannot_load_the_problem_says_so(tmp_path: Path) -> None:
    with witnesses_in({"the run": tmp_path}) as witnesses:
        asked = Question(
            witnesses, ProblemSource("/nowhere/mine.py", "/nowhere"), Size.TINY, Restrictions()
        )
        shown = show(asked, "node")
    assert isinstance(shown, str)
    assert "can't load the problem" in shown
    assert "/nowhere/mine.py" in shown


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({}, ""),
        ({"python": "3.9.1"}, "Python 3.9.1"),
        ({"versions": {"torch": "1.0"}}, "torch 1.0"),
        ({"code_hash": "other"}, "simstead"),
        ({"problem_hash": "other"}, "problem"),
        ({"deployments": ("fp32 by eager",)}, "can't deploy fp16 by eager"),
        ({"deployments": ("fp16 by eager", "fp32 by eager", "int8 by onnxruntime")}, ""),
        ({"kind": "another"}, ""),
        ({"kind": "another", "deployments": ("fp32 by eager",)}, ""),
        ({"kind": "another", "arithmetics": ("bf16", "fp16", "fp32")}, ""),
        ({"kind": "another", "arithmetics": ("fp32",)}, "--only training.arithmetic=fp32"),
        ({"host": "another"}, ""),
    ],
)
def test_a_machine_that_differs_is_refused_with_what_differs(
    there: dict[str, object], reason: str
) -> None:
    refused = refusal(make_node_facts(**there), make_node_facts())
    assert refused if reason else not refused
    assert reason in refused
