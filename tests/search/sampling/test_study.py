import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from problems import Batch, Problem
from problems.baselines.standard import baseline_encodings, standard_baselines
from problems.template.problem import problem as oscillator
from search.run.records import Limits, Record, State
from search.run.spec import ExtraObjective, SamplerName, Spec
from search.sampling import next_network, pace, samplers
from search.sampling.configuration import Configuration
from search.sampling.initial_design import initial_design, initial_design_size
from search.sampling.next_network import LARGER_STD_FACTORS
from search.sampling.samplers import MAX_TPE_TRIALS, resolve_sampler, uses_acquisition
from search.sampling.study import MAX_TPE_ATTEMPTS, SUGGESTED_BY, SearchStudy
from spaces.candidate import Candidate, Precision, Pruning
from spaces.combinations import DIMENSIONS
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.restrictions import Restrictions
from spaces.space import Space
from tests import pairwise
from tests.builders import make_record, make_rung, make_spec, make_timing, trained_families
from tests.search.journals import stored_study

OPENING = Spec.model_fields["initial_design_size"].default


def spec(problem: Problem, seed: int = 0, restrictions: Restrictions | None = None) -> Spec:
    return make_spec(problem, seed=seed, trials=10, restrictions=restrictions or Restrictions())


def ended(
    problem: Problem, number: int, candidate: Candidate, state: State = State.COMPLETE
) -> Record:
    done = state is State.COMPLETE
    score = 1.0 / (1 + int(candidate.key[:4], 16))
    return make_record(
        number,
        candidate,
        error=score if done else None,
        objective=problem.objective.name,
        state=state,
        rungs=(make_rung(),),
        timing=make_timing(score, reference_s=score) if done else None,
    )


def candidates(
    study: SearchStudy, problem: Problem, n: int, state: State = State.COMPLETE
) -> list[str]:
    keys: list[str] = []
    for _ in range(n):
        number, candidate = study.ask()
        study.tell(ended(problem, number, candidate, state))
        keys.append(candidate.key)
    return keys


def test_the_same_seed_gives_the_same_candidates(problem: Problem, tmp_path: Path) -> None:
    n = OPENING + 4
    first = candidates(SearchStudy(tmp_path / "a", problem, spec(problem)), problem, n)
    second = candidates(SearchStudy(tmp_path / "b", problem, spec(problem)), problem, n)
    other = candidates(SearchStudy(tmp_path / "c", problem, spec(problem, 1)), problem, n)
    assert first == second
    assert first != other
    assert len(set(first)) == n


@pytest.mark.parametrize("state", [State.COMPLETE, State.INFEASIBLE])
def test_memory_is_told_as_a_third_objective(
    problem: Problem, tmp_path: Path, state: State
) -> None:
    asked = spec(problem).model_copy(
        update={"extra_objectives": (ExtraObjective.MEMORY,), "initial_design_size": 4}
    )
    study = SearchStudy(tmp_path / "journal", problem, asked)
    for _ in range(6):
        number, candidate = study.ask()
        record = ended(problem, number, candidate, state)
        study.tell(record.model_copy(update={"memory_bytes": 1000 * (1 + number)}))
    told = [trial.values for trial in stored_study(tmp_path / "journal").trials]
    if state is State.COMPLETE:
        assert [values[2] for values in told] == [math.log10(1000 * n) for n in range(1, 7)]
    else:
        assert told == [[3.0, 3.0, 12.0]] * 6


@pytest.mark.parametrize("name", SamplerName)
def test_every_sampler_asks_the_same_again(
    problem: Problem, tmp_path: Path, name: SamplerName
) -> None:
    asked = spec(problem).model_copy(update={"sampler": name, "initial_design_size": 4})
    n = 8 if pairwise.session.whole else 6
    first = candidates(SearchStudy(tmp_path / "a", problem, asked), problem, n)
    assert candidates(SearchStudy(tmp_path / "b", problem, asked), problem, n) == first
    # After the initial design the child of a genetic sampler may equal one of its parents.
    genetic = name in {SamplerName.NSGA2, SamplerName.NSGA3}
    assert len(set(first)) >= (4 if genetic else n)


