"""Candidates that are tried before the opening: listed by a user, or found by an earlier run."""

import math
from pathlib import Path

import pytest
import yaml

from problems import Problem, Size, UserError
from search.run.directory import RunDirectory
from search.run.records import Record, State
from search.run.spec import Spec
from search.sampling.study import SearchStudy
from search.sampling.warm_start import (
    candidates_from_file,
    candidates_from_run,
    warm_start_candidates,
)
from spaces.candidate import Candidate
from spaces.combinations import DIMENSIONS
from spaces.restrictions import Restrictions
from spaces.space import Space


def spec(problem: Problem, **more: object) -> Spec:
    return Spec.model_validate(
        {
            "problem": problem.name,
            "problem_version": problem.version,
            "size": Size.TINY,
            "seed": 0,
            "trials": 4,
            "workers": 1,
            **more,
        }
    )


def listed(problem: Problem, folder: Path) -> tuple[Path, list[Candidate]]:
    """Return a file that lists two candidates, by some of their parameters, and the candidates."""
    study = SearchStudy(folder / "asked", problem, spec(problem))
    candidates = [study.ask()[1] for _ in range(2)]
    lines: list[str] = []
    for candidate in candidates:
        rate = candidate.training.learning_rate
        entries = [f"{name}: {getattr(candidate, name)}" for name in DIMENSIONS]
        lines.append(f"- {{{', '.join([*entries, f'training.learning_rate: {rate!r}'])}}}\n")
    file = folder / "first.yaml"
    file.write_text("".join(lines))
    return file, candidates


def test_listed_candidates_are_suggested_first(problem: Problem, tmp_path: Path) -> None:
    file, wanted = listed(problem, tmp_path)
    first = candidates_from_file(Space(problem), file, seed=3)
    assert first == candidates_from_file(Space(problem), file, seed=3)
    study = SearchStudy(tmp_path / "journal", problem, spec(problem, warm_start=first))
    plain = SearchStudy(tmp_path / "plain", problem, spec(problem))
    for expected in wanted:
        _, candidate = study.ask()
        for name in DIMENSIONS:
            assert getattr(candidate, name) == getattr(expected, name)
        assert candidate.training.learning_rate == expected.training.learning_rate
    candidates = [each.ask()[1] for each in (study, plain)]
    assert [getattr(candidates[0], name) for name in DIMENSIONS] == [
        getattr(candidates[1], name) for name in DIMENSIONS
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {architecture: nothing}", "candidate 1: unknown option of architecture 'nothing'"),
        ("- {encoding: series}\n- {nothing: 3}", "candidate 2: unknown parameter 'nothing'"),
        (
            "- {runtime: onnxruntime}",
            "candidate 1: the space of this search has no such combination",
        ),
        ("- {architecture: mlp, lstm.width: 64}", "lstm.width is no parameter of mlp"),
        ("- {training.batch_size: 512}", "training.batch_size: the requested value isn't in"),
        ("keep: 3", "it holds no list of candidates"),
        ("- [1, 2]", "it holds no list of candidates"),
        ("- {a: 1", "expected"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    planets = pytest.importorskip("problems.cases.planets", reason="planets is an extra")
    assert planets
    from problems import load_problem  # noqa: PLC0415 - of the extra

    file = tmp_path / "first.yaml"
    file.write_text(text)
    keep = Restrictions(keep={"runtime": ("eager",), "training.batch_size": (128,)})
    space = Space(load_problem("planets", Size.TINY), keep)
    with pytest.raises(UserError, match=rf"first\.yaml.*{words}"):
        candidates_from_file(space, file, seed=0)


def test_without_restrictions_a_run_keeps_its_own(problem: Problem, tmp_path: Path) -> None:
    file, _ = listed(problem, tmp_path)
    space = Space(problem)
    first = warm_start_candidates(space, file, (), tmp_path / "run", 0)
    RunDirectory.start(tmp_path / "run", spec(problem, warm_start=first))
    assert warm_start_candidates(space, None, (), tmp_path / "run", 0) == first
    assert warm_start_candidates(space, None, (), tmp_path / "other", 0) == []
    with pytest.raises(UserError, match="belongs to another search"):
        RunDirectory.start(tmp_path / "run", spec(problem))


def point(record: Record) -> tuple[float, float]:
    assert record.timing is not None
    return next(iter(record.metrics.values())), record.timing.relative_time


@pytest.mark.slow
def test_a_front_is_tried_again(finished_run: Path, tmp_path: Path) -> None:
    from problems import load_problem  # noqa: PLC0415 - the case of the run

    problem = load_problem("planets", Size.TINY)
    run = RunDirectory.open(finished_run)
    first = candidates_from_run(Space(problem), run, seed=0)
    study = SearchStudy(
        tmp_path / "journal", problem, spec(problem, warm_start=first, seed=run.spec().seed)
    )
    asked = [study.ask()[1] for _ in first]
    complete = {r.key: r for r in run.records() if r.state is State.COMPLETE}
    taken = [complete[candidate.key] for candidate in asked]
    best = min(point(record)[0] for record in complete.values())
    assert math.isclose(point(taken[0])[0], best)
    for record in taken:
        error, time = point(record)
        assert not any(e < error and t < time for e, t in map(point, complete.values()))


@pytest.mark.slow
def test_of_another_space_nothing_is_taken(finished_run: Path) -> None:
    from problems import load_problem  # noqa: PLC0415 - the case of the run

    problem = load_problem("planets", Size.TINY)
    narrow = Restrictions(keep={"runtime": ("compiled",)})
    with pytest.raises(UserError, match="no trial on the front of"):
        candidates_from_run(Space(problem, narrow), RunDirectory.open(finished_run), seed=0)


@pytest.mark.slow
def test_a_candidate_as_a_report_states_it_is_tried_again(
    finished_run: Path, tmp_path: Path
) -> None:
    from problems import load_problem  # noqa: PLC0415 - the case of the run

    problem = load_problem("planets", Size.TINY)
    run = RunDirectory.open(finished_run)
    records = run.records()
    file = tmp_path / "trials.yaml"
    file.write_text(yaml.safe_dump([record.candidate.parameters for record in records]))
    first = tuple(candidates_from_file(Space(problem), file, seed=0))
    study = SearchStudy(
        tmp_path / "journal", problem, spec(problem, warm_start=first, seed=run.spec().seed)
    )
    asked = [study.ask()[1] for _ in first]
    assert [each.key for each in asked] == [record.key for record in records]
