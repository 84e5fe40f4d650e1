"""The command line: `simstead --help`."""

import sys

import typer
from typer.main import get_command

from problems import InterruptedRunError, UserError
from problems.errors import ClusterError, printable
from search.commands import dashboard, launch, points, problems, results, runs

USAGE_ERROR = 2
"""Exit code of a user's mistake."""

CLUSTER_ERROR = 3
"""Exit code where the machines failed."""

INTERRUPTED_RUN = 85
"""Exit code of a search that was interrupted and keeps what it has finished."""

INTERRUPTED = 130
"""Exit code after another interruption, as of shells after Ctrl-C."""

app = typer.Typer(
    name="simstead",
    help="Find the neural network that can run in your simulation's stead.",
    epilog="Example:  simstead search planets --trials 24",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(runs.app)
app.add_typer(results.app)
app.add_typer(launch.app)
app.add_typer(dashboard.app)
app.add_typer(problems.app)
app.add_typer(points.app)


def main() -> None:
    """Run the command line; a user's mistake is printed as one line, with exit code 2."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        exit_code = get_command(app)(arguments, prog_name="simstead", standalone_mode=False)
        if exit_code == INTERRUPTED:  # Typer's exit code after Ctrl-C
            _print_error("interrupted")
        sys.exit(exit_code)
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        _print_error(format_message())
        sys.exit(USAGE_ERROR)
    except InterruptedRunError as error:
        _print_error(str(error))
        sys.exit(INTERRUPTED_RUN)
    except ClusterError as error:
        _print_error(str(error))
        sys.exit(CLUSTER_ERROR)
    except UserError as error:
        _print_error(str(error))
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        _print_error("interrupted")
        sys.exit(INTERRUPTED)


def _print_error(message: str) -> None:
    sys.stderr.write(f"simstead: {printable(' '.join(message.split()))}\n")