def test_tpe_suggests_again_where_its_network_is_not_worth_training(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Configuration] = []

    def third_is(proposals: list[Configuration], *_: object) -> list[Configuration]:
        asked.extend(proposals)
        return proposals if len(asked) == 3 else []

    monkeypatch.setattr(next_network, "select_trainable", third_is)
    monkeypatch.setattr(next_network, "best_configurations", lambda *_: [])
    tpe = spec(problem).model_copy(update={"sampler": SamplerName.TPE, "initial_design_size": 4})
    study = SearchStudy(tmp_path / "journal", problem, tpe)
    candidates(study, problem, 4)
    _, candidate = study.ask()
    assert len({each.network_key for each in asked}) == 3
    assert (
        candidate.parameters.items()
        >= {
            name: answer.value
            for name, answer in asked[-1].parameter_values.items()
            if "." not in name
        }.items()
    )
    study.ask()
    assert len(asked) == 3 + MAX_TPE_ATTEMPTS, "it has its way in the end"


def test_where_tpe_has_nothing_new_what_is_new_is_tried(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bold: list[float] = []

    def bolder(proposals: Sequence[Configuration], *known: Any) -> list[Configuration]:
        bold.append(known[-1])
        return [proposals[5]] if len(bold) == 2 else []

    monkeypatch.setattr(next_network, "select_trainable", lambda *_: [])
    monkeypatch.setattr(next_network, "best_configurations", bolder)
    monkeypatch.setattr(next_network, "REFINEMENTS", 0)
    tpe = spec(problem).model_copy(update={"sampler": SamplerName.TPE, "initial_design_size": 4})
    study = SearchStudy(tmp_path / "journal", problem, tpe)
    keys = candidates(study, problem, 4)
    _, candidate = study.ask()
    assert bold == list(LARGER_STD_FACTORS[:2])
    assert candidate.key not in keys


def test_a_child_inherits_the_branches_of_two_parents(problem: Problem, tmp_path: Path) -> None:
    asked = spec(problem).model_copy(update={"sampler": SamplerName.NSGA2})
    study = SearchStudy(tmp_path / "journal", problem, asked)
    candidates(study, problem, OPENING)
    candidates(study, problem, 20)
    trials = stored_study(tmp_path / "journal").trials
    parents, children = trials[:OPENING], trials[OPENING:]
    rates = [parent.params.get("training.learning_rate") for parent in parents]
    inherited = [  # families that are solved have none
        child.params["training.learning_rate"] in rates
        for child in children
        if "training.learning_rate" in child.params
    ]
    assert sum(inherited) > len(inherited) / 2  # a real number isn't drawn twice by chance
    generations = {child.system_attrs["InheritingNSGA2:generation"] for child in children}
    assert generations == {1}


def test_auto_asks_tpe_every_fourth_time_until_evolution_asks() -> None:
    weighs = [
        uses_acquisition(SamplerName.AUTO, position, MAX_TPE_TRIALS - 1) for position in range(8)
    ]
    assert weighs == [False, True, True, True] * 2
    assert resolve_sampler(SamplerName.AUTO, MAX_TPE_TRIALS - 1) is SamplerName.TPE
    assert resolve_sampler(SamplerName.AUTO, MAX_TPE_TRIALS) is SamplerName.NSGA2
    assert not uses_acquisition(SamplerName.AUTO, 1, MAX_TPE_TRIALS)


def test_auto_turns_to_evolution(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "MAX_TPE_TRIALS", OPENING + 2)
    study = SearchStudy(tmp_path / "journal", problem, spec(problem))
    candidates(study, problem, OPENING + 4)
    evolved = [
        "InheritingNSGA2:generation" in trial.system_attrs
        for trial in stored_study(tmp_path / "journal").trials
    ]
    assert evolved == [False] * (OPENING + 2) + [True] * 2


def test_the_initial_design_depends_on_no_measurement(problem: Problem, tmp_path: Path) -> None:
    told = SearchStudy(tmp_path / "a", problem, spec(problem))
    failing = SearchStudy(tmp_path / "b", problem, spec(problem))
    at_once = SearchStudy(tmp_path / "c", problem, spec(problem))
    keys = candidates(told, problem, OPENING)
    assert candidates(failing, problem, OPENING, State.INFEASIBLE) == keys
    assert [at_once.ask()[1].key for _ in range(OPENING)] == keys


@pytest.mark.parametrize("seed", range(3))
def test_the_initial_design_tries_all_that_is_quick_to_lower(problem: Problem, seed: int) -> None:
    space = Space(problem)
    design = initial_design(space, seed, OPENING)
    first = design[: initial_design_size(space)]
    assert len(set(first)) == len(first)
    for dimension in DIMENSIONS:
        times = Counter(str(getattr(combination, dimension)) for combination in design)
        expected = set(space.combination_space.options(dimension))
        if dimension == "runtime":
            expected = {each for each in expected if RUNTIMES[each].lowering_time_s <= 1.0}
        assert set(times) == expected
        # Not all alike: an encoding that many families serve occurs as often as they do.
        assert min(times.values()) >= OPENING // (2 * len(times)), dimension


def first_of_families(
    problem: Problem, folder: Path, restrictions: Restrictions
) -> dict[str, Candidate]:
    study = SearchStudy(folder / "journal", problem, spec(problem, restrictions=restrictions))
    opening = [study.ask()[1] for _ in range(OPENING)]
    return {candidate.architecture: candidate for candidate in reversed(opening)}


def test_the_first_candidate_of_a_family_has_its_first_settings(
    problem: Problem, tmp_path: Path
) -> None:
    for name, candidate in first_of_families(problem, tmp_path, Restrictions()).items():
        preferred = ARCHITECTURES[name].first_settings
        assert preferred.items() <= candidate.architecture_settings.items()


def test_the_first_polynomial_learns_from_a_teacher_where_it_can(tmp_path: Path) -> None:
    for encoding, labelled in (("path", 8192), ("steps", 0)):
        kept = Restrictions(keep={"architecture": ("polynomial",), "encoding": (encoding,)})
        folder = tmp_path / encoding
        folder.mkdir()
        (candidate,) = first_of_families(oscillator, folder, kept).values()
        assert candidate.training.labelled == labelled


def test_a_family_repeats_first_the_baselines_that_it_can(problem: Problem) -> None:
    def fitted(inputs: Batch, _: np.random.Generator) -> Batch:
        return inputs

    baselines = dict.fromkeys(standard_baselines(problem), fitted)  # as in a search
    space = Space(replace(problem, baselines=baselines))
    encodings = baseline_encodings(problem)
    combinations = space.combination_space.combinations
    served = {each.architecture for each in combinations if each.encoding in encodings}
    first = {
        combination.architecture: combination
        for combination in reversed(initial_design(space, 0, OPENING))
        if ARCHITECTURES[combination.architecture].first_settings
    }
    for combination in first.values():
        if combination.architecture in served:
            assert combination.encoding in encodings
            assert combination.pruning is Pruning.NONE
            assert combination.precision is Precision.FP32


def test_first_settings_yield_to_restrictions(tmp_path: Path) -> None:
    kept = Restrictions(keep={"architecture": ("kernel",), "kernel.centres": (32,)})
    (candidate,) = first_of_families(oscillator, tmp_path, kept).values()
    assert candidate.architecture_settings["centres"] == 32
    assert candidate.architecture_settings["kernel"] == "rbf"
    written, chosen = oscillator.encodings[candidate.encoding], candidate.encoding_settings
    assert chosen == {setting: getattr(written, setting) for setting in chosen}


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_initial_design_follows_weights(problem: Problem, dimension: str) -> None:
    if len(Space(problem).combination_space.options(dimension)) < 2:
        pytest.skip("there is no choice")
    option = str(getattr(initial_design(Space(problem), 0, 1)[0], dimension))

    def times(weight: float) -> int:
        space = Space(problem, Restrictions(weights={dimension: {option: weight}}))
        design = initial_design(space, 0, 4 * OPENING)
        return sum(str(getattr(combination, dimension)) == option for combination in design)

    seldom, unweighted, often = (times(weight) for weight in (0.3, 1.0, 3.0))
    assert 1.2 * seldom < unweighted
    assert 1.2 * unweighted < often


def test_a_small_space_is_sampled_again(problem: Problem) -> None:
    keep = {"pruning": ("none",), "runtime": ("eager", "onnxruntime"), "precision": ("fp32",)}
    architecture = Space(problem).combination_space.options("architecture")[:1]
    restrictions = Restrictions(keep={**keep, "architecture": tuple(architecture)})
    restrictions = restrictions.merged(Restrictions(weights={"runtime": {"eager": 2.0}}))
    design = Counter(
        combination.runtime
        for combination in initial_design(Space(problem, restrictions), 0, OPENING)
    )
    assert design == {"eager": 16, "onnxruntime": 8}


def test_a_restricted_study_suggests_nothing_else(problem: Problem, tmp_path: Path) -> None:
    restrictions = Restrictions(
        keep={"runtime": ("eager",), "training.batch_size": (128,), "precision": ("fp32", "bf16")}
    )
    study = SearchStudy(tmp_path / "journal", problem, spec(problem, restrictions=restrictions))
    for _ in range(OPENING + 4):
        number, candidate = study.ask()
        assert candidate.runtime == "eager"
        solved = ARCHITECTURES[candidate.architecture].solved  # and has no batches
        assert candidate.training.batch_size == 128 or solved
        assert candidate.precision in {"fp32", "bf16"}
        study.tell(ended(problem, number, candidate))


@pytest.mark.parametrize(
    ("state", "stored"),
    [
        (State.COMPLETE, optuna.trial.TrialState.COMPLETE),
        (State.STOPPED, optuna.trial.TrialState.PRUNED),
        (State.INFEASIBLE, optuna.trial.TrialState.COMPLETE),
    ],
)
def test_a_trial_always_ends_told(
    problem: Problem, tmp_path: Path, state: State, stored: optuna.trial.TrialState
) -> None:
    study = SearchStudy(tmp_path / "journal", problem, spec(problem))
    candidates(study, problem, 1, state)
    (trial,) = stored_study(tmp_path / "journal").trials
    assert trial.state is stored
    assert trial.user_attrs["rungs"] == [{"epoch": 1, "share": 0.25, "error": 1.0}]
    if state is State.INFEASIBLE:
        assert trial.constraints == {"failure": 1.0}


def test_interrupted_trials_are_suggested_again(problem: Problem, tmp_path: Path) -> None:
    study = SearchStudy(tmp_path / "journal", problem, spec(problem))
    whole = SearchStudy(tmp_path / "whole", problem, spec(problem))
    keys = [whole.ask()[1].key for _ in range(6)]
    recorded = ended(problem, *study.ask())
    study.ask()
    cut_off = study.ask()[1].key

    later = SearchStudy(tmp_path / "journal", problem, spec(problem))
    again = later.interrupted_trials({recorded.number: recorded})
    states = [trial.state for trial in stored_study(tmp_path / "journal").trials]
    assert optuna.trial.TrialState.RUNNING not in states
    assert len(again) == 2
    resumed = [later.ask(fixed)[1].key for fixed in again]
    assert cut_off in resumed
    resumed += [later.ask()[1].key for _ in range(3)]
    assert {recorded.key, *resumed} == set(keys)


def test_two_interruptions_in_a_row_lose_nothing(problem: Problem, tmp_path: Path) -> None:
    whole = SearchStudy(tmp_path / "whole", problem, spec(problem))
    keys = {whole.ask()[1].key for _ in range(6)}
    first = SearchStudy(tmp_path / "journal", problem, spec(problem))
    for _ in range(4):
        first.ask()
    second = SearchStudy(tmp_path / "journal", problem, spec(problem))
    assert len(second.interrupted_trials({})) == 4  # and the driver dies before it asks for any
    third = SearchStudy(tmp_path / "journal", problem, spec(problem))
    for each in third.interrupted_trials({})[:2]:
        third.ask(each)
    fourth = SearchStudy(tmp_path / "journal", problem, spec(problem))
    again = fourth.interrupted_trials({})
    assert len(again) == 4
    resumed = [fourth.ask(each)[1].key for each in again]
    resumed += [fourth.ask()[1].key for _ in range(2)]
    assert set(resumed) == keys
    fourth.close()
    states = {trial.state for trial in stored_study(tmp_path / "journal").trials}
    assert optuna.trial.TrialState.RUNNING not in states


def test_a_candidate_interrupted_while_it_was_suggested_is_the_same(
    problem: Problem, tmp_path: Path
) -> None:
    whole = SearchStudy(tmp_path / "whole", problem, spec(problem))
    keys = [whole.ask()[1].key for _ in range(4)]
    first = SearchStudy(tmp_path / "journal", problem, spec(problem))
    first.ask()
    stored_study(tmp_path / "journal").ask()  # no parameter was written when the driver died
    second = SearchStudy(tmp_path / "journal", problem, spec(problem))
    resumed = [second.ask(each)[1].key for each in second.interrupted_trials({})]
    resumed += [second.ask()[1].key for _ in range(2)]
    assert resumed == keys


def test_a_torn_journal_is_mended_wherever_it_was_torn(problem: Problem, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    study = SearchStudy(journal, problem, spec(problem))
    keys = candidates(study, problem, 2)
    whole = journal.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    ends = range(start, len(whole), 7)
    # Without --whole: nothing and one byte of the last line, some of it, all but its end.
    places = (start, start + 1, *ends[1::6], len(whole) - 1)
    for end in ends if pairwise.session.whole else places:
        journal.write_bytes(whole[:end])
        mended = SearchStudy(journal, problem, spec(problem))
        assert [mended.ask(each)[1].key for each in mended.interrupted_trials({})] == keys[1:]


def test_a_study_without_its_journal_continues_from_the_records(
    problem: Problem, tmp_path: Path
) -> None:
    asked = spec(problem).model_copy(
        update={"sampler": SamplerName.ADDITIVE, "initial_design_size": 4}
    )
    study = SearchStudy(tmp_path / "journal", problem, asked)
    records: dict[int, Record] = {}
    for _ in range(4):
        number, candidate = study.ask()
        records[number] = ended(problem, number, candidate)
        study.tell(records[number])
    (tmp_path / "journal").unlink()
    without = SearchStudy(tmp_path / "journal", problem, asked)
    assert not without.interrupted_trials(records)
    assert without.ask_deployment(records[0]) is None
    numbers = [without.ask()[0] for _ in range(4)]
    assert numbers == [4, 5, 6, 7]


def test_a_stopped_network_is_suggested_again(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_network, "PROPOSAL_COUNT", 0)
    monkeypatch.setattr(next_network, "MUTATION_COUNT", 0)
    asked = spec(problem, restrictions=trained_families(problem)).model_copy(
        update={"sampler": SamplerName.ADDITIVE, "initial_design_size": 4}
    )
    study = SearchStudy(tmp_path / "journal", problem, asked)
    candidates(study, problem, 4)
    number, stopped = study.ask()
    rungs = (make_rung(1e-9),)
    record = ended(problem, number, stopped, State.STOPPED)
    study.tell(record.model_copy(update={"rungs": rungs, "untrained_relative_time": 1e-9}))
    again, candidate = study.ask()
    assert candidate == stopped
    assert study.resumes(again) == number
    assert (
        stored_study(tmp_path / "journal").trials[again].user_attrs[SUGGESTED_BY] == "acquisition"
    )
    assert study.position == 6, "it is a network more"
    later, other = study.ask()
    assert study.resumes(later) is None, "somebody is at it"
    assert other != stopped


def test_a_trial_lost_from_the_journal_is_not_resumed(problem: Problem, tmp_path: Path) -> None:
    asked = spec(problem).model_copy(update={"initial_design_size": 4})
    study = SearchStudy(tmp_path / "journal", problem, asked)
    records: dict[int, Record] = {}
    for n in range(5):
        number, candidate = study.ask()
        state = State.STOPPED if n == 4 else State.COMPLETE
        rungs = (make_rung(1e-9),)
        record = ended(problem, number, candidate, state)
        records[number] = record.model_copy(update={"rungs": rungs, "unpruned_error": None})
        study.tell(records[number])
    (tmp_path / "journal").unlink()
    without = SearchStudy(tmp_path / "journal", problem, asked)
    assert not without.interrupted_trials(records)
    for _ in range(4):
        number, _ = without.ask()
        assert without.resumes(number) is None


def test_goals_are_constraints_with_the_real_figures(problem: Problem, tmp_path: Path) -> None:
    limits = Limits(error=0.5, speedup=10.0)
    study = SearchStudy(tmp_path / "journal", problem, spec(problem), limits)
    for state in (State.COMPLETE, State.INFEASIBLE):
        candidates(study, problem, 1, state)
    complete, failed = stored_study(tmp_path / "journal").trials
    error = complete.values[0]
    assert complete.constraints["failure"] < 0.0
    assert complete.constraints["error"] == pytest.approx(error - math.log10(0.5))
    assert complete.constraints["speedup"] == pytest.approx(1.0)
    assert failed.constraints == {"failure": 1.0, "error": 1.0, "speedup": 1.0}


def test_auto_suggests_quickly_where_many_workers_wait(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials that take no time leave none for a suggestion with care."""
    monkeypatch.setattr(pace, "LONGEST_CREDIT_S", 0.01)
    many = spec(problem).model_copy(update={"workers": 1000})
    study = SearchStudy(tmp_path / "journal", problem, many)
    candidates(study, problem, OPENING + 4)
    evolved = [
        "InheritingNSGA2:generation" in trial.system_attrs
        for trial in stored_study(tmp_path / "journal").trials
    ]
    assert not any(evolved[:OPENING])
    assert evolved[-1]
