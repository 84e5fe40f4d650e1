"""Imports run one way: reports -> search -> spaces -> problems; each engine has its one room."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("problems", "spaces", "search", "reports")
ENGINES = {
    "optuna": {
        "search/choosing.py",
        "search/journal.py",
        "search/samplers.py",
        "search/study.py",
    },
    "ray": {"search/cluster.py", "search/distribute.py"},
    "matplotlib": {"reports/static.py"},
    "plotly": {"reports/diagnosis_figures.py", "reports/figures.py", "reports/html.py"},
}
MODULES = sorted(
    str(path.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).rglob("*.py")
)
# A command asks for a report once its search is done: the one import against the direction.
EXCEPTION = ("search/cli.py", "reports")


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names.add(str(node.module).partition(".")[0])
    return names


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    layer = LAYERS.index(module.partition("/")[0])
    above = set(LAYERS[layer + 1 :]) & imported(module)
    if module == EXCEPTION[0]:
        above -= {EXCEPTION[1]}
    assert not above


@pytest.mark.parametrize("module", MODULES)
def test_each_engine_has_its_room(module: str) -> None:
    for engine, rooms in ENGINES.items():
        assert engine not in imported(module) or module in rooms, f"{engine} in {module}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("problems/")])
def test_problems_need_no_torch(module: str) -> None:
    assert "torch" not in imported(module)
