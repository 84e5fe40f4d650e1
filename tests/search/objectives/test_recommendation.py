"""Who is recommended: one rule, which report, export, screening and repeated trainings follow."""

import runpy
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from problems import UserError
from reports.pages import render_report
from reports.views import read_report_data
from search.export import PICKS, RECOMMENDATION_FIELDS, pick_record
from search.objectives.recommendation import (
    recommendation,
    recommendation_of,
    recommended_trials,
    select_finalists,
)
from search.run.directory import RunDirectory
from search.run.finalists import FinalEvaluation, Recommendation
from search.run.records import NO_LIMITS, Limits, Record, State, Timing
from search.screening import request
from search.screening.request import resolve_artefact
from tests.pairwise import law

SYNTHETIC = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "synthetic_run.py"))
ERROR = "error"
TITLES = {"recommended": "recommended", "knee": "at the knee", "accurate": "most accurate"}
TITLES["smallest"] = "smallest"
GOALS = {
    "goals": SYNTHETIC["GOALS"],
    "no goals": NO_LIMITS,
    "a goal of one objective": Limits(speedup=100.0),
    "goals beyond reach": Limits(error=1e-9, speedup=1e9),
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ties": {"ties": True},
    "memory": {"memory": True},
    "memory and ties": {"memory": True, "ties": True},
    "few": {"trials": 3, "failing_share": 0.0},
    "one": {"trials": 1, "failing_share": 0.0},
    "all failed": {"failing_share": 1.0, "trials": 12},
}
SCATTERS = (0.0, 0.3)
SEEDS = range(3)


class Named(NamedTuple):
    """Trials by what they are recommended as."""

    by: str
    trials: dict[str, int]


def written(folder: Path, seed: int, goals: str, **changes: Any) -> RunDirectory:
    made = SYNTHETIC["SyntheticRunOptions"](seed=seed, limits=GOALS[goals], **changes)
    return SYNTHETIC["write_run"](folder / "run", made)


def in_report(run: RunDirectory) -> Named:
    view = read_report_data(run).recommendation
    recommended = view.finalists if view else ()
    named = {
        kind: pick.trial.number
        for pick in recommended
        for kind, title in TITLES.items()
        if title in pick.title.lower()
    }
    return Named("report", named)


def by_export(run: RunDirectory) -> Named:
    named: dict[str, int] = {}
    for pick in PICKS:
        try:
            named[pick] = pick_record(run, pick).record.number
        except UserError as error:
            assert "no trial" in str(error) or "no finished surrogate" in str(error)  # noqa: PT017
    return Named("export", named)


