"""A copy of a run's study, which others may open: the journal has one writer, the driver."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

OBJECTIVES = ("log10 of the error", "log10 of the relative time", "log10 of the memory")
"""Names of the objectives, of which the last one may be missing; see `objective_values`."""

READING_METHODS = ("GET", "HEAD")
"""Methods of HTTP that change nothing."""


class StudyCopy:
    """A copy of the journal of a study, which follows it.

    Args:
        journal: The journal of a run.
        path: File of the copy.
    """

    def __init__(self, journal: Path, path: Path) -> None:
        self._journal, self._path = journal, path
        self._copied = 0
        self.update()

    def update(self) -> None:
        """Append the lines that the journal has got since, but for one that is being written."""
        with self._journal.open("rb") as journal, self._path.open("ab") as copy:
            journal.seek(self._copied)
            whole = journal.read().rpartition(b"\n")
            self._copied += copy.write(whole[0] + whole[1])

    def open(self) -> JournalStorage:
        """Return Optuna's storage of the copy, in which the objectives have names."""
        storage = JournalStorage(JournalFileBackend(str(self._path)))
        (frozen,) = storage.get_all_studies()
        study = optuna.load_study(study_name=frozen.study_name, storage=storage)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(OBJECTIVES[: len(study.directions)]))
        return storage


class ReadOnly:
    """An application of WSGI that shows a study as it is at each request, and changes nothing.

    What others write into the copy would come between the lines of the journal.

    Args:
        application: The application.
        study: The copy of the study that it reads.
    """

    def __init__(self, application: "WSGIApplication", study: StudyCopy) -> None:
        self._application, self._study = application, study

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request; one that would change something is refused."""
        if environ["REQUEST_METHOD"] not in READING_METHODS:
            start_response("405 Method Not Allowed", [("Content-Type", "application/json")])
            return [b'{"reason": "this is a copy of the study, to be read alone"}']
        self._study.update()
        return self._application(environ, start_response)
