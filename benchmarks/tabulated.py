"""A tabular benchmark: every network of a small space, trained, deployed and timed once.

The problem is the one that `simstead new` writes, restricted to a finite number of candidates. The
results of each candidate and the durations of its stages are looked up, so that searches are
replayed without computing. Durations are processor times, which exclude other work on the machine.

What is equal for all networks of an architecture is measured once: the time of a deployment, since
latency hardly depends on weights, whether trained or not; and the ONNX graph, whose weights are
replaced. The durations of both count for each candidate.
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
from problems import Dataset, Problem, Size
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.interfaces.types import EncodedNetwork, Option
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
from spaces.onnx_graph import export_onnx, replace_weights
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
"""Restrictions of the space, as of `simstead search --only`; no real number remains a choice."""

TRAINING_PAIRS, MIN_EPOCHS = 75_000, 4
"""Pairs of a training, a seventh of a search's: a training takes one or a few seconds."""

ROUNDS, UNTRAINED_ROUNDS = 5, 2
"""Rounds of the stopwatch for a deployment and for an untrained network.

They are few because processor time scatters little.
"""

TABLE = Path(__file__).with_name("tabulated.json.gz")
SIGNIFICANT_FIGURES = 5
"""Significant figures of the numbers in the table."""

clock = time.process_time
Composed = TypeVar("Composed")


@dataclass
class PlannedChoice:
    """Chooses the options at planned indices, and the first option after the end of the plan.

    Args:
        plan: Index of each choice.
        choices: (index, number of options) of each choice so far.
    """

    plan: Sequence[int]
    choices: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return the planned option."""
        position = len(self.choices)
        index = self.plan[position] if position < len(self.plan) else 0
        self.choices.append((index, len(options)))
        return options[index]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Raise an error: the space of the table has no such choices."""
        raise NotImplementedError(name)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Raise an error: the space of the table has no such choices."""
        raise NotImplementedError(name)


def enumerate_choices(choose_candidate: Callable[[PlannedChoice], Composed]) -> Iterator[Composed]:
    """Yield the result for every combination of options."""
    plan: list[int] = []
    while True:
        choose = PlannedChoice(plan)
        yield choose_candidate(choose)
        while choose.choices and choose.choices[-1][0] + 1 == choose.choices[-1][1]:
            choose.choices.pop()
        if not choose.choices:
            return
        plan = [index for index, _ in choose.choices]
        plan[-1] += 1


def table_restrictions() -> Restrictions:
    """Return the restrictions of the problem's space."""
    return resolve_restrictions(template, parse_restrictions(None, ONLY, ()))


def candidates(seed: int = 0) -> list[Candidate]:
    """Return every candidate of the table."""
    space = Space(template, table_restrictions())
    return list(enumerate_choices(lambda choose: space.choose_candidate(Size.TINY, choose, seed)))


def network_key(candidate: Candidate) -> str:
    """Return the part of a candidate that determines the shape of its network, as text."""
    facts = candidate.encoding, candidate.encoding_settings, candidate.architecture
    return json.dumps([*facts, candidate.architecture_settings], sort_keys=True)


def training_key(candidate: Candidate) -> str:
    """Return the part of a candidate that determines its trained network without seed, as text."""
    training = candidate.training
    return f"{network_key(candidate)} {training.learning_rate:g} {training.batch_size}"


def deployment_key(candidate: Candidate) -> str:
    """Return the deployment of a candidate as text; pruning has no choice of settings here."""
    return f"{candidate.pruning} {candidate.runtime} {candidate.precision}"


class DeploymentResult(NamedTuple):
    """The results of a deployment of a trained network, and the durations of its stages [s].

    Args:
        error: Objective on the validation split; None if the deployment can't be used.
        relative_time: Time relative to the reference; None if no network of the architecture can be
            used.
        prune_s: Duration of pruning and fine-tuning.
        lower_s: Duration of writing and loading the artefact.
        validate_s: Duration of scoring.
        measure_s: Duration of timing.
    """

    error: float | None
    relative_time: float | None
    prune_s: float
    lower_s: float
    validate_s: float
    measure_s: float

    @property
    def seconds(self) -> float:
        """Duration from the trained network to the last round of its timing [s]."""
        return self.prune_s + self.lower_s + self.validate_s + self.measure_s

    @property
    def untrained_timing_s(self) -> float:
        """Duration of lowering and timing the untrained network, with fewer rounds [s]."""
        return self.lower_s + self.measure_s * UNTRAINED_ROUNDS / ROUNDS