def by_screening(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> Named:
    # Synthetic runs have no artefacts: what is asked here is whose artefact would be taken.
    monkeypatch.setattr(request, "verified_manifest", lambda _, record: record.number)
    named: dict[str, int] = {}
    for pick in PICKS:
        try:
            folder, number = resolve_artefact(f"{run.folder}:{pick}")
        except UserError:
            continue
        named[pick] = int(str(number))
        assert folder == run.artefact_path(named[pick])
    return Named("screening", named)


def kept(run: RunDirectory) -> Named:
    heat = run.final_evaluation()
    assert heat is not None
    chosen = heat.recommendation
    named = {
        pick: getattr(chosen, RECOMMENDATION_FIELDS[pick])
        for pick in PICKS
        if getattr(chosen, RECOMMENDATION_FIELDS[pick], None) is not None
    }
    assert heat.recommended == named.get("recommended")
    return Named("final evaluation", named)


@law("kind, goals, scatter, seed", list(product(KINDS, GOALS, SCATTERS, SEEDS)))
def test_all_name_the_same_trials(  # noqa: PLR0917 - a case and where it is tried
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    goals: str,
    scatter: float,
    seed: int,
) -> None:
    run = written(tmp_path, seed, goals, scatter=scatter, **KINDS[kind])
    whole = kept(run)
    for other in (in_report(run), by_export(run), by_screening(run, monkeypatch)):
        assert other.trials == whole.trials, other.by
    records, limits = run.records(), run.data().limits
    again = {record.number for record in recommended_trials(records, ERROR, limits)}
    members = {record.number for record in select_finalists(records, ERROR, limits)}
    assert again <= members, "what is trained again is timed again"
    if not scatter:
        assert again == set(whole.trials.values()), "repeated trainings"
    obeys(run, whole.trials)


def obeys(run: RunDirectory, named: dict[str, int]) -> None:
    """Hold a recommendation to what its words say, by brute force."""
    heat, limits = run.final_evaluation(), run.data().limits
    assert heat is not None
    members = {r.number: r for r in run.records() if heat.finalist(r.number)}
    assert set(named) == (
        set(PICKS if run.spec().extra_objectives else PICKS[:3]) if members else set()
    )
    if not members:
        return
    figures = {
        number: (record.metrics[ERROR], finalist.timing.relative_time, record.memory_bytes or 0)
        for number, record in members.items()
        if (finalist := heat.finalist(number))
    }
    meeting = {n for n, (error, time, _) in figures.items() if limits.met(error, 1.0 / time)}
    able = meeting or set(figures)
    first = "recommended", int(bool(meeting) and limits.error is not None)
    for pick, axis in (("accurate", 0), first, ("smallest", 2)):
        if pick in named:
            assert figures[named[pick]][axis] == min(figures[n][axis] for n in able)
    for trial in named.values():
        assert trial in able
        assert not any(
            figures[n] != figures[trial]
            and all(a <= b for a, b in zip(figures[n], figures[trial], strict=True))
            for n in able
        )
    chosen = heat.recommendation
    assert chosen is not None
    assert chosen.within_goals is (limits.has_goals and bool(meeting))


def member(number: int, error: float, speedup: float, memory: int | None = None) -> Record:
    timing = Timing(
        time_s=1.0 / speedup, reference_s=1.0, speedup=speedup, speedup_low=speedup,
        speedup_high=speedup, rounds=6,
    )  # fmt: skip
    return Record.model_construct(
        number=number, state=State.COMPLETE, timing=timing, training=None, memory_bytes=memory,
        metrics={ERROR: error},
    )  # fmt: skip


def test_within_an_error_that_is_a_goal_the_fastest_is_recommended() -> None:
    records = [member(0, 0.01, 10.0), member(1, 0.05, 50.0), member(2, 0.5, 90.0)]
    chosen = recommendation(records, ERROR, Limits(error=0.1))
    assert chosen is not None
    assert (chosen.recommended, chosen.most_accurate, chosen.within_goals) == (1, 0, True)
    assert chosen.reason == "among the 2 of 3 measured trials that meet the goals"
    beyond = recommendation(records, ERROR, Limits(error=0.001))
    assert beyond is not None
    assert (beyond.recommended, beyond.most_accurate, beyond.within_goals) == (0, 0, False)
    assert beyond.reason == "among 3 measured trials, of which none meets the goals"


def test_times_measured_again_decide() -> None:
    records = [member(0, 0.01, 10.0), member(1, 0.05, 50.0)]
    slower = records[1].timing.model_copy(update={"speedup": 5.0})  # type: ignore[union-attr]
    chosen = recommendation(records, ERROR, NO_LIMITS, {1: slower})
    assert chosen is not None
    assert chosen.trials == (0,), "what is beaten in both by the times that count is nobody's best"


@pytest.mark.parametrize("error", [float("inf"), float("nan")])
def test_a_diverged_network_is_not_recommended(error: float) -> None:
    diverged = member(0, error, 1000.0)
    assert recommendation([diverged], ERROR, NO_LIMITS) is None
    chosen = recommendation([diverged, member(1, 0.1, 10.0)], ERROR, NO_LIMITS)
    assert chosen is not None
    assert chosen.trials == (1,)


def test_of_equals_the_more_accurate_and_then_the_earlier_is_taken() -> None:
    records = [member(3, 0.2, 50.0), member(2, 0.1, 50.0), member(1, 0.1, 50.0)]
    chosen = recommendation(records, ERROR, NO_LIMITS)
    assert chosen is not None
    assert chosen.trials == (1,)


def test_the_smallest_is_recommended_where_memory_is_an_objective() -> None:
    records = [member(0, 0.1, 50.0, 9), member(1, 0.2, 40.0, 5), member(2, 0.3, 30.0, 5)]
    chosen = recommendation(records, ERROR, NO_LIMITS)
    assert chosen is not None
    assert (chosen.most_accurate, chosen.recommended, chosen.smallest) == (0, 0, 1)


def test_an_older_run_keeps_its_knee_and_has_the_others_by_the_rule(tmp_path: Path) -> None:
    run = written(tmp_path, 0, "goals")
    heat, records, limits = run.final_evaluation(), run.records(), run.data().limits
    assert heat is not None
    new = heat.recommendation
    older = heat.model_copy(update={"recommendation": None})
    assert recommendation_of(older, records, ERROR, limits) == new
    assert recommendation_of(None, records, ERROR, limits) is None
    run.write("heat.json", older)
    assert by_export(run).trials == in_report(run).trials == kept_of(new)


def kept_of(chosen: Recommendation | None) -> dict[str, int]:
    assert chosen is not None
    return {pick: getattr(chosen, RECOMMENDATION_FIELDS[pick]) for pick in PICKS[:3]}


def test_a_recommendation_is_shown_with_its_reason(tmp_path: Path) -> None:
    run = written(tmp_path, 0, "goals")
    record, reason = pick_record(run, "recommended")
    assert reason.startswith("recommended, among the ")
    assert reason.endswith(" measured trials that meet the goals")
    assert reason.removeprefix("recommended, ") in render_report(read_report_data(run))
    assert pick_record(run, str(record.number)).reason == ""
    with pytest.raises(
        UserError, match=r"memory was no objective .* no trial is recommended as the smallest"
    ):
        pick_record(run, "smallest")


def test_nothing_is_picked_where_nothing_is_recommended(tmp_path: Path) -> None:
    run = written(tmp_path, 0, "goals")
    run.write(
        "heat.json", FinalEvaluation(recommended=None, finalists=(), pictures=(), ended="now")
    )
    with pytest.raises(UserError, match="recommends no trial"):
        pick_record(run, "recommended")
    (run.folder / "heat.json").unlink()
    with pytest.raises(UserError, match="has no final evaluation"):
        pick_record(run, "recommended")
