"""The deployment of a network in a trial: lowered, validated as lowered, and measured.

The untrained network is measured in the same way, because latency hardly depends on weights.
"""

import shutil
from typing import NamedTuple

from torch import Tensor, nn

from search.run.checkpoints import load_checkpoint
from search.run.records import (
    TIME_UNTRAINED,
    Limits,
    Timing,
)
from search.run.spec import ExtraObjective
from search.timing.memory import measure_memory_bytes
from search.timing.reference import measure
from search.timing.stopwatch import MAX_ROUNDS, MIN_ROUNDS
from search.trial.context import SearchContext
from search.trial.preparation import (
    BestWeights,
    TrainingTask,
    fine_tune,
    initialise_learner,
)
from search.trial.record_builder import InfeasibleError, RecordBuilder
from search.trial.scoring import score_split
from spaces.artefact import (
    Artefact,
    DisagreementError,
    TrainedNetwork,
    calibration_inputs,
    write_artefact,
)
from spaces.candidate import Candidate, Pruning
from spaces.ensemble import NetworkMean
from spaces.members import EnsembleMembers
from spaces.pruning import NothingToPruneError, prune
from spaces.registered import RUNTIMES
from spaces.training_targets import Learner


class PreparedTrial(NamedTuple):
    """What the stages of a trial work on.

    Args:
        task: The training task.
        learner: The learner with the network, which the stages change.
        calibration: Inputs (b, ...) by which networks are lowered.
    """

    task: TrainingTask
    learner: Learner
    calibration: Tensor


def prepare_trial(context: SearchContext, builder: RecordBuilder) -> PreparedTrial:
    """Return the training task of a trial, and its untrained learner.

    Args:
        context: What the trials share.
        builder: The trial.
    """
    candidate, problem = builder.candidate, context.problem
    with builder.timed_stage("prepare"):
        teacher = context.teacher_of(candidate.encoding)
        task = context.task_cache.prepare_training(problem, candidate, context.data, teacher)
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        return PreparedTrial(task, initialise_learner(candidate, task.shape), calibration)


def time_untrained(context: SearchContext, builder: RecordBuilder, prepared: PreparedTrial) -> None:
    """Time the untrained network as it would be deployed.

    Args:
        context: What the trials share.
        builder: The trial, which gets the relative time.
        prepared: Its task and learner.

    Raises:
        InfeasibleError: It misses the goal, or is slower than the reference in any deployment.
    """
    problem, data, artefact = context.problem, context.data, context.run.artefact_path
    task, calibration = prepared.task, prepared.calibration
    with builder.timed_stage(TIME_UNTRAINED):
        pruned_network = _pruned(prepared.learner.network, builder.candidate, calibration)
        trained = task.trained(pruned_network, calibration, data.validation.inputs)
        _, surrogate = _lower(context, builder, trained, timing_only=True)
        timing = measure(problem, data, context.reference_timing, surrogate, MIN_ROUNDS)
        builder.results["untrained_relative_time"] = timing.relative_time
        if ExtraObjective.MEMORY in context.extra_objectives:
            memory = measure_memory_bytes(artefact(builder.number))
            builder.results["untrained_memory_bytes"] = memory
        shutil.rmtree(artefact(builder.number))  # its weights are random
        if context.reference_timing.has_time:
            _refuse_slow(context.limits, timing, RUNTIMES[builder.candidate.runtime].max_speedup)


def load_trained(
    context: SearchContext, builder: RecordBuilder, prepared: PreparedTrial, training: int
) -> None:
    """Load the network that a trial has trained.

    Args:
        context: What the trials share.
        builder: The trial that deploys it.
        prepared: Its learner, which gets the weights.
        training: Number of the trial that trained it.

    Raises:
        CorruptCheckpointError: The network isn't there, or its file is damaged.
    """
    with builder.timed_stage("load"):
        trained = load_checkpoint(context.run.trained_network_path(training))
        prepared.learner.load_state_dict(trained["learner"])
        builder.results["unpruned_error"] = trained["error"]


