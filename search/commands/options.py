"""Arguments, options and words that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from problems import Problem, Size, UnknownNameError
from problems.sources import ProblemSource
from search.run.spec import DEFAULT_DEPLOYMENTS, DEFAULT_RETRAININGS, ExtraObjective, SamplerName

console = Console(highlight=False, markup=False, emoji=False)

ProblemName = Annotated[
    str,
    typer.Argument(
        help="A registered name (`simstead problems` lists them), FILE.py, FILE.py:ATTRIBUTE or "
        "MODULE:ATTRIBUTE."
    ),
]
Trials = Annotated[
    int, typer.Option(help="Networks to try in all; their further deployments aren't counted.")
]
Deployments = Annotated[
    int | None,
    typer.Option(
        help="Ways (pruning, precision, runtime) in which a trained network is deployed, one on "
        f"the front in more; {DEFAULT_DEPLOYMENTS}, or as before, if not given; with 1 none is again."
    ),
]
Retrain = Annotated[
    int | None,
    typer.Option(
        help="How often the recommended networks are trained again with other seeds; "
        f"{DEFAULT_RETRAININGS}, or as before, if not given."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Trials at a time, each with a core for every thread of the problem's deployment; as "
        "many as there are cores for if not given."
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]


def parse_sampler(name: str) -> SamplerName:
    """Return a sampler by its name.

    Raises:
        UnknownNameError: There is none of this name.
    """
    if name not in list(SamplerName):
        raise UnknownNameError("sampler", name, list(SamplerName))
    return SamplerName(name)


Objectives = Annotated[
    list[ExtraObjective] | None,
    typer.Option(
        "--objective",
        help="Make this small, too, besides error and time: memory takes seconds more a trial.",
    ),
]
SamplerOption = Annotated[
    SamplerName | None,
    typer.Option(
        "--sampler",
        parser=parse_sampler,
        metavar="|".join(SamplerName),
        help="Who asks after the opening; auto is additive and tpe in turn up to 1,000 trials, "
        "then nsga2, which inherits whole branches. gp is for small spaces.",
    ),
]


def parse_size(name: str) -> Size:
    """Return a size by its name.

    Raises:
        UnknownNameError: There is none of this name.
    """
    if name not in list(Size):
        raise UnknownNameError("size", name, list(Size))
    return Size(name)


SizeOption = Annotated[
    Size | None,
    typer.Option(
        parser=parse_size,
        metavar="tiny|standard|full",
        help="Extent of the case study, of a problem that has several.",
    ),
]


SpaceFile = Annotated[
    Path | None,
    typer.Option(
        "--space",
        metavar="FILE.yaml",
        help="What is kept of the space (keep:) and how much options weigh (weights:).",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PARAMETER=OPTIONS",
        help="Keep these options (A,B) or this range (LOW..HIGH) of a parameter that "
        "`simstead space` lists; may be given again for another, and wins over the file.",
    ),
]
First = Annotated[
    Path | None,
    typer.Option(
        "--first",
        metavar="FILE.yaml",
        help="Candidates to try before all others, a list of {PARAMETER: VALUE}; what they leave "
        "open is drawn.",
    ),
]
WarmStart = Annotated[
    list[Path] | None,
    typer.Option(
        "--warm-start",
        metavar="RUN",
        help="Try the networks on an earlier run's front first, of the same or a related problem; "
        "may be given again.",
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weight",
        metavar="DIMENSION.OPTION=WEIGHT",
        help="Deal an option so many times as often as others (1) among the first candidates; may "
        "be given again, and wins over the file.",
    ),
]


def load_complete_problem(
    source: ProblemSource, size: Size | None, default: Size = Size.STANDARD
) -> Problem:
    """Return a problem, once what it says of itself is complete; see `Source.load`."""
    from problems.contract import check_declarations  # noqa: PLC0415 - its laws import much

    problem = source.load(size, default)
    check_declarations(problem)
    return problem
