"""Complete values of a run directory for tests: a test names only the fields that it is about.

Each builder takes fields of the value that it builds as keywords; what isn't given is ordinary.
"""

from dataclasses import replace
from typing import Any

from problems import Problem, Samples, Size
from problems.template.problem import problem as template
from search.run.finalists import FinalEvaluation, Finalist
from search.run.nodes import NodeFacts
from search.run.records import ConfidenceInterval, Record, Rung, State, Timing
from search.run.spec import Spec
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.registered import ARCHITECTURES
from spaces.restrictions import Restrictions
from spaces.space import Space

ENDED = "2026-01-01T00:00:00+00:00"
"""When trials and final evaluations ended."""


SMALL = replace(
    template,
    name="small",
    shifted=None,
    samples=Samples(train=32, validation=8, test=8, shifted=0),
    epochs=4,
    standard_baselines=False,
)
"""The problem of the template with few samples and short trainings."""


def make_spec(problem: Problem | None = None, **fields: Any) -> Spec:
    """Return the spec of a search of a problem at its tiny size; of planets if none is given.

    Args:
        problem: Gives its name and version.
        **fields: Of the spec.
    """
    name, version = (problem.name, problem.version) if problem else ("planets", 1)
    ordinary: dict[str, Any] = {
        "problem": name,
        "problem_version": version,
        "size": Size.TINY,
        "seed": 0,
        "trials": 4,
        "workers": 1,
    }
    return Spec(**ordinary | fields)


def trained_families(problem: Problem) -> Restrictions:
    """Return restrictions to the families that descend, whose networks have many deployments.

    Args:
        problem: The problem.
    """
    families = Space(problem).combination_space.options("architecture")
    trained = tuple(name for name in families if not ARCHITECTURES[name].solved)
    return Restrictions(keep={"architecture": trained})


def make_candidate(**fields: Any) -> Candidate:
    """Return an unpruned MLP that runs eagerly in float32.

    Args:
        **fields: Of the candidate.
    """
    ordinary: dict[str, Any] = {
        "problem": "planets",
        "problem_version": 1,
        "size": Size.TINY,
        "encoding": "flat",
        "encoding_settings": {},
        "architecture": "mlp",
        "architecture_settings": {},
        "training": Training(learning_rate=1e-3, batch_size=128, weight_decay=0.0),
        "pruning": Pruning.NONE,
        "pruning_settings": {},
        "precision": Precision.FP32,
        "runtime": "eager",
        "seed": 0,
    }
    return Candidate(**ordinary | fields)


def make_timing(time_s: float = 0.1, reference_s: float = 1.0, **fields: Any) -> Timing:
    """Return a timing with equal rounds.

    Args:
        time_s: Seconds per sample.
        reference_s: The reference's seconds per sample.
        **fields: Of the timing.
    """
    speedup = reference_s / time_s
    ordinary: dict[str, Any] = {
        "time_s": time_s,
        "reference_s": reference_s,
        "speedup": speedup,
        "speedup_low": speedup,
        "speedup_high": speedup,
        "rounds": 9,
    }
    return Timing(**ordinary | fields)


def make_rung(error: float = 1.0, share: float = 0.25, epoch: int = 1) -> Rung:
    """Return the rung after a quarter of a training.

    Args:
        error: The objective there.
        share: Share of the training.
        epoch: Epochs done.
    """
    return Rung(epoch=epoch, share=share, error=error)


def make_record(
    number: int = 0,
    candidate: Candidate | None = None,
    *,
    error: float | None = None,
    time_s: float | None = None,
    objective: str = "error",
    **fields: Any,
) -> Record:
    """Return the record of a trial; it is complete unless another state is given.

    Args:
        number: The trial's.
        candidate: What it tried, a `make_candidate()` where it doesn't matter.
        error: The objective on the validation split; a trial that wasn't scored has none.
        time_s: Seconds per sample, the reference taking one second; untimed without.
        objective: Name of the error.
        **fields: Of the record.
    """
    candidate = candidate or make_candidate()
    ordinary: dict[str, Any] = {
        "number": number,
        "key": candidate.key,
        "candidate": candidate,
        "state": State.COMPLETE,
        "stage": "measure",
        "metrics": {} if error is None else {objective: error},
        "timing": None if time_s is None else make_timing(time_s),
        "ended": ENDED,
    }
    return Record(**ordinary | fields)


def make_finalist(
    name: str, error: float | None = 0.1, speedup: float = 10.0, **fields: Any
) -> Finalist:
    """Return a finalist; it is a baseline if no trial is given.

    Args:
        name: Name of the finalist.
        error: On the test split; None where it wasn't scored.
        speedup: Over the reference.
        **fields: Other fields of the finalist.
    """
    test = (
        {} if error is None else {"error": ConfidenceInterval(value=error, low=error, high=error)}
    )
    ordinary: dict[str, Any] = {
        "name": name,
        "trial": None,
        "timing": make_timing(1.0 / speedup),
        "test": test,
        "shifted": {},
        "failed": {},
    }
    return Finalist(**ordinary | fields)


def make_final_evaluation(*finalists: Finalist, **fields: Any) -> FinalEvaluation:
    """Return a final evaluation; it recommends no trial if none is given.

    Args:
        *finalists: The finalists.
        **fields: Other fields of the final evaluation.
    """
    ordinary: dict[str, Any] = {
        "recommended": None,
        "finalists": finalists,
        "pictures": (),
        "ended": ENDED,
    }
    return FinalEvaluation(**ordinary | fields)


def make_node_facts(**fields: Any) -> NodeFacts:
    """Return what a node shows that is like the driver's machine.

    Args:
        **fields: Of the facts.
    """
    ordinary: dict[str, Any] = {
        "host": "host",
        "kind": "processor",
        "python": "3.11.1",
        "versions": {"torch": "2.13"},
        "code_hash": "code",
        "problem_hash": "problem",
        "deployments": ("fp16 by eager", "fp32 by eager"),
        "arithmetics": ("bf16", "fp32"),
    }
    return NodeFacts(**ordinary | fields)
