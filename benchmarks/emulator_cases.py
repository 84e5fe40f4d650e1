"""The emulators of a case of benchmarks/emulators.py: they are fitted, scored and timed in turn."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from emulator_fits import (
    Clock,
    FailedToolError,
    autoemulate_clock,
    batch_of,
    clock_of,
    fit_autoemulate,
    fit_gaussian_process,
    read_autoemulate,
    time_in_turn,
    write_samples,
)
from emulator_results import (
    AUTOEMULATE,
    BASELINE,
    GAUSSIAN_PROCESS,
    SEARCH,
    Case,
    CaseResult,
    EmulatorResult,
    Request,
)
from simulators import suite_problem

from problems import Batch, Dataset, Problem, Run, UserError
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.interfaces.types import tile_samples
from reports.views import ReportData, read_report_data
from search.run.directory import RunDirectory
from spaces.surrogate import Surrogate

SIMSTEAD = Path(sys.executable).with_name("simstead")

PROBLEM_FILE = """from simulators import suite_problem

problem = suite_problem({simulator!r}, samples={samples}, split={split})
"""


class Fitted(NamedTuple):
    """An emulator before it is timed.

    Args:
        name: What the tool chose.
        error: Score on the test split.
        found_s: Seconds to find it.
        clock: Times a call of it.
    """

    name: str
    error: float
    found_s: float
    clock: Clock


class CaseWork:
    """One case on this machine: its problem, data and folder.

    Args:
        case: The case.
        request: What is compared.
    """

    def __init__(self, case: Case, request: Request) -> None:
        self.case, self.request = case, request
        self.folder = request.suite / case.title
        self.folder.mkdir(parents=True, exist_ok=True)
        self.problem: Problem = suite_problem(*case)
        self.data: Dataset = generate(self.problem, default_cache())

    @property
    def call(self) -> Batch:
        """The inputs of a timed call, as many as the deployment has."""
        return tile_samples(self.data.test.inputs, self.problem.deployment.batch)

    def score(self, predicted: Batch) -> float:
        """Return the error of a prediction of the test split, by the problem's own score."""
        test = self.data.test
        metrics = self.problem.score(predicted, test.outputs, test.inputs)
        return float(metrics[self.problem.objective.name])

    def fitted(self, name: str, run: Run, found_s: float) -> Fitted:
        """Return an emulator that is called in this process.

        Args:
            name: What the tool chose.
            run: The emulator.
            found_s: Seconds to find it.
        """
        error = self.score(run(self.data.test.inputs, np.random.default_rng(0)))
        return Fitted(name, error, found_s, clock_of(run, self.call))

    def gaussian_process(self) -> Fitted:
        """Return scikit-learn's Gaussian process."""
        started = time.perf_counter()
        run = fit_gaussian_process(self.problem, self.data.train)
        return self.fitted("lengths for each input", run, time.perf_counter() - started)

    def autoemulate(self, python: Path, stack: ExitStack) -> Fitted:
        """Return AutoEmulate's best emulator.

        Args:
            python: Interpreter of the environment with AutoEmulate.
            stack: Ends the process that holds the emulator.

        Raises:
            FailedToolError: It has none.
        """
        folder = self.folder / "autoemulate"
        write_samples(self.problem, self.data, self.call, folder)
        fit_autoemulate(python, folder, self.request.limit_s)
        found = read_autoemulate(folder)
        error = self.score(batch_of(self.problem.outputs, found.predicted))
        clock = stack.enter_context(autoemulate_clock(python, folder))
        return Fitted(found.name, error, found.found_s, clock)

    def search(self) -> ReportData:
        """Return the data of the finished search of this case; a finished one isn't repeated.

        Raises:
            FailedToolError: The search failed.
        """
        problem_file, run = self.folder / "problem.py", self.folder / "run"
        if not (run / "heat.json").exists():
            problem_file.write_text(PROBLEM_FILE.format(**self.case._asdict()), encoding="utf-8")
            paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
            options = ("--trials", str(self.request.trials), "--retrain", "0", "--run", str(run))
            started = time.perf_counter()
            done = subprocess.run(  # noqa: S603 - our own program
                [str(SIMSTEAD), "search", str(problem_file), *options],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                capture_output=True,
                text=True,
                check=False,
            )
            self._durations.write_text(
                json.dumps([*self._searched_s(), time.perf_counter() - started]), encoding="utf-8"
            )
            if done.returncode:
                lines = (done.stdout + done.stderr).strip().splitlines()
                raise FailedToolError(lines[-1] if lines else f"exit code {done.returncode}")
        return read_report_data(RunDirectory.open(run))

    def front(self, facts: ReportData) -> dict[str, Fitted]:
        """Return the networks on the front of the search, by the names of their trials.

        Args:
            facts: The data of the search.
        """
        run, numbers = RunDirectory.open(self.folder / "run"), {t.number for t in facts.front}
        return {
            finalist.name: self.fitted(
                f"{finalist.name}: {finalist.description}",
                Surrogate.load(run.artefact_path(finalist.trial), self.problem).run,
                sum(self._searched_s()),
            )
            for finalist in facts.finalists
            if finalist.trial is not None and finalist.trial in numbers
        }

    @property
    def _durations(self) -> Path:
        return self.folder / "search_seconds.json"

    def _searched_s(self) -> list[float]:
        """Return the durations of the search's sessions [s]."""
        stored = self._durations
        return json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else []


