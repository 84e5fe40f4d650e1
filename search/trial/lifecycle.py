"""A trial, from the untrained network to the measured artefact.

The untrained network is timed first, because latency hardly depends on weights. Then the network is
trained with a pause at every rung, pruned, lowered, scored as lowered, and measured. A further
deployment starts with the trained network. Every failure ends in the record, with a reason.
"""

import platform
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import cast

from search.run.checkpoints import save_checkpoint
from search.run.records import Record, Rung
from search.trial.checkpointing import Checkpointer
from search.trial.context import SearchContext
from search.trial.deployment import (
    PreparedTrial,
    deploy,
    load_trained,
    prepare_trial,
    time_untrained,
)
from search.trial.preparation import (
    BestWeights,
    TrainingTask,
    calibrate_probabilities,
    training_epochs,
)
from search.trial.record_builder import Failure, RecordBuilder, RungReport, machine_facts
from spaces.artefact import calibration_inputs
from spaces.candidate import Candidate
from spaces.output_layer import zero_outputs
from spaces.training_targets import Learner

RUNG_SHARES = (0.25, 0.5)
"""Shares of the training after which a trial may be stopped early."""

PATIENCE_SHARE = 0.5
"""A training ends after this share of its epochs without improvement. With one cycle of the
learning rate, errors usually fall until the end. On data that networks overfit, one half saves a
quarter of the time; one quarter would save half of it, but finds worse weights."""


def run_trial(
    context: SearchContext, candidate: Candidate, number: int, training: int | None = None
) -> Generator[RungReport | Record, None, None]:
    """Yield the rungs of a trial, then its record; close the generator to stop the trial at a rung.

    Args:
        context: What the trials of the search share.
        candidate: The candidate.
        number: Number of the trial.
        training: The trial that trained the network, for a further deployment.
    """
    builder = RecordBuilder(number, candidate, training)
    try:
        yield from _stages(context, builder)
    except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a reason
        builder.failure = Failure.of(error)
    if builder.failure:
        shutil.rmtree(context.run.artefact_path(number), ignore_errors=True)
        builder.results.pop("artefact", None)
    yield builder.record()


def _stages(context: SearchContext, builder: RecordBuilder) -> Iterator[RungReport]:
    """Run the stages of a trial; what is timed is done by the timing machine, if there is one."""
    machine, prepared = context.timing_machine, prepare_trial(context, builder)
    if builder.training is None:
        if machine:
            builder.take_over(machine.time_untrained(builder))
        else:
            time_untrained(context, builder, prepared)
        if builder.failure:
            return
        with builder.timed_stage("train"):
            yield from _train(context, builder, prepared)
    elif not machine:
        load_trained(context, builder, prepared, builder.training)
    if machine:
        builder.take_over(machine.deploy(builder))
    else:
        deploy(context, builder, prepared)


def deploy_for_another(context: SearchContext, builder: RecordBuilder) -> RecordBuilder:
    """Return the builder of a trial whose network another machine has trained, deployed here.

    Args:
        context: What the trials share.
        builder: The trial.
    """

    def stages() -> None:
        prepared = prepare_trial(context, builder)
        load_trained(context, builder, prepared, builder.trained_by)
        deploy(context, builder, prepared)

    return _timed_here(builder, stages)


def time_for_another(context: SearchContext, builder: RecordBuilder) -> RecordBuilder:
    """Return the builder of a trial that another machine trains, its untrained network timed here.

    Args:
        context: What the trials share.
        builder: The trial.
    """
    return _timed_here(
        builder, lambda: time_untrained(context, builder, prepare_trial(context, builder))
    )


def _timed_here(builder: RecordBuilder, stages: Callable[[], None]) -> RecordBuilder:
    try:
        stages()
    except Exception as error:  # noqa: BLE001 - as in `run_trial`
        builder.failure = Failure.of(error)
    builder.results |= {**machine_facts(), "timed_by": platform.node()}
    return builder


def _train(
    context: SearchContext, builder: RecordBuilder, prepared: PreparedTrial
) -> Iterator[RungReport]:
    """Train the network from the beginning or from a checkpoint; yield a report at every rung.

    The training ends before the last epoch if the error no longer improves.

    Rungs before the checkpoint are reported again, because other networks may have reached them
    since. A checkpoint is saved at every rung, so that a trial stopped there can be resumed.
    """
    candidate, run = builder.candidate, context.run
    task, learner, _ = prepared
    relative_time = cast("float", builder.results["untrained_relative_time"])
    epochs = training_epochs(context.problem, task, learner)
    rung_epochs = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
    best = BestWeights(context.problem, task, context.data.validation)
    untrained = _score_untrained(context, task, learner)
    trainer = task.trainer(learner, candidate.training, epochs, candidate.seed)
    checkpointer = Checkpointer(run.checkpoint_path(builder.number), trainer, best, candidate.key)
    memory = cast("int | None", builder.results.get("untrained_memory_bytes"))
    for rung in checkpointer.restore():
        builder.rungs.append(rung)
        yield RungReport(rung, relative_time, builder.durations_so_far(), memory)
    for epoch in _until_no_improvement(trainer, best, epochs):
        best.update(learner.network)
        if epoch in rung_epochs and epoch < epochs:
            builder.rungs.append(Rung(epoch=epoch, share=rung_epochs[epoch], error=best.error))
            checkpointer.save(builder.rungs)
            yield RungReport(builder.rungs[-1], relative_time, builder.durations_so_far(), memory)
        checkpointer.save_if_due(builder.rungs)
    checkpointer.save(builder.rungs)  # so that an interrupted deployment needs no second training
    if untrained:
        builder.results["untrained_error"] = untrained.error
        best = min(untrained, best, key=lambda weights: weights.error)
    best.restore(learner.network)
    error = best.error
    if candidate.training.temperature:
        error = calibrate_probabilities(context.problem, task, context.data.validation, learner)
    builder.results["unpruned_error"] = error
    save_checkpoint(
        run.trained_network_path(builder.number), {"learner": learner.state_dict(), "error": error}
    )


def _score_untrained(
    context: SearchContext, task: TrainingTask, learner: Learner
) -> BestWeights | None:
    """Return the untrained weights with their error, set to begin as what the encoding corrects.

    None if the network corrects nothing, so that zero outputs mean nothing.
    """
    if task.encoding.corrected_baseline is None:
        return None
    calibration = calibration_inputs(task.pairs, 2, task.noise)
    zero_outputs(learner.network, calibration)
    untrained = BestWeights(context.problem, task, context.data.validation)
    untrained.update(learner.network)
    return untrained


def _until_no_improvement(trainer: Iterable[int], best: BestWeights, epochs: int) -> Iterator[int]:
    """Yield the epochs of a training until the error has not improved for too long.

    Source: Prechelt, Neural Networks: Tricks of the Trade (1998) 55.
    """
    epochs_done = iter(trainer)
    while best.evaluations_without_improvement < PATIENCE_SHARE * epochs and (
        epoch := next(epochs_done, 0)
    ):
        yield epoch
