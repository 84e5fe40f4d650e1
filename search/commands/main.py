"""The command line: `simstead --help`."""

import sys

import typer
from typer.main import get_command

from problems import InterruptedRunError, UserError
from search.commands import problems, runs

MISTAKE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="simstead",
    help="Find the neural network that can run in your simulation's stead.",
    epilog="Example:  simstead search planets --trials 24",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(runs.app)
app.add_typer(problems.app)


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        ended = get_command(app)(arguments, prog_name="simstead", standalone_mode=False)
        if ended == INTERRUPTED:  # Typer's answer to Ctrl-C
            _mistake("interrupted")
        sys.exit(ended)
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        sys.exit(_mistake(format_message()))
    except InterruptedRunError as error:
        _mistake(str(error))
        sys.exit(INTERRUPTED)
    except UserError as error:
        sys.exit(_mistake(str(error)))
    except KeyboardInterrupt:
        _mistake("interrupted")
        sys.exit(INTERRUPTED)


def _mistake(words: str) -> int:
    sys.stderr.write(f"simstead: {' '.join(words.split())}\n")
    return MISTAKE
