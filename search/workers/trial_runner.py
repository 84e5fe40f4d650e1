"""Trials on Ray Tune: the actor that runs one, what stops it at a rung, and the loop of all."""

import logging
import math
import signal
import tempfile
from dataclasses import replace
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.interrupts import kept_handlers
from search.run.records import Rung
from search.trial.context import FolderOfFiles, SearchContext
from search.trial.lifecycle import run_trial
from search.trial.record_builder import RungReport
from search.watchdog import watchdog
from search.workers.kept_workers import KeptWorkers, resources_on_node
from search.workers.ray_cluster import node_pool, prepare_process
from search.workers.successive_halving import SuccessiveHalving
from search.workers.timing_machine import RemoteTimingMachine, TimingService
from search.workers.tune_adapter import StudySearcher
from spaces.candidate import Candidate

COSTS = ("relative_time", "memory_bytes")
"""Costs of the untrained network in a report, as far as they are objectives."""


class TrialActor(tune.Trainable):
    """A worker, which runs one trial after the other; a step lasts from one report to the next."""

    def setup(self, config: dict[str, Any], context: SearchContext | None = None) -> None:
        """Prepare the process and start the first trial.

        Args:
            config: Number and candidate of the trial, and the trial that trained its network.
            context: What the trials share.

        Raises:
            ValueError: There is no context.
        """
        if context is None:
            raise ValueError("a worker needs the context of the search")
        prepare_process(context.problem.deployment.threads)
        self._context = context
        self._sent: FolderOfFiles | None = None
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        candidate, context = Candidate.model_validate_json(config["candidate"]), self._context
        trials = [number for number in (config["number"], config["training"]) if number is not None]
        self._sent = context.transport.of_trials(trials) if context.transport else None
        if self._sent:
            context = replace(context, run=self._sent.run)
        if config["timing_machine"]:
            machine = RemoteTimingMachine(
                config["timing_machine"], self._sent.send if self._sent else None
            )
            context = replace(context, timing_machine=machine)
        self._events = run_trial(context, candidate, config["number"], config["training"])

    def step(self) -> dict[str, Any]:
        """Return the report of the next rung, or the record at the end."""
        with watchdog():
            event = next(self._events)
        if self._sent:
            self._sent.send()
        if isinstance(event, RungReport):
            return event.as_result()
        self._remove_files()
        return {"record": event.model_dump_json(), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another trial in the same process."""
        self._events.close()
        self._remove_files()
        self._start(new_config)
        return True

    def cleanup(self) -> None:
        """Remove the files that were sent here."""
        self._remove_files()

    def _remove_files(self) -> None:
        if self._sent:
            self._sent.close()
        self._sent = None


class SearchStopper(tune.Stopper):
    """Ends all trials once records can't be written, or a stop was requested."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's
        """Return False: no single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials end; interrupted trials are repeated on resumption."""
        return self._searcher.should_stop


class RungScheduler(FIFOScheduler):
    """Applies successive halving at every rung, and passes on why a worker died."""

    def __init__(self, halving: SuccessiveHalving, searcher: StudySearcher) -> None:
        super().__init__()
        self._halving, self._searcher = halving, searcher
        self._kept = KeptWorkers(searcher.cores)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's
        """Keep the last line of the error; Tune tells the searcher only that there was an error."""
        text = str(trial.get_error() or "").strip() or "for no reason known to Ray"
        reason = f"its worker died: {text.splitlines()[-1]}"
        self._searcher.record_worker_death(trial.trial_id, reason, trial.get_pickled_error())

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the next trial to start; those whose node is gone are given to another one."""
        # Tune has no public way to say which idle workers it keeps.
        self._kept.update(tune_controller._actor_cache, node_pool().admitted)  # noqa: SLF001
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == Trial.PENDING and self._searcher.is_stranded(trial.trial_id):
                tune_controller.stop_trial(trial)
        return super().choose_trial_to_run(tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return whether Tune continues or stops a trial, by successive halving.

        One network of each encoding is trained to the end, whatever its rungs say: without one, the
        comparison of encodings would rest on a single rung.

        Args:
            tune_controller: Tune's controller.
            trial: The trial.
            result: Its report.
        """
        if "rung" not in result:
            return TrialScheduler.CONTINUE
        rung = Rung.model_validate_json(result["rung"])
        if (
            rung.share <= trial.config["resumed_share"]
        ):  # the trial that it resumes was at this rung
            return TrialScheduler.CONTINUE
        costs = [result[cost] for cost in COSTS if result.get(cost) is not None]
        should_continue = self._halving.should_continue(rung.share, rung.error, *costs)
        if (
            not should_continue
            and math.isfinite(rung.error)
            and self._searcher.is_only_of_encoding(trial.trial_id)
        ):
            self._searcher.record_retention(trial.trial_id, rung.share)
            should_continue = True
        return TrialScheduler.CONTINUE if should_continue else TrialScheduler.STOP


class SearcherCallback(tune.Callback):
    """Tells the searcher that the worker of a trial has started, and that Tune has made a step."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:  # noqa: ARG002 - Tune's
        """Tell it.

        Args:
            iteration: Tune's.
            trials: All trials.
            trial: The trial.
        """
        self._searcher.worker_started(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **_: Any) -> None:  # noqa: ARG002 - Tune's
        """Let the searcher write how many workers are busy.

        Args:
            iteration: Tune's.
            trials: All trials.
        """
        self._searcher.write_occupancy()


def run_trials(context: SearchContext, searcher: StudySearcher, halving: SuccessiveHalving) -> None:
    """Run the trials of a searcher until there are no more, or an interrupt ends them.

    Args:
        context: What the trials share.
        searcher: The searcher.
        halving: The rule that stops trials at rungs.

    Raises:
        OSError: The run directory can't be written.
        ClusterError: No node is left.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are in the records
    actor = tune.with_parameters(TrialActor, context=context)
    searcher.timing_machine = TimingService(context).name
    with tempfile.TemporaryDirectory(prefix="simstead-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(actor, resources_on_node),
            tune_config=tune.TuneConfig(
                search_alg=searcher, scheduler=RungScheduler(halving, searcher), reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=SearchStopper(searcher),
                callbacks=[SearcherCallback(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with kept_handlers(signal.SIGINT, signal.SIGUSR1):
            tuner.fit()
    if searcher.storage_error:
        raise searcher.storage_error
    if searcher.cluster_error:
        raise searcher.cluster_error
