"""What the tests share: every registered problem at its tiny size, with its data."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator
from getpass import getuser
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import pytest
from filelock import FileLock

from problems import Dataset, Problem, Size, known_problems, load_problem
from problems.data.dataset import generate
from problems.template.write import write_template
from tests import pairwise

SIMSTEAD = Path(sys.executable).with_name("simstead")
DECOYS = ("search.py", "problems.py", "spaces.py", "reports.py", "simstead.py")

# Set before JAX is imported, which reads them then. A program is compiled for seconds, once for
# each process that runs it, and is the same in all of them: its key holds code, flags and machine.
COMPILED = Path(gettempdir()) / f"simstead_xla_{getuser()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]
RunOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="try laws on all combinations of choices, not on those that hold every pair of them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say which cases laws are tried on; let commands hear Ctrl-C.

    A script that puts the tests in the background has it ignored.
    """
    pairwise.session.whole = bool(config.getoption("--whole"))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    if pairwise.session.whole:
        return "laws: on all combinations of choices"
    return f"laws: on every pair of choices, seed {pairwise.SEED} (--whole: on all combinations)"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that prints what this one, which collects, has drawn."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["samples"] = {name: list(drawn) for name, drawn in pairwise.session.samples.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("samples", {})
    samples = {name: pairwise.Sample(*drawn) for name, drawn in told.items()}
    pairwise.session.samples.update(samples)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not pairwise.session.samples:
        return
    terminalreporter.section("laws")
    terminalreporter.write_line(pytest_report_header())
    for name, (tried, admissible) in sorted(pairwise.session.samples.items()):
        terminalreporter.write_line(f"{name}: {tried} of {admissible} combinations")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there are several processes, give each its share of the slow tests, and those first.

    Each begins with its part of the list and takes from another's end when it is done: a slow test
    that is left for the end keeps one process busy while the others wait. What needs the finished
    run is the first process's, so that no other one waits for the search.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes == 1:
        return
    sharing = [item for item in items if "finished_run" in getattr(item, "fixturenames", ())]
    others = [item for item in items if item not in set(sharing)]
    slow = [item for item in others if item.get_closest_marker("slow")]
    quick = iter([item for item in others if not item.get_closest_marker("slow")])
    share = -(-len(items) // processes)
    parts = [[*(sharing if i == 0 else ()), *slow[i::processes]] for i in range(processes)]
    items[:] = [
        item for part in parts for item in (*part, *islice(quick, max(0, share - len(part))))
    ]


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the processes of the session share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def cache(session_folder: Path) -> Path:
    folder = session_folder / "cache"
    os.environ["SIMSTEAD_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", params=list(known_problems()))
def problem(request: pytest.FixtureRequest) -> Problem:
    return load_problem(request.param, Size.TINY)


@pytest.fixture(scope="session")
def data(problem: Problem, cache: Path) -> Dataset:
    return generate(problem, cache)


@pytest.fixture(scope="session")
def decoy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder whose own modules have our packages' names, and fail when imported."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in DECOYS:
        (folder / name).write_text("raise RuntimeError('a decoy was imported')\n")
    (folder / "problems").mkdir()
    (folder / "problems" / "__init__.py").write_text("raise RuntimeError('a decoy')\n")
    return folder


@pytest.fixture(scope="session")
def command_env(cache: Path) -> Generator[dict[str, str]]:
    """The environment of a command: with what others have compiled, and a temporary folder.

    Its name is short because sockets' may be no longer than a hundred characters.
    """
    compiled = Path(gettempdir()) / f"torchinductor_{getuser()}"
    with TemporaryDirectory(prefix="simstead-", ignore_cleanup_errors=True) as own:
        yield {
            **os.environ,
            "SIMSTEAD_CACHE": str(cache),
            "TMPDIR": own,
            "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(compiled)),
        }


@pytest.fixture(scope="session")
def simstead(decoy_folder: Path, command_env: dict[str, str]) -> RunSimstead:
    """Run the command line as a user would, from a folder of decoys."""

    def run(*arguments: object, folder: Path = decoy_folder) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SIMSTEAD), *map(str, arguments)],
            cwd=folder,
            env=command_env,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return run


@pytest.fixture(scope="session")
def run_once(session_folder: Path) -> RunOnce:
    """Fill a folder of a name in whichever process of the session comes to it first."""

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        folder = session_folder / name
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                fill(folder)
        return folder

    return filled


@pytest.fixture(scope="session")
def quick_final_evaluation() -> str:
    """Code in a user's file that ends the final evaluation soon: its times don't matter here."""
    return textwrap.dedent(
        """
        import sys

        if sys.argv[1:2] == ["search"]:
            from search.final import evaluation

            evaluation.TIME_BUDGET_S = 1.0
        """
    )


@pytest.fixture(scope="session")
def small_template(quick_final_evaluation: str) -> Callable[[str, Path], Path]:
    """Write the template of a user's problem to be searched soon: few samples, own baselines."""

    def write(name: str, folder: Path) -> Path:
        path = write_template(name, folder)
        small = path.read_text().replace(
            "samples=Samples(train=512, validation=128, test=128, shifted=64)",
            "samples=Samples(train=48, validation=16, test=16, shifted=16),\n    epochs=4,\n"
            "    standard_baselines=False",
        )
        assert "epochs=4" in small
        path.write_text(small + quick_final_evaluation)
        return path

    return write


@pytest.fixture(scope="session")
def finished_run(simstead: RunSimstead, run_once: RunOnce) -> Path:
    """The run directory of a real search, small but whole; nobody changes it.

    It has no network that advances orbits by steps, a call of which may take half a second: whether
    such a one is refused hangs on the machine. Training in bf16 takes minutes on processors that
    lack it; kernels of steps and U-Nets take most of a minute each.
    """

    def search(folder: Path) -> None:
        done = simstead(
            "search", "planets", "--size", "tiny", "--trials", 6, "--seed", 3, "--run", folder,
            "--deployments", 2, "--retrain", 1, "--only", "runtime=eager,onnxruntime,openvino",
            "--only", "encoding=series,pattern,image", "--only", "training.arithmetic=fp32",
            "--only", "architecture=mlp,gru,conv1d,conv2d",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "report:" in done.stdout

    return run_once("finished", search)


@pytest.fixture(scope="session")
def run_readme_example() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Run the code that the page of an exported surrogate shows, in its folder."""

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        page = (folder / "README.md").read_text()
        shown = page[page.index("    import numpy") : page.index("Inputs and outputs")]
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(shown)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
