"""A table of a real problem: every network of a small space taught, deployed and timed once.

The problem that `simstead new` writes, narrowed to finitely many candidates. What each finds, and
how long each part of its life takes, is looked up, so that searches are replayed without computing.
Seconds are the processor's: other work on the machine doesn't count.

What is the same for all networks of an architecture is found once: a deployment's time, because
latency hardly depends on weights, untrained ones included; and the graph in ONNX, into which other
weights are put. The seconds of both are counted for each candidate.
"""

import copy
import gzip
import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

import search.trial.preparation
import spaces.runtimes.onnxruntime
import spaces.runtimes.openvino
from problems import Dataset, Problem, Size, Surrogate
from problems.data.dataset import generate
from problems.data.shards import default_cache
from problems.interfaces.types import Option
from problems.template.problem import problem as template
from search.timing.reference import ReferenceTiming, deployment_call, time_reference
from search.timing.stopwatch import keep_large_blocks, time_interleaved
from search.trial.lifecycle import RUNG_SHARES
from search.trial.preparation import (
    BestWeights,
    TrainingTask,
    fine_tune,
    initialise_learner,
    prepare_training,
    training_epochs,
)
from search.trial.scoring import score_split
from spaces.artefact import DisagreementError, calibration_inputs, write_artefact
from spaces.candidate import Candidate, Pruning
from spaces.onnx_graph import export, with_weights
from spaces.pruning import NothingToPruneError, prune
from spaces.restrictions import Restrictions
from spaces.space import Space
from spaces.training_targets import Learner
from spaces.user_restrictions import parse_restrictions, resolve_restrictions

ONLY = (
    "architecture=mlp,tcn,gru",
    "pruning=none,structured",
    "runtime=eager,onnxruntime,openvino",
    "precision=fp32,bf16,int8",
    "path.input_transform=none",
    "path.normalisation=standard",
    "path.output_scale=element",
    "steps.normalisation=standard",
    "steps.window=4",
    "steps.step=5,10",
    "mlp.depth=1,2,4",
    "mlp.residual=false",
    "mlp.activation=silu,tanh",
    "mlp.structured.ratio=0.5",
    "mlp.structured.criterion=magnitude",
    "tcn.kernel=2",
    "tcn.activation=relu",
    "tcn.structured.ratio=0.5",
    "tcn.structured.criterion=magnitude",
    "gru.layers=1",
    "gru.structured.ratio=0.5",
    "gru.structured.criterion=magnitude",
    "training.learning_rate=0.001,0.003,0.01",
    "training.batch_size=128,512",
    "training.weight_decay=0.00001",
    "training.arithmetic=fp32",
    "training.averaging=0",
    "training.input_noise=0",
    "training.unrolled=1",
)
"""What is kept of the space, as `simstead search --only` takes it: no real number is left."""

PAIRS_SEEN, FEWEST_EPOCHS = 75_000, 4
"""Pairs seen in training, a seventh of a search's: a network takes a second, or a few."""

ROUNDS, UNTRAINED_ROUNDS = 5, 2
"""Of the stopwatch, for a deployment and for a network untrained: the processor's time is calm."""

TABLE = Path(__file__).with_name("tabulated.json.gz")
SIGNIFICANT_FIGURES = 5
"""Significant figures of what is kept."""

clock = time.process_time
Composed = TypeVar("Composed")


@dataclass
class PlannedChoice:
    """Answers with the options at the places that a plan says, and the first one where it ends."""

    plan: Sequence[int]
    asked: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Choose as planned; note which of how many."""
        place = len(self.asked)
        given = self.plan[place] if place < len(self.plan) else 0
        self.asked.append((given, len(options)))
        return options[given]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Refuse: the table's space is finite."""
        raise NotImplementedError(name)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Refuse: the table's space is finite."""
        raise NotImplementedError(name)


def enumerate_choices(choose_candidate: Callable[[PlannedChoice], Composed]) -> Iterator[Composed]:
    """Yield what comes of every combination of answers."""
    plan: list[int] = []
    while True:
        walk = PlannedChoice(plan)
        yield choose_candidate(walk)
        while walk.asked and walk.asked[-1][0] + 1 == walk.asked[-1][1]:
            walk.asked.pop()
        if not walk.asked:
            return
        plan = [given for given, _ in walk.asked]
        plan[-1] += 1


