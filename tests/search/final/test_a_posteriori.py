"""The host runs with every finalist in place of the simulation, and its results are scored."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, Problem, Run
from problems.diagnosis.host import HostRun
from problems.interfaces.problem import Host
from problems.template.problem import DampedOscillator
from problems.template.problem import problem as template
from search.final import a_posteriori
from search.final.a_posteriori import evaluate_in_host, normalised_rmse

REFERENCE = DampedOscillator()


def host(kernel: Run, rng: np.random.Generator) -> Batch:
    """Feed on the kernel's own answers: the last position is the next frequency."""
    inputs, outputs = dict(REFERENCE.draw(4, rng)), {}
    for _ in range(3):
        outputs = kernel(inputs, rng)
        inputs["frequency"] = 1.0 + np.abs(next(iter(outputs.values()))[:, -1])
    return outputs


def biased(inputs: Batch, rng: np.random.Generator) -> Batch:
    return {name: array + 0.1 for name, array in REFERENCE.run(inputs, rng).items()}


def diverging(inputs: Batch, rng: np.random.Generator) -> Batch:
    return {name: array * np.inf for name, array in REFERENCE.run(inputs, rng).items()}


def refusing(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
    raise FloatingPointError("too far out")


def misshapen(inputs: Batch, rng: np.random.Generator) -> Batch:
    return {name: array[:, :5] for name, array in REFERENCE.run(inputs, rng).items()}


HOSTED = replace(template, host=host)


def test_the_reference_departs_by_nothing_from_itself() -> None:
    facts, host_result = evaluate_in_host(HOSTED, {"itself": REFERENCE.run, "biased": biased})
    assert facts is not None
    assert facts.calls == 3
    assert 0.0 < facts.fraction <= 1.0
    assert set(host_result["itself"].scores.values()) == {0.0}
    assert all(value > 0.0 for value in host_result["biased"].scores.values())
    assert host_result["itself"].speedup


def test_kernel_and_host_are_timed_in_the_same_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, surrogate = iter((99.0, 4.0, 8.0, 8.0, 8.0, 8.0)), iter((9.0, 2.0, 2.0, *(4.0,) * 3))

    def timed(host: Host, kernel: Run) -> HostRun:  # noqa: ARG001 - the signature of `run_host`
        inside = next(surrogate if kernel is biased else reference)
        return HostRun({"flux": np.zeros(2)}, 8.0 + inside, inside, 1)

    monkeypatch.setattr(a_posteriori, "run_host", timed)
    facts, host_result = evaluate_in_host(HOSTED, {"biased": biased})
    assert facts is not None
    assert (facts.time_s, facts.fraction) == (16.0, 0.5)
    # Ratios of the rounds after the first: 4/2, 8/2, 8/2, 8/4, 8/4.
    assert host_result["biased"].kernel_speedup == 2.0
    assert host_result["biased"].speedup == pytest.approx(16.0 / 12.0)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (diverging, "is not finite"),
        (refusing, "FloatingPointError: too far out"),
        (misshapen, "another shape than with the reference"),
    ],
)
def test_what_fails_in_the_host_says_why(kernel: Run, words: str) -> None:
    _, host_result = evaluate_in_host(HOSTED, {"it": kernel, "itself": REFERENCE.run})
    assert words in host_result["it"].reason
    assert not host_result["it"].scores
    assert not host_result["itself"].reason


def test_a_problem_scores_what_its_host_returns() -> None:
    def score(predicted: Batch, reference: Batch) -> dict[str, float]:
        return {"worst": max(float(np.abs(predicted[n] - reference[n]).max()) for n in reference)}

    _, host_result = evaluate_in_host(replace(HOSTED, host_score=score), {"biased": biased})
    assert set(host_result["biased"].scores) == {"worst"}


def test_a_score_that_fails_for_one_finalist_says_why_and_spares_the_others() -> None:
    def score(predicted: Batch, reference: Batch) -> dict[str, float]:
        if any(np.any(predicted[name] != reference[name]) for name in reference):
            raise ZeroDivisionError("no such thing")
        return {"worst": 0.0}

    _, host_result = evaluate_in_host(
        replace(HOSTED, host_score=score), {"biased": biased, "itself": REFERENCE.run}
    )
    assert host_result["biased"].reason.startswith("host_score: ZeroDivisionError: no such thing")
    assert host_result["itself"].scores == {"worst": 0.0}


def test_without_a_host_there_is_nothing() -> None:
    problem: Problem = replace(template, host=None)
    assert evaluate_in_host(problem, {"itself": REFERENCE.run}) == (None, {})


def test_a_departure_is_in_units_of_the_deviation() -> None:
    constant = np.array([2.0, 2.0 + 1e-15])
    reference = {"flux": np.array([1.0, 3.0]), "constant": constant}
    predicted = {"flux": np.array([2.0, 4.0]), "constant": np.array([2.0, 2.5])}
    found = normalised_rmse(predicted, reference)
    assert found["departure of flux"] == pytest.approx(1.0)
    assert found["departure of constant"] == pytest.approx(np.sqrt(0.125))


def test_a_distance_that_is_no_number_is_a_reason() -> None:
    scored = replace(HOSTED, host_score=lambda *_: {"drift": np.inf})
    _, host_result = evaluate_in_host(scored, {"itself": REFERENCE.run})
    assert host_result["itself"].reason == "host_score: drift is inf, not a finite number"


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_a_departure_has_no_unit(unit: float) -> None:
    exact = np.linspace(1.0, 2.0, 50)
    ordinary = normalised_rmse({"flux": exact + 0.1}, {"flux": exact})
    scaled = normalised_rmse({"flux": (exact + 0.1) * unit}, {"flux": exact * unit})
    assert scaled == pytest.approx(ordinary)
