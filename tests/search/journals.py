"""A search's journal, read as anybody reads it: with Optuna alone."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def stored_study(journal: Path) -> optuna.Study:
    """Return the study that a journal holds by now.

    Args:
        journal: The file.
    """
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.load_study(study_name="simstead", storage=storage)