class TrainingResult(NamedTuple):
    """The results of a training.

    Args:
        epochs: Epochs of the complete training.
        prepare_s: Duration of encoding and of building the network [s].
        errors: Errors on the validation split at each of `RUNG_SHARES`, and at the end.
        seconds: Durations of training up to each of these [s].
        deployed: Deployments of the network by `deployment_key`.
    """

    epochs: int
    prepare_s: float
    errors: list[float]
    seconds: list[float]
    deployed: dict[str, DeploymentResult]


@dataclass(frozen=True)
class TabularBenchmark:
    """Every trained network by its `training_key`."""

    trainings: dict[str, TrainingResult]

    @classmethod
    def read(cls) -> "TabularBenchmark":
        """Return the table beside this file."""
        rows = json.loads(gzip.decompress(TABLE.read_bytes()))
        return cls(dict(map(_training, rows)))

    @property
    def restrictions(self) -> Restrictions:
        """The restrictions of the problem's space."""
        return table_restrictions()

    @property
    def trials(self) -> list[tuple[TrainingResult, DeploymentResult]]:
        """All candidates."""
        return [
            (trained, deployed)
            for trained in self.trainings.values()
            for deployed in trained.deployed.values()
        ]

    def trained(self, candidate: Candidate) -> TrainingResult:
        """Return the training of a candidate."""
        return self.trainings[training_key(candidate)]

    def deployed(self, candidate: Candidate) -> DeploymentResult:
        """Return the deployment of a candidate."""
        return self.trained(candidate).deployed[deployment_key(candidate)]

    @cached_property
    def points(self) -> list[tuple[float, float]]:
        """log10 of error and of relative time of every candidate that can be used."""
        return [
            (math.log10(deployed.error), math.log10(deployed.relative_time))
            for trained in self.trainings.values()
            for deployed in trained.deployed.values()
            if deployed.error is not None and deployed.relative_time is not None
        ]


def _training(row: dict[str, Any]) -> tuple[str, TrainingResult]:
    deployed = {name: DeploymentResult(*figures) for name, figures in row["deployed"].items()}
    return row["training"], TrainingResult(
        row["epochs"], row["prepare_s"], row["errors"], row["seconds"], deployed
    )


class ExportCache:
    """Exports one network of an architecture, and replaces weights in its graph for the others.

    Lowering checks that the graph with the new weights agrees with the network.
    """

    def __init__(self) -> None:
        self.saved_s = 0.0
        """Duration of exports that were avoided [s]."""
        self._exported: dict[str, tuple[bytes, float]] = {}
        self._latest: tuple[nn.Module, bytes, float] | None = None

    def __call__(self, network: nn.Module, example: Tensor, path: Path, settings: str) -> None:  # noqa: ARG002 - of `write_graph`
        """Write the graph and weights of a network as one ONNX file.

        Args:
            network: The network.
            example: Inputs (b, ...) of the export.
            path: The file.
            settings: Settings of the architecture, unused.
        """
        if self._latest is None or self._latest[0] is not network:
            self._latest = network, *self._export(network, example, path)
        _, graph, seconds = self._latest
        path.write_bytes(graph)
        self.saved_s += seconds

    def _export(self, network: nn.Module, example: Tensor, path: Path) -> tuple[bytes, float]:
        """Return the graph of a network, and the duration of its export [s]."""
        started, name = clock(), f"{network} {[tuple(w.shape) for w in network.parameters()]}"
        before, seconds = self._exported.get(name, (None, 0.0))
        graph = replace_weights(before, network) if before else None
        if graph is None:
            export_onnx(network, example, path)
            graph, seconds = path.read_bytes(), clock() - started
            self._exported[name] = graph, seconds
        self.saved_s -= clock() - started
        return graph, seconds