def deploy(context: SearchContext, builder: RecordBuilder, prepared: PreparedTrial) -> None:
    """Prune a trained network, lower it, score it as lowered, and measure it.

    Args:
        context: What the trials share.
        builder: The trial, which gets the results.
        prepared: Its task, and its learner with the trained network.

    Raises:
        InfeasibleError: It can't be pruned or lowered, or some of its predictions fail.
    """
    problem, data, candidate = context.problem, context.data, builder.candidate
    task, learner, calibration = prepared
    with builder.timed_stage("prune"):
        builder.results["eager_error"] = builder.results["unpruned_error"]
        if candidate.pruning is not Pruning.NONE:
            builder.results["eager_error"] = _prune(context, candidate, task, learner, calibration)
    trained = task.trained(learner.network, calibration, data.validation.inputs)
    if candidate.ensemble_seeds:
        with builder.timed_stage("average"):
            mean = _network_mean(context, builder, task, learner.network, calibration)
            members = EnsembleMembers(list(mean.networks), data.validation)
            trained = trained._replace(network=mean, members=members)
    with builder.timed_stage("deploy"):
        manifest, surrogate = _lower(context, builder, trained)
        builder.results["disagreement"] = manifest.disagreement
        builder.results["parameters"] = manifest.parameters
        builder.results["zero_parameters"] = manifest.zeros
        builder.results["artefact"] = f"artefacts/{context.run.artefact_path(builder.number).name}"
        builder.results["artefact_hash"] = manifest.hash
    with builder.timed_stage("validate"):
        result = score_split(problem, surrogate.run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        if result.not_finite:
            raise InfeasibleError(f"on the validation split {result.not_finite}")
        builder.results["metrics"] = result.metrics
    with builder.timed_stage("measure"):
        builder.results["timing"] = measure(
            problem, data, context.reference_timing, surrogate, MAX_ROUNDS
        )
        if ExtraObjective.MEMORY in context.extra_objectives:
            builder.results["memory_bytes"] = measure_memory_bytes(
                context.run.artefact_path(builder.number)
            )


def _network_mean(
    context: SearchContext,
    builder: RecordBuilder,
    task: TrainingTask,
    first: nn.Module,
    calibration: Tensor,
) -> NetworkMean:
    """Return the mean of the networks of an ensemble, each pruned as the first one is."""
    candidate, networks = builder.candidate, [first]
    for seed in candidate.ensemble_seeds[1:]:
        member = candidate.model_copy(update={"seed": seed})
        learner = initialise_learner(member, task.shape)
        path = context.run.retrained_network_path(builder.trained_by, seed)
        learner.load_state_dict(load_checkpoint(path)["learner"])
        if candidate.pruning is not Pruning.NONE:
            _prune(context, member, task, learner, calibration)
        networks.append(learner.network)
    mean = NetworkMean(networks).eval()
    weights = BestWeights(context.problem, task, context.data.validation)
    weights.update(mean)
    builder.results |= {"unpruned_error": None, "eager_error": weights.error}
    return mean


def _prune(
    context: SearchContext,
    candidate: Candidate,
    task: TrainingTask,
    learner: Learner,
    calibration: Tensor,
) -> float:
    """Prune and fine-tune the network of a learner in place; return its validation error."""
    learner.network = _pruned(learner.network, candidate, calibration)
    return fine_tune(context.problem, task, context.data.validation, learner, candidate)


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    try:
        return prune(network, candidate.pruning, candidate.pruning_settings, calibration[:2])
    except NothingToPruneError as error:
        raise InfeasibleError(str(error)) from error


def _lower(
    context: SearchContext,
    builder: RecordBuilder,
    trained: TrainedNetwork,
    *,
    timing_only: bool = False,
) -> Artefact:
    problem, folder = context.problem, context.run.artefact_path(builder.number)
    try:
        return write_artefact(
            trained, builder.candidate, problem, folder, context.source, timing_only=timing_only
        )
    except DisagreementError as error:
        raise InfeasibleError(str(error)) from error


def _refuse_slow(limits: Limits, timing: Timing, max_speedup: float) -> None:
    """Raise an InfeasibleError if a network is too slow, whatever its weights.

    It is if the upper end of its speed-up misses the goal. It is also too slow if no deployment can
    make it faster than the reference, which has no error and would dominate it.
    """
    if limits.speedup is not None and timing.speedup_high < limits.speedup:
        raise InfeasibleError(f"{timing.speedup:.3g}x as fast; the goal is {limits.speedup:g}x")
    if timing.speedup_high * max_speedup < 1.0:
        raise InfeasibleError(
            f"it takes {timing.relative_time:.3g} times as long as the reference, and no other "
            "deployment would be faster than the reference"
        )
