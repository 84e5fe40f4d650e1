"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from problems import Problem, Size, UnknownNameError
from problems.errors import printable
from problems.sources import ProblemSource
from search.run.spec import (
    DEFAULT_DEPLOYMENTS,
    DEFAULT_RETRAININGS,
    ExtraObjective,
    SamplerName,
    Transport,
)


class PrintableConsole(Console):
    """A console on which the texts of users' files and code move no cursor and change no colour."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; texts are made printable.

        Args:
            *objects: Texts, or what Rich renders.
            **options: Of Rich.
        """
        super().print(*(printable(o) if isinstance(o, str) else o for o in objects), **options)


console = PrintableConsole(highlight=False, markup=False, emoji=False)

ProblemName = Annotated[
    str,
    typer.Argument(
        help="A registered name (see `simstead problems`), FILE.py, FILE.py:ATTRIBUTE or "
        "MODULE:ATTRIBUTE."
    ),
]
Trials = Annotated[
    int, typer.Option(help="Number of networks to try; further deployments aren't counted.")
]
Deployments = Annotated[
    int | None,
    typer.Option(
        help="Deployments (pruning, precision, runtime) of each trained network; networks on the "
        "front are deployed more often, unless this is 1. By default "
        f"{DEFAULT_DEPLOYMENTS}, or as before."
    ),
]
Retrain = Annotated[
    int | None,
    typer.Option(
        help="Retrainings of each recommended network with other seeds. By default "
        f"{DEFAULT_RETRAININGS}, or as before."
    ),
]
Simulations = Annotated[
    int | None,
    typer.Option(
        help="Further simulations for the training split, where an emulator knows least. Their "
        "inputs are drawn at random where a replay finds that choosing them doesn't pay.",
    ),
]
ReferenceHours = Annotated[
    float | None,
    typer.Option(
        help="The same budget as hours of the reference, one call after the other. With "
        "--simulations, whichever is less.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Simultaneous trials, each with one core for every thread of the problem's "
        "deployment. By default all cores are used."
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Local time, HH:MM or ISO 8601, before which the search ends by itself, as after "
        "Ctrl-C, so that it can be resumed.",
    ),
]
Hours = Annotated[
    float | None, typer.Option(help="The same as hours from now. With --until, whichever is first.")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        help="Ray cluster to join, such as one that a batch job has started on its nodes; auto is "
        "the one that was started on this machine. By default Ray is started on this machine.",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        metavar="NODE|TEXT",
        help="Kind of machine that times, where a cluster has several: a node's address or name, "
        "or a part of the kind such as 'EPYC 9654'. By default that of this machine or, if it "
        "offers no cores, that of the first node.",
    ),
]
TransportOption = Annotated[
    Transport | None,
    typer.Option(
        "--transport",
        help="How files reach the nodes of a cluster, and come back: all see the folders of run, "
        "cache and problem (shared), or to those that don't they are sent by Ray (ray). By default "
        "shared, or as before.",
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]


def parse_sampler(name: str) -> SamplerName:
    """Return the sampler of a name.

    Raises:
        UnknownNameError: There is no such sampler.
    """
    if name not in list(SamplerName):
        raise UnknownNameError("sampler", name, list(SamplerName))
    return SamplerName(name)


Objectives = Annotated[
    list[ExtraObjective] | None,
    typer.Option(
        "--objective",
        help="Extra objective to minimise, beside error and time. Measuring memory takes some "
        "seconds per trial.",
    ),
]
SamplerOption = Annotated[
    SamplerName | None,
    typer.Option(
        "--sampler",
        parser=parse_sampler,
        metavar="|".join(SamplerName),
        help="Sampler after the initial design. auto alternates additive and tpe up to 1,000 "
        "trials and then uses nsga2. gp is for small spaces.",
    ),
]


def parse_size(name: str) -> Size:
    """Return the size of a name.

    Raises:
        UnknownNameError: There is no such size.
    """
    if name not in list(Size):
        raise UnknownNameError("size", name, list(Size))
    return Size(name)


SizeOption = Annotated[
    Size | None,
    typer.Option(
        parser=parse_size,
        metavar="tiny|standard|full",
        help="Size of the case study, for problems with several sizes.",
    ),
]


SpaceFile = Annotated[
    Path | None,
    typer.Option(
        "--space",
        metavar="FILE.yaml",
        help="Restrictions of the space (keep:) and weights of options (weights:).",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PARAMETER=OPTIONS",
        help="Keep only these options (A,B) or this range (LOW..HIGH) of a parameter listed by "
        "`simstead space`. May be repeated for other parameters; overrides the file.",
    ),
]
First = Annotated[
    Path | None,
    typer.Option(
        "--first",
        metavar="FILE.yaml",
        help="Candidates to try before all others: a list of {PARAMETER: VALUE}. Missing "
        "parameters are sampled.",
    ),
]
WarmStart = Annotated[
    list[Path] | None,
    typer.Option(
        "--warm-start",
        metavar="RUN",
        help="Earlier run, of the same or a related problem, whose networks on the front are tried "
        "first. May be repeated.",
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weight",
        metavar="DIMENSION.OPTION=WEIGHT",
        help="Weight of an option in the initial design; others have weight 1. May be repeated; "
        "overrides the file.",
    ),
]


def load_complete_problem(
    source: ProblemSource, size: Size | None, default: Size = Size.STANDARD
) -> Problem:
    """Return a problem whose declarations have been checked.

    Args:
        source: Source of the problem.
        size: The requested size, if any.
        default: Size where none is requested.
    """
    from problems.contract import check_declarations  # noqa: PLC0415 - its checks import much

    problem = source.load(size, default)
    check_declarations(problem)
    return problem
