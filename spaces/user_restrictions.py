"""Narrowings as users write them: a YAML file, options of the command line; a slip is one line."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from pydantic import ValidationError

from problems import Problem, UnknownNameError, UserError
from spaces.candidate import Precision, Pruning
from spaces.combinations import DIMENSIONS
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.restrictions import OPTIONS_TAG, RANGE_TAG, Range, Restrictions
from spaces.settings_space import Parameter
from spaces.space import Space, main_incompatibility, supported_encodings
from spaces.space_summary import SpaceSummary, summarise_space

ONLY, WEIGHT = "--only", "--weight"


class UserRestriction(NamedTuple):
    """A narrowing as it was written, and where it was, for what is said of it."""

    source: str
    restrictions: Restrictions


class _Words(yaml.SafeLoader):
    """Reads every value as the word that stands there; the space knows which are numbers.

    YAML itself takes 2:4 for 124 seconds, and 1e-3 for no number.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """Return a mapping; of a name that stands twice, YAML itself drops the first."""
        for name, times in Counter(str(key.value) for key, _ in node.value).items():
            if times > 1:
                raise UserError(f"{name} stands {times} times in one list of names")
        return super().construct_mapping(node, deep)


def parse_restrictions(
    file: Path | None, only: Sequence[str], weights: Sequence[str]
) -> list[UserRestriction]:
    """Return what a user asks for; a later wish wins over an earlier one.

    Args:
        file: YAML with `keep:` and `weights:`, as `Narrowing` has them.
        only: "PARAMETER=OPTION,OPTION" or "PARAMETER=LOW..HIGH".
        weights: "DIMENSION.OPTION=WEIGHT".

    Raises:
        UserError: The file or an option can't be read.
    """
    user_restrictions: list[UserRestriction] = []
    if file is not None:
        with _placed(str(file)):
            user_restrictions.append(UserRestriction(str(file), _from_yaml(file)))
    for option, texts, read in ((ONLY, only, _only), (WEIGHT, weights, _weight)):
        for text in texts:
            with _placed(f"{option} {text}"):
                user_restrictions.append(UserRestriction(f"{option} {text}", read(text)))
        names = Counter(text.partition("=")[0] for text in texts)
        for name, times in names.items():
            if times > 1:
                raise UserError(f"{option} names {name} {times} times; name it once")
    return user_restrictions


def read_candidates(file: Path) -> list[UserRestriction]:
    """Return the candidates that a user lists, each as what is kept for it.

    Args:
        file: YAML, a list of mappings from parameters to values.

    Raises:
        UserError: The file can't be read.
    """
    with _placed(str(file)):
        found = _read_yaml(file)
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            raise UserError("it holds no list of candidates; write - {PARAMETER: VALUE, ...}")
    user_restrictions: list[UserRestriction] = []
    for number, each in enumerate(cast("list[Mapping[str, object]]", found), start=1):
        source = f"{file}, candidate {number}"
        with _placed(source):
            user_restrictions.append(UserRestriction(source, _validated({"keep": each})))
    return user_restrictions


def resolve_restrictions(
    problem: Problem, user_restrictions: Sequence[UserRestriction]
) -> Restrictions:
    """Return what is wished of a problem's space, in the space's own values.

    Raises:
        UserError: Something is unknown or not to be had here, or nothing is left to deploy.
    """
    supported_encodings(problem)
    return resolve_restrictions_in(summarise_space(Space(problem)), user_restrictions)


def resolve_restrictions_in(
    whole: SpaceSummary, user_restrictions: Sequence[UserRestriction]
) -> Restrictions:
    """Return what is wished of a whole space, in its own values, as `narrowed` does.

    Exploring a space takes a good part of a second: who asks often does it once.
    """
    parameters = whole.parameters()
    restrictions = Restrictions()
    for source, wish in user_restrictions:
        with _placed(source):
            _refuse_absent(whole.space.problem, wish, parameters)
            restrictions = restrictions.merged(wish.resolved(parameters))
    _refuse_nothing_left(whole.space, restrictions)
    return restrictions.canonical(parameters)


def _from_yaml(file: Path) -> Restrictions:
    found = _read_yaml(file)
    if not isinstance(found, Mapping):
        raise UserError("it holds no names; write keep: and weights:, and under them what each is")
    for name in cast("Mapping[str, object]", found):
        if name not in Restrictions.model_fields:
            raise UnknownNameError("entry", name, Restrictions.model_fields)
    return _validated(found)


def _read_yaml(file: Path) -> object:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Words)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise UserError(f"it can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"it is no text: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(str(error)) from None


def _only(text: str) -> Restrictions:
    name, equals, kept = text.partition("=")
    if not equals:
        raise UserError("write PARAMETER=OPTION,OPTION or PARAMETER=LOW..HIGH")
    return _validated({"keep": {name.strip(): kept}})


def _weight(text: str) -> Restrictions:
    name, equals, weight = text.rpartition("=")
    dimension, dot, option = name.partition(".")
    if not equals or not dot:
        raise UserError("write DIMENSION.OPTION=WEIGHT")
    return _validated({"weights": {dimension.strip(): {option.strip(): weight}}})


def _validated(found: object) -> Restrictions:
    try:
        return Restrictions.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in {OPTIONS_TAG, RANGE_TAG})
        raise UserError(f"{where}{': ' if where else ''}{first['msg']}") from None


@contextmanager
def _placed(source: str) -> Generator[None]:
    """Say of a user's mistake where it stands."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _refuse_absent(
    problem: Problem, wish: Restrictions, parameters: Mapping[str, Parameter]
) -> None:
    """Say of what exists, but is not in the space, why not."""
    there = {
        "encoding": problem.encodings,
        "architecture": ARCHITECTURES,
        "pruning": Pruning,
        "runtime": RUNTIMES,
        "precision": Precision,
    }
    for dimension in DIMENSIONS:
        kept = wish.keep.get(dimension, ())
        domain = cast("tuple[str, ...]", parameters[dimension].domain)
        for word in (*(() if isinstance(kept, Range) else kept), *wish.weights.get(dimension, ())):
            if word in set(there[dimension]) - set(domain):
                reason = main_incompatibility(problem, Restrictions(keep={dimension: (word,)}))
                raise UserError(f"{dimension} {word} is not to be had here: {reason}")


def _refuse_nothing_left(whole: Space, restrictions: Restrictions) -> None:
    """Name the fewest dimensions whose options can't be had together."""
    kept = [dimension for dimension in DIMENSIONS if dimension in restrictions.keep]
    for number in range(2, len(kept) + 1):
        for dimensions in combinations(kept, number):
            part = Restrictions(keep={name: restrictions.keep[name] for name in dimensions})
            if not any(
                part.allows(combination) for combination in whole.combination_space.combinations
            ):
                raise UserError(
                    f"{' and '.join(part.kept)} leave nothing to deploy: "
                    f"{main_incompatibility(whole.problem, part)}"
                )