def table_restrictions() -> Restrictions:
    """Return what is kept of the problem's space, settled."""
    return resolve_restrictions(template, parse_restrictions(None, ONLY, ()))


def candidates(seed: int = 0) -> list[Candidate]:
    """Return every candidate of the table."""
    space = Space(template, table_restrictions())
    return list(enumerate_choices(lambda walk: space.choose_candidate(Size.TINY, walk, seed)))


def network_key(candidate: Candidate) -> str:
    """Return what decides a network's shape, as text."""
    facts = candidate.encoding, candidate.encoding_settings, candidate.architecture
    return json.dumps([*facts, candidate.architecture_settings], sort_keys=True)


def training_key(candidate: Candidate) -> str:
    """Return what decides a trained network, its seed apart, as text."""
    training = candidate.training
    return f"{network_key(candidate)} {training.learning_rate:g} {training.batch_size}"


def deployment_key(candidate: Candidate) -> str:
    """Return how a candidate is deployed, as text; its pruning has no choice of settings here."""
    return f"{candidate.pruning} {candidate.runtime} {candidate.precision}"


class DeploymentResult(NamedTuple):
    """What a deployment of a trained network finds, and the seconds of its parts.

    Args:
        error: Objective on the validation split; None where it can't be used.
        relative_time: Time over the reference's; None where none of its architecture can be used.
        prune_s: Pruning and fine-tuning.
        lower_s: Writing and loading the artefact.
        validate_s: Scoring it.
        measure_s: Timing it.
    """

    error: float | None
    relative_time: float | None
    prune_s: float
    lower_s: float
    validate_s: float
    measure_s: float

    @property
    def seconds(self) -> float:
        """From the trained network to the last round of its timing."""
        return self.prune_s + self.lower_s + self.validate_s + self.measure_s

    @property
    def untrained_timing_s(self) -> float:
        """Of lowering and timing the network untrained: fewer rounds."""
        return self.lower_s + self.measure_s * UNTRAINED_ROUNDS / ROUNDS


class TrainingResult(NamedTuple):
    """A trained network.

    Args:
        epochs: Of the whole training.
        prepare_s: Encoding and building it.
        errors: On the validation split at each of `RUNG_SHARES`, and in the end.
        seconds: Of training up to each of these.
        deployed: Its deployments by name.
    """

    epochs: int
    prepare_s: float
    errors: list[float]
    seconds: list[float]
    deployed: dict[str, DeploymentResult]


@dataclass(frozen=True)
class TabularBenchmark:
    """Every trained network by what decides it."""

    trainings: dict[str, TrainingResult]

    @classmethod
    def read(cls) -> "TabularBenchmark":
        """Return the table beside this file."""
        rows = json.loads(gzip.decompress(TABLE.read_bytes()))
        return cls(dict(map(_taught, rows)))

    def taught(self, candidate: Candidate) -> TrainingResult:
        """Return a candidate's network."""
        return self.trainings[training_key(candidate)]

    def deployed(self, candidate: Candidate) -> DeploymentResult:
        """Return a candidate's deployment."""
        return self.taught(candidate).deployed[deployment_key(candidate)]

    @cached_property
    def points(self) -> list[tuple[float, float]]:
        """log10 of error and relative time of every candidate that can be used."""
        return [
            (math.log10(each.error), math.log10(each.relative_time))
            for taught in self.trainings.values()
            for each in taught.deployed.values()
            if each.error is not None and each.relative_time is not None
        ]


def _taught(row: dict[str, Any]) -> tuple[str, TrainingResult]:
    deployed = {name: DeploymentResult(*each) for name, each in row["deployed"].items()}
    return row["lesson"], TrainingResult(
        row["epochs"], row["prepare_s"], row["errors"], row["seconds"], deployed
    )


