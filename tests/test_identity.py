"""Moves and renames of modules change no key, artefact or run; a constant of the physics does."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from problems.source_code import source_hash

ROOT = Path(__file__).parent.parent
PACKAGES = ("problems", "spaces", "search", "reports", "simstead")

RENAMED = {
    "problems.interfaces.types": "problems.interfaces.protocols",
    "problems.encodings.rollout": "problems.encodings.unrolling",
    "problems.cases.planets.orbits": "problems.cases.planets.kepler",
    "problems.cases.planets.encodings": "problems.cases.planets.window_encodings",
    "problems.cases.stability.simulation": "problems.cases.stability.sweep",
    "problems.cases.planets.simulation": "problems.simulated_planets",
    "spaces.candidate": "spaces.trial_candidate",
    "search.run.spec": "search.specification",
}

FACTS = """
import json, sys
from pathlib import Path

import numpy as np

from problems import Size, load_problem
from problems.data.dataset import reference_digest, search_digest
from problems.data.shards import plan_shards
from problems.sources import locate_problem
from search.request import make_spec
from search.run.directory import RunDirectory
from spaces.surrogate import Surrogate

folder = Path(sys.argv[1])
facts = {}
for name in ("planets", "stability"):
    problem = load_problem(name, Size.TINY)
    keys = [shard.key for shard in plan_shards(problem)]
    facts[name] = [keys, search_digest(problem), reference_digest(problem)]
run = RunDirectory.open(folder)
spec = run.spec()
problem = load_problem("planets", Size.TINY)
asked = make_spec(problem, locate_problem("planets"), spec, size=spec.size, seed=spec.seed,
                  restrictions=spec.restrictions, trials=spec.trials, workers=spec.workers)
facts["resumed"] = asked.identity == spec.identity
records = [r for r in run.records() if (folder / "artefacts" / f"{r.number:04d}").is_dir()]
for record in records[:2]:
    surrogate = Surrogate.load(run.artefact_path(record.number), problem)
    inputs = problem.simulation.draw(2, np.random.default_rng(0))
    outputs = surrogate.run(inputs, np.random.default_rng(0))
    facts[str(record.number)] = [record.key, record.candidate.key, *map(repr, outputs.values())]
print(json.dumps(facts))
"""


def facts_of(root: Path, run: Path) -> dict[str, list[str]]:
    """Return the keys of data, searches and trials, as the code in a folder computes them."""
    done = subprocess.run(
        [sys.executable, "-c", FACTS, str(run)],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def copied(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def rename_modules(root: Path) -> None:
    """Rename and move modules, and write the imports of all others anew."""
    for old, new in RENAMED.items():
        (root / f"{old.replace('.', '/')}.py").rename(root / f"{new.replace('.', '/')}.py")
    for path in root.rglob("*.py"):
        text = path.read_text()
        for old, new in RENAMED.items():
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
        path.write_text(text)


def move_a_definition(root: Path) -> None:
    """Move the gravitational constant into a module of its own, under an alias where it is used."""
    orbits = root / "problems/cases/planets/kepler.py"
    text = orbits.read_text()
    (line,) = re.findall(r"^GRAVITATION\w* = .*$", text, re.MULTILINE)
    name = line.partition(" ")[0]
    (root / "problems/constants.py").write_text(f"{line}\n")
    orbits.write_text(
        text.replace(line, "").replace(
            "import numpy as np\n",
            f"import numpy as np\n\nfrom problems.constants import {name}\n",
            1,
        )
    )


@pytest.mark.slow
def test_moves_and_renames_change_no_key_no_artefact_and_no_run(
    finished_run: Path, tmp_path: Path
) -> None:
    before = facts_of(ROOT, finished_run)
    assert before["resumed"] is True
    root = copied(tmp_path)
    rename_modules(root)
    move_a_definition(root)
    assert facts_of(root, finished_run) == before
    constants = root / "problems/constants.py"
    constants.write_text(re.sub(r"= (.*)", r"= 1.001 * (\1)", constants.read_text()))
    changed = facts_of(root, finished_run)
    assert set(changed["planets"][0]).isdisjoint(before["planets"][0])
    assert changed["planets"][1] != before["planets"][1]
    assert changed["resumed"] is False


SOURCE = """
    import {helper} as other
    from {helper} import STRENGTH

    class Toy:
        '''A docstring.'''

        def run(self, n: int) -> float:
            return STRENGTH * n + other.offset(n)
    """
HELPER = """
    STRENGTH = 2.0

    def offset(n):
        return n + SHIFT

    SHIFT = 1.0
    """
ONE_MODULE = """
    SHIFT = 1.0

    def shifted(n): return n + SHIFT

    FACTOR = 2.0

    class Other:
        def run(self, n):
            # a comment
            return FACTOR * n + shifted(n)
    """


def test_a_hash_knows_what_a_definition_says_and_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    stem = tmp_path.name.replace("-", "_")
    one, two, helper, far = (f"{stem}_{name}" for name in ("one", "two", "helper", "far"))
    (tmp_path / f"{helper}.py").write_text(textwrap.dedent(HELPER))
    (tmp_path / f"{two}.py").write_text(textwrap.dedent(SOURCE.format(helper=helper)))
    (tmp_path / f"{one}.py").write_text(textwrap.dedent(ONE_MODULE))
    (tmp_path / f"{far}.py").write_text(textwrap.dedent(ONE_MODULE).replace("1.0", "1.5"))
    parts = source_hash(import_module(two).Toy)
    assert source_hash(import_module(one).Other) == parts
    assert source_hash(import_module(far).Other) != parts
