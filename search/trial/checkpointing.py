"""Checkpoints of a training, by which it can be resumed."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.run.checkpoints import CorruptCheckpointError, load_checkpoint, save_checkpoint
from search.run.records import Rung
from search.trial.preparation import BestWeights
from search.trial.training import Trainer

CHECKPOINT_INTERVAL_S = 20.0
"""Time between checkpoints, the most that an interruption costs; one takes some milliseconds."""


class Checkpointer:
    """Saves checkpoints of a training to a file, and restores them.

    RL training has no checkpoints, because the state of its environment can't be saved.

    Args:
        path: File of the checkpoint.
        trainer: The training.
        best: The best weights of the training so far.
        key: Key of the candidate; a checkpoint of another candidate is not restored.
    """

    def __init__(
        self, path: Path, trainer: Trainer | Iterator[int], best: BestWeights, key: str
    ) -> None:
        self._path, self._best, self._key = path, best, key
        self._trainer = trainer if isinstance(trainer, Trainer) else None
        self._saved_at_s = time.monotonic()

    def restore(self) -> list[Rung]:
        """Restore the trainer and the best weights; return the rungs before the checkpoint.

        Where there is no checkpoint of this candidate, or it is damaged, the training starts anew
        and no rungs are returned.
        """
        if self._trainer is None or not self._path.exists():
            return []
        try:
            state_dict = load_checkpoint(self._path)
        except CorruptCheckpointError:
            return []
        if state_dict.get("key") != self._key:
            return []
        self._trainer.load_state_dict(state_dict["course"])
        self._best.load_state_dict(state_dict["best"])
        return [Rung.model_validate(rung) for rung in state_dict["rungs"]]

    def save_if_due(self, rungs: Sequence[Rung]) -> None:
        """Save a checkpoint if the last one is older than `CHECKPOINT_INTERVAL_S`."""
        if time.monotonic() - self._saved_at_s >= CHECKPOINT_INTERVAL_S:
            self.save(rungs)

    def save(self, rungs: Sequence[Rung]) -> None:
        """Save a checkpoint with the rungs so far."""
        if self._trainer is None:
            return
        state_dict = {
            "key": self._key,
            "course": self._trainer.state_dict(),
            "best": self._best.state_dict(),
            "rungs": [rung.model_dump() for rung in rungs],
        }
        save_checkpoint(self._path, state_dict)
        self._saved_at_s = time.monotonic()