class ExportCache:
    """Exports one network of an architecture; puts the weights of others into its graph.

    That the graph is theirs then is checked when it is lowered: it must agree with the network.
    """

    def __init__(self) -> None:
        self.saved_s = 0.0
        """Seconds that exporting would have taken where it wasn't done."""
        self._exported: dict[str, tuple[bytes, float]] = {}
        self._latest: tuple[nn.Module, bytes, float] | None = None

    def __call__(self, network: nn.Module, example: Tensor, path: Path) -> None:
        """Write a network's graph and weights as one ONNX file."""
        if self._latest is None or self._latest[0] is not network:
            self._latest = network, *self._export(network, example, path)
        _, graph, seconds = self._latest
        path.write_bytes(graph)
        self.saved_s += seconds

    def _export(self, network: nn.Module, example: Tensor, path: Path) -> tuple[bytes, float]:
        """Return a network's graph, and the seconds that exporting it takes."""
        started, name = clock(), f"{network} {[tuple(w.shape) for w in network.parameters()]}"
        before, seconds = self._exported.get(name, (None, 0.0))
        graph = with_weights(before, network) if before else None
        if graph is None:
            export(network, example, path)
            graph, seconds = path.read_bytes(), clock() - started
            self._exported[name] = graph, seconds
        self.saved_s -= clock() - started
        return graph, seconds


class Tabulator:
    """Teaches, prunes, deploys and times networks of the problem, each thing once."""

    def __init__(self, problem: Problem, data: Dataset, reference_timing: ReferenceTiming) -> None:
        self._problem, self._data, self._held_against = problem, data, reference_timing
        self._timed: dict[tuple[str, str], tuple[float, float]] = {}
        self._export = ExportCache()
        spaces.runtimes.onnxruntime.write_graph = self._export
        spaces.runtimes.openvino.write_graph = self._export

    def reuse_timings(self, network: str, deployed: dict[str, DeploymentResult]) -> None:
        """Take over what an earlier run timed."""
        for name, each in deployed.items():
            if each.relative_time is not None and each.measure_s:
                self._timed[network, name] = each.relative_time, each.measure_s

    def row(self, group: Sequence[Candidate]) -> dict[str, Any]:
        """Teach the network that candidates share, and deploy it as each says."""
        first, started = group[0], clock()
        task = prepare_training(self._problem, first, self._data)
        learner = initialise_learner(first, task.shape)
        prepare_s = clock() - started
        epochs = training_epochs(self._problem, task.pairs)
        errors, seconds = self._teach(learner, task, first, epochs)
        deployed: dict[str, DeploymentResult] = {}
        for pruning in Pruning:
            own = [each for each in group if each.pruning is pruning]
            if own:
                deployed |= self._deployments(own, learner, task)
        return {
            "lesson": training_key(first),
            "epochs": epochs,
            "prepare_s": round_figures(prepare_s),
            "errors": [round_figures(each) for each in errors],
            "seconds": [round_figures(each) for each in seconds],
            "deployed": deployed,
        }

    def _teach(
        self, learner: Learner, task: TrainingTask, candidate: Candidate, epochs: int
    ) -> tuple[list[float], list[float]]:
        """Train in place; return errors at the rungs and in the end, and the seconds to each."""
        best = BestWeights(self._problem, task, self._data.validation)
        pauses = {max(1, round(share * epochs)) for share in RUNG_SHARES}
        errors: list[float] = []
        seconds: list[float] = []
        started = clock()
        for epoch in task.trainer(learner, candidate.training, epochs, candidate.seed):
            best.update(learner.network)
            if epoch in pauses:
                errors.append(best.error)
                seconds.append(clock() - started)
        best.restore(learner.network)
        return [*errors, best.error], [*seconds, clock() - started]

    def _deployments(
        self, group: Sequence[Candidate], learner: Learner, task: TrainingTask
    ) -> dict[str, DeploymentResult]:
        """Deploy one network, pruned or not, in every runtime and precision of a group."""
        first, started = group[0], clock()
        learner = copy.deepcopy(learner)
        if first.pruning is not Pruning.NONE:
            calibration = calibration_inputs(task.pairs, 2)
            try:
                learner.network = prune(
                    learner.network, first.pruning, first.pruning_settings, calibration[:2]
                )
            except NothingToPruneError:
                unusable = DeploymentResult(None, None, clock() - started, 0.0, 0.0, 0.0)
                return {deployment_key(each): unusable for each in group}
            fine_tune(self._problem, task, self._data.validation, learner, first)
        prune_s = clock() - started
        return {
            deployment_key(each): self._deploy(each, learner.network, task, prune_s)
            for each in group
        }

    def _deploy(
        self, candidate: Candidate, network: nn.Module, task: TrainingTask, prune_s: float
    ) -> DeploymentResult:
        problem, data = self._problem, self._data
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        trained = task.trained(network, calibration, data.validation.inputs)
        place, saved_s = (network_key(candidate), deployment_key(candidate)), self._export.saved_s
        with tempfile.TemporaryDirectory() as scratch:
            started = clock()
            try:
                artefact = write_artefact(trained, candidate, problem, Path(scratch) / "artefact")
            except DisagreementError:
                lower_s = round_figures(clock() - started)
                relative_time, _ = self._timed.get(place, (None, 0.0))
                return DeploymentResult(
                    None, relative_time, round_figures(prune_s), lower_s, 0.0, 0.0
                )
            lowered = clock()
            result = score_split(problem, artefact.surrogate.run, data.validation)
            validated = clock()
            if place not in self._timed:
                relative_time = self._relative_time(artefact.surrogate)
                self._timed[place] = (
                    round_figures(relative_time),
                    round_figures(clock() - validated),
                )
        relative_time, measure_s = self._timed[place]
        error = result.metrics[problem.objective.name]
        return DeploymentResult(
            round_figures(error) if math.isfinite(error) and not result.failed else None,
            relative_time,
            round_figures(prune_s),
            round_figures(lowered - started + self._export.saved_s - saved_s),
            round_figures(validated - lowered),
            measure_s,
        )

    def _relative_time(self, surrogate: Surrogate) -> float:
        """Return the time over the reference's, both the processor's: one thread computes."""
        timed_calls = {
            "surrogate": deployment_call(surrogate.run, self._problem, self._data.test),
            **self._held_against.timed_calls(self._data.test),
        }
        seconds = time_interleaved(timed_calls, ROUNDS, clock=clock)
        return float(np.median(seconds["surrogate"] / self._held_against.seconds(seconds)))