class Tabulator:
    """Trains, prunes, deploys and times networks of the problem, each step once."""

    def __init__(self, problem: Problem, data: Dataset, reference_timing: ReferenceTiming) -> None:
        self._problem, self._data, self._reference_timing = problem, data, reference_timing
        self._timed: dict[tuple[str, str], tuple[float, float]] = {}
        self._export = ExportCache()
        spaces.runtimes.onnxruntime.write_graph = self._export
        spaces.runtimes.openvino.write_graph = self._export

    def reuse_timings(self, network: str, deployed: dict[str, DeploymentResult]) -> None:
        """Use the times of an earlier run for the deployments of a network."""
        for name, result in deployed.items():
            if result.relative_time is not None and result.measure_s:
                self._timed[network, name] = result.relative_time, result.measure_s

    def row(self, group: Sequence[Candidate]) -> dict[str, Any]:
        """Return the row of the network that candidates share, with all their deployments."""
        first, started = group[0], clock()
        task = prepare_training(self._problem, first, self._data)
        learner = initialise_learner(first, task.shape)
        prepare_s = clock() - started
        epochs = training_epochs(self._problem, task, learner)
        errors, seconds = self._train(learner, task, first, epochs)
        deployed: dict[str, DeploymentResult] = {}
        for pruning in Pruning:
            pruned = [candidate for candidate in group if candidate.pruning is pruning]
            if pruned:
                deployed |= self._deployments(pruned, learner, task)
        return {
            "training": training_key(first),
            "epochs": epochs,
            "prepare_s": round_figures(prepare_s),
            "errors": [round_figures(error) for error in errors],
            "seconds": [round_figures(duration) for duration in seconds],
            "deployed": deployed,
        }

    def _train(
        self, learner: Learner, task: TrainingTask, candidate: Candidate, epochs: int
    ) -> tuple[list[float], list[float]]:
        """Train in place; return the errors at the rungs and at the end, and the durations [s]."""
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
        """Return the deployments of one network, pruned or not, for all candidates of a group."""
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
                return {deployment_key(candidate): unusable for candidate in group}
            fine_tune(self._problem, task, self._data.validation, learner, first)
        prune_s = clock() - started
        return {
            deployment_key(candidate): self._deploy(candidate, learner.network, task, prune_s)
            for candidate in group
        }

    def _deploy(
        self, candidate: Candidate, network: nn.Module, task: TrainingTask, prune_s: float
    ) -> DeploymentResult:
        problem, data = self._problem, self._data
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        trained = task.trained(network, calibration, data.validation.inputs)
        key, saved_s = (network_key(candidate), deployment_key(candidate)), self._export.saved_s
        with tempfile.TemporaryDirectory() as scratch:
            started = clock()
            try:
                artefact = write_artefact(trained, candidate, problem, Path(scratch) / "artefact")
            except DisagreementError:
                lower_s = round_figures(clock() - started)
                relative_time, _ = self._timed.get(key, (None, 0.0))
                return DeploymentResult(
                    None, relative_time, round_figures(prune_s), lower_s, 0.0, 0.0
                )
            lowered = clock()
            result = score_split(problem, artefact.surrogate.run, data.validation)
            validated = clock()
            if key not in self._timed:
                relative_time = self._relative_time(artefact.surrogate)
                self._timed[key] = (
                    round_figures(relative_time),
                    round_figures(clock() - validated),
                )
        relative_time, measure_s = self._timed[key]
        error = result.metrics[problem.objective.name]
        return DeploymentResult(
            round_figures(error) if math.isfinite(error) and not result.failed else None,
            relative_time,
            round_figures(prune_s),
            round_figures(lowered - started + self._export.saved_s - saved_s),
            round_figures(validated - lowered),
            measure_s,
        )

    def _relative_time(self, surrogate: EncodedNetwork) -> float:
        """Return the processor time relative to the reference, both on one thread."""
        timed_calls = {
            "surrogate": deployment_call(surrogate.run, self._problem, self._data.test),
            **self._reference_timing.timed_calls(self._data.test),
        }
        seconds = time_interleaved(timed_calls, ROUNDS, clock=clock)
        return float(np.median(seconds["surrogate"] / self._reference_timing.seconds(seconds)))


def round_figures(value: float) -> float:
    """Return a number rounded to `SIGNIFICANT_FIGURES`."""
    return float(f"{value:.{SIGNIFICANT_FIGURES}g}")


def tabulate() -> None:
    """Make the table, or continue it: finished rows are in the cache, one per line."""
    torch.set_num_threads(template.deployment.threads)
    search.trial.preparation.TRAINING_PAIRS = TRAINING_PAIRS
    search.trial.preparation.MIN_EPOCHS = MIN_EPOCHS
    keep_large_blocks()
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates():
        groups[training_key(candidate)].append(candidate)
    unfinished = default_cache() / "tabulated.jsonl"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    lines = unfinished.read_text().splitlines() if unfinished.exists() else []
    rows = {row["training"]: row for row in map(json.loads, lines)}
    data = generate(template, default_cache())
    tabulator = Tabulator(template, data, time_reference(template, data.test))
    for key, row in rows.items():
        if key in groups:
            tabulator.reuse_timings(network_key(groups[key][0]), _training(row)[1].deployed)
    start = time.monotonic()
    for number, (key, group) in enumerate(groups.items(), 1):
        if key in rows:
            continue
        rows[key] = tabulator.row(group)
        with unfinished.open("a") as file:
            file.write(json.dumps(rows[key]) + "\n")
        elapsed_s = time.monotonic() - start
        print(f"{number}/{len(groups)}  after {elapsed_s:.0f} s  {key}", flush=True)
    whole = json.dumps([rows[key] for key in groups]).encode()
    TABLE.write_bytes(gzip.compress(whole, mtime=0))
    print(f"{TABLE}: {len(groups)} networks, {sum(map(len, groups.values()))} candidates")
