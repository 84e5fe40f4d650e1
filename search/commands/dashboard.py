"""The command dashboard: Optuna's dashboard on a copy of a run's study."""

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from problems import UserError
from problems.errors import MissingExtraError
from search.commands.options import RunFolder, console
from search.interrupts import signals_as_interrupt

if TYPE_CHECKING:
    from search.run.directory import RunDirectory

app = typer.Typer()

LOOPBACK = "127.0.0.1"
"""Address of this machine alone."""


@app.command(
    name="dashboard",
    epilog="""Examples:\n
    simstead dashboard runs/planets-20261123-101500\n
    simstead dashboard /shared/first --port 8080""",
)
def dashboard_command(
    run: RunFolder,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine. By default a free one.")
    ] = 0,
) -> None:
    """Show the study of a search in Optuna's dashboard, on this machine alone, until Ctrl-C.

    It opens a copy, which follows the search and can't be changed.
    """
    from search.run.directory import RunDirectory  # noqa: PLC0415 - help is printed at once

    serve_dashboard(RunDirectory.open(run), port, lambda line: console.print(line, soft_wrap=True))


def serve_dashboard(run: "RunDirectory", port: int, notify: Callable[[str], None]) -> None:
    """Serve Optuna's dashboard until Ctrl-C or a signal.

    Args:
        run: The run directory.
        port: The port; 0 for a free one.
        notify: Is called with messages.

    Raises:
        UserError: The run has no study yet, or the port can't be used.
        MissingExtraError: The dashboard isn't installed.
    """
    try:
        from optuna_dashboard import wsgi  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("optuna-dashboard", "dashboard", "simstead dashboard") from None
    from search.commands.study_copy import ReadOnly, StudyCopy  # noqa: PLC0415 - brings Optuna

    if not (run.journal.exists() and run.journal.stat().st_size):
        raise UserError(f"{run.folder} has no trial yet; simstead status {run.folder} shows it")
    with TemporaryDirectory(prefix="simstead-") as folder:
        study = StudyCopy(run.journal, Path(folder) / run.journal.name)
        with _server(ReadOnly(wsgi(study.open()), study), port) as server:
            notify(f"dashboard: http://{LOOPBACK}:{server.server_port}  (Ctrl-C ends it)")
            # In a thread of its own: during a request the server would swallow Ctrl-C.
            serving = Thread(target=server.serve_forever, daemon=True)
            serving.start()
            with signals_as_interrupt(), suppress(KeyboardInterrupt):
                serving.join()
            server.shutdown()
            serving.join()


def _server(application: Any, port: int) -> WSGIServer:
    """Return a server on this machine alone.

    Raises:
        UserError: The port is in use, or belongs to others.
    """
    try:
        return make_server(LOOPBACK, port, application, handler_class=_SilentHandler)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        reason = (error.strerror or "").lower()
        raise UserError(
            f"--port {port} can't be used ({reason}); without it a free one is taken"
        ) from None


class _SilentHandler(WSGIRequestHandler):
    """Handles a request without a line about it."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Print nothing."""
