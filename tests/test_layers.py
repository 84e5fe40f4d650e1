"""Imports run one way, between packages and within `search`; each engine has its own modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("problems", "spaces", "search", "reports", "simstead")
SEARCH_LAYERS = (
    "pareto", "watchdog", "allocation", "interrupts", "run", "progress", "timing", "trial",
    "objectives", "active_learning", "sampling", "workers", "final",
    "data_summary", "request", "joining", "first_phases", "driver", "search_options", "session",
    "launch", "export", "screening", "commands",
)  # fmt: skip
ENGINES = {
    "optuna": {
        "search/commands/study_copy.py",
        "search/run/journal.py",
        "search/sampling/choices.py",
        "search/sampling/samplers.py",
        "search/sampling/study.py",
    },
    "ray": {
        "search/workers/deployment_kind.py",
        "search/workers/joined_cluster.py",
        "search/workers/kept_workers.py",
        "search/workers/ray_cluster.py",
        "search/workers/remote_process.py",
        "search/workers/placement.py",
        "search/workers/tasks.py",
        "search/workers/timing_machine.py",
        "search/workers/transport.py",
        "search/workers/trial_runner.py",
        "search/workers/tune_adapter.py",
    },
    "matplotlib": {"reports/matplotlib_figures.py"},
    "plotly": {"reports/diagnosis_figures.py", "reports/pages.py", "reports/plotly_figures.py"},
}
MODULES = sorted(
    str(path.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).rglob("*.py")
)
SEARCH_MODULES = [
    module
    for module in MODULES
    if module.startswith("search/") and "/templates/" not in module and module.count("/") > 0
]
# A command asks for a report once its search is done: the one import against the direction.
EXCEPTION = ("search/commands/results.py", "reports")


def imported(module: str) -> set[str]:
    """Return the dotted names of the modules that a module imports or imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imported(module)}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    layer = LAYERS.index(module.partition("/")[0])
    above = set(LAYERS[layer + 1 :]) & imported_packages(module)
    if module == EXCEPTION[0]:
        above -= {EXCEPTION[1]}
    assert not above


@pytest.mark.parametrize("module", [m for m in SEARCH_MODULES if m != "search/__init__.py"])
def test_imports_within_search_run_one_way(module: str) -> None:
    own = SEARCH_LAYERS.index(module.split("/")[1].removesuffix(".py"))
    parts = [name.split(".") for name in imported(module)]
    layers = {name[1] for name in parts if name[0] == "search" and len(name) > 1}
    assert layers <= set(SEARCH_LAYERS[: own + 1])


@pytest.mark.parametrize("module", MODULES)
def test_each_engine_has_its_own_modules(module: str) -> None:
    for engine, places in ENGINES.items():
        assert engine not in imported_packages(module) or module in places, f"{engine} in {module}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("problems/")])
def test_problems_need_no_torch(module: str) -> None:
    assert "torch" not in imported_packages(module)


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("problems/")])
def test_nothing_read_from_a_run_is_unpickled(module: str) -> None:
    """What a pickle holds is run: it would be the code of whoever wrote the run."""
    assert not {"pickle", "cloudpickle", "joblib", "dill"} & imported_packages(module)
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node)


def test_case_studies_are_all_that_is_imported_as_such() -> None:
    cases = {path.parent.name for path in (ROOT / "problems/cases").glob("*/__init__.py")}
    assert {"events", "planets", "radiation", "stability"} <= cases
