"""The sealed samples: drawn as the test split is, read by no search, opened once an artefact."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from problems import Dataset, Problem, Size, UserError, load_problem
from problems.data.confirmation import confirmation_split, count_opening, plan_confirmation
from problems.data.dataset import generate
from problems.data.shards import make_serially, plan_shards
from reports.pages import render_report
from reports.views import read_report_data
from reports.views.confirmation import confirmation_sentences
from search.commands.confirm import confirm_run
from search.objectives.standard_baselines import with_baseline
from search.run.directory import RunDirectory
from search.trial.scoring import score_split
from spaces.surrogate import Surrogate


def nothing(*_: int) -> None:
    pass


def test_no_search_draws_the_sealed_samples(problem: Problem, data: Dataset, cache: Path) -> None:
    if problem.data is not None:
        return
    assert not {s.key for s in plan_shards(problem)} & {s.key for s in plan_confirmation(problem)}
    sealed = confirmation_split(problem, data, cache, make_serially, nothing)
    again = confirmation_split(problem, data, cache, make_serially, nothing)
    assert 4 <= len(sealed) <= len(data.test) + data.failed["test"] + data.duplicates["test"]
    for name, array in sealed.inputs.items():
        np.testing.assert_array_equal(array, again.inputs[name])
    own = {b"".join(array[i].tobytes() for array in sealed.inputs.values()) for i in range(4)}
    for split in data.splits().values():
        for i in range(len(split)):
            assert b"".join(array[i].tobytes() for array in split.inputs.values()) not in own


def test_every_opening_is_counted(data: Dataset, tmp_path: Path) -> None:
    assert [count_opening(data.test, tmp_path, "a test") for _ in range(3)] == [1, 2, 3]
    assert count_opening(data.validation, tmp_path, "a test") == 1


@pytest.mark.slow
def test_an_artefact_is_confirmed_once(finished_run: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    run, console = RunDirectory.open(tmp_path / "run"), Console(quiet=True)
    assert "Not confirmed on samples" in render_report(read_report_data(run))
    first = confirm_run(run, "recommended", console)
    assert confirm_run(run, "recommended", console) == first
    evaluation = run.final_evaluation()
    assert evaluation is not None
    assert first.trial == evaluation.recommended
    trial = next(f.trial for f in evaluation.finalists if f.trial not in {None, first.trial})
    second = confirm_run(run, str(trial), console)
    assert (second.trial, second.opened) == (trial, first.opened + 1)
    assert run.confirmations().results == (first, second)

    problem = load_problem("planets", Size.TINY)
    data = generate(problem, cache)
    split = confirmation_split(problem, data, cache, make_serially, nothing)
    surrogate = Surrogate.load(run.artefact_path(first.trial), problem)
    exact = score_split(problem, surrogate.run, split).metrics
    told = {name: interval.value for name, interval in first.metrics.items()}
    assert told == pytest.approx(exact, rel=1e-3)
    assert first.against_baseline is not None
    other = first.against_baseline.other
    baseline = with_baseline(problem, data.train, other, Size.TINY).baseline_runs[other]
    name = problem.objective.name
    difference = exact[name] - score_split(problem, baseline, split).metrics[name]
    assert first.against_baseline.difference.value == pytest.approx(difference, rel=1e-3)
    page = render_report(read_report_data(run))
    for sentence in confirmation_sentences(first, problem.objective):
        assert sentence.replace("'", "&#39;") in page

    run.write("spec.json", run.spec().model_copy(update={"origin_hash": "another"}))
    (run.folder / "confirmations.json").unlink()
    with pytest.raises(UserError, match="has changed since the search"):
        confirm_run(run, "recommended", console)