def measure_case(case: Case, request: Request) -> CaseResult:
    """Return the results of a case, from its folder if they are there.

    Args:
        case: The case.
        request: What is compared.
    """
    stored = request.suite / case.title / "figures.json"
    if stored.exists():
        result = CaseResult.of(json.loads(stored.read_text(encoding="utf-8")))
        if result.answers(request):
            return result
    work = CaseWork(case, request)
    fitted: dict[str, Fitted] = {GAUSSIAN_PROCESS: work.gaussian_process()}
    failures: dict[str, str] = {}
    facts: ReportData | None = None
    front: dict[str, Fitted] = {}
    with ExitStack() as stack:
        if request.autoemulate:
            try:
                fitted[AUTOEMULATE] = work.autoemulate(request.autoemulate, stack)
            except FailedToolError as error:
                failures[AUTOEMULATE] = str(error)
        if request.trials:
            try:
                facts = work.search()
                front = work.front(facts)
            except (FailedToolError, UserError) as error:
                failures[SEARCH] = str(error)
        clocks = {name: each.clock for name, each in (fitted | front).items()}
        times = time_in_turn(work.problem, clocks)
    others = {tool: _result(each, times[tool]) for tool, each in fitted.items()}
    members = {name: _result(each, times[name]) for name, each in front.items()}
    if facts:
        others |= best_baseline(facts, {name: each.time_s for name, each in members.items()})
    result = CaseResult(case, request.trials, others, list(members.values()), failures)
    stored.write_text(json.dumps(result.facts, indent=1), encoding="utf-8")
    return result


def best_baseline(facts: ReportData, times: dict[str, float]) -> dict[str, EmulatorResult]:
    """Return the baseline of a search that is best on the validation split; nothing without any.

    It was timed in the final evaluation, in turn with the front. Its time is multiplied by how much
    longer calls of the front take here.

    Args:
        facts: The data of the search.
        times: Seconds per sample of the members of the front, by name, as measured here.
    """
    baseline = facts.recommendation.best_baseline if facts.recommendation else None
    if baseline is None or baseline.test is None or not times:
        return {}
    drift = np.median([times[f.name] / f.timing.time_s for f in facts.finalists if f.name in times])
    time_s = float(baseline.timing.time_s * drift)
    return {BASELINE: EmulatorResult(baseline.name, baseline.test.value, time_s, None)}


def _result(fitted: Fitted, time_s: float) -> EmulatorResult:
    return EmulatorResult(fitted.name, fitted.error, time_s, fitted.found_s)