def round_figures(value: float) -> float:
    """Return a number with as many figures as are kept."""
    return float(f"{value:.{SIGNIFICANT_FIGURES}g}")


def tabulate() -> None:
    """Make the table, or go on with it: finished rows lie in the cache, a line each."""
    torch.set_num_threads(template.deployment.threads)
    search.trial.preparation.PAIRS_SEEN, search.trial.preparation.FEWEST_EPOCHS = (
        PAIRS_SEEN,
        FEWEST_EPOCHS,
    )
    keep_large_blocks()
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates():
        groups[training_key(candidate)].append(candidate)
    unfinished = default_cache() / "tabulated.jsonl"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    lines = unfinished.read_text().splitlines() if unfinished.exists() else []
    rows = {row["lesson"]: row for row in map(json.loads, lines)}
    data = generate(template, default_cache())
    maker = Tabulator(template, data, time_reference(template, data.test))
    for task, row in rows.items():
        if task in groups:
            maker.reuse_timings(network_key(groups[task][0]), _taught(row)[1].deployed)
    began = time.monotonic()
    for number, (task, group) in enumerate(groups.items(), 1):
        if task in rows:
            continue
        rows[task] = maker.row(group)
        with unfinished.open("a") as file:
            file.write(json.dumps(rows[task]) + "\n")
        gone = time.monotonic() - began
        print(f"{number}/{len(groups)}  {gone:.0f} s gone  {task}", flush=True)
    whole = json.dumps([rows[task] for task in groups]).encode()
    TABLE.write_bytes(gzip.compress(whole, mtime=0))
    print(f"{TABLE}: {len(groups)} networks, {sum(map(len, groups.values()))} candidates")
