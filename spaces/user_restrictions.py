"""Restrictions as users write them, in a YAML file or on the command line."""

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
    """Restrictions with the place where a user wrote them, for error messages."""

    source: str
    restrictions: Restrictions


class _Words(yaml.SafeLoader):
    """Reads every scalar as text; the space determines which of them are numbers.

    YAML itself reads 2:4 as 124 (sexagesimal), and 1e-3 as text.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """Return a mapping; refuse a name that occurs twice, of which PyYAML drops the first."""
        for name, times in Counter(str(key.value) for key, _ in node.value).items():
            if times > 1:
                raise UserError(f"{name} occurs {times} times in one mapping")
        return super().construct_mapping(node, deep)


def parse_restrictions(
    file: Path | None, only: Sequence[str], weights: Sequence[str]
) -> list[UserRestriction]:
    """Return the restrictions of a user; later ones override earlier ones.

    Args:
        file: YAML with `keep:` and `weights:`, the fields of `Restrictions`.
        only: Arguments "PARAMETER=OPTION,OPTION" or "PARAMETER=LOW..HIGH".
        weights: Arguments "DIMENSION.OPTION=WEIGHT".

    Raises:
        UserError: The file or an argument can't be read, or an option names a parameter twice.
    """
    user_restrictions: list[UserRestriction] = []
    if file is not None:
        with _with_source(str(file)):
            user_restrictions.append(UserRestriction(str(file), _restrictions_in(file)))
    for option, texts, parse in ((ONLY, only, _parse_only), (WEIGHT, weights, _parse_weight)):
        for text in texts:
            with _with_source(f"{option} {text}"):
                user_restrictions.append(UserRestriction(f"{option} {text}", parse(text)))
        names = Counter(text.partition("=")[0] for text in texts)
        for name, times in names.items():
            if times > 1:
                raise UserError(f"{option} names {name} {times} times; name it once")
    return user_restrictions


def read_candidates(file: Path) -> list[UserRestriction]:
    """Return the candidates that a user lists, each as restrictions that keep its values alone.

    Args:
        file: YAML, a list of mappings from parameters to values.

    Raises:
        UserError: The file can't be read or holds something else.
    """
    with _with_source(str(file)):
        content = _read_yaml(file)
        if not isinstance(content, list) or not all(isinstance(item, Mapping) for item in content):
            raise UserError("it holds no list of candidates; write - {PARAMETER: VALUE, ...}")
    user_restrictions: list[UserRestriction] = []
    for number, values in enumerate(cast("list[Mapping[str, object]]", content), start=1):
        source = f"{file}, candidate {number}"
        with _with_source(source):
            user_restrictions.append(UserRestriction(source, _validate({"keep": values})))
    return user_restrictions


def resolve_restrictions(
    problem: Problem, user_restrictions: Sequence[UserRestriction]
) -> Restrictions:
    """Return a user's restrictions of a problem's space as one, with the values of the space.

    Raises:
        UserError: Something is unknown or isn't available here, or nothing is left to deploy.
    """
    supported_encodings(problem)
    return resolve_restrictions_in(summarise_space(Space(problem)), user_restrictions)


def resolve_restrictions_in(
    whole: SpaceSummary, user_restrictions: Sequence[UserRestriction]
) -> Restrictions:
    """Return a user's restrictions of an unrestricted space as one, as `resolve_restrictions` does.

    Summarising a space takes a good part of a second, so a caller with many restrictions does it
    once.

    Args:
        whole: Summary of the unrestricted space.
        user_restrictions: What the user wrote, in order.

    Raises:
        UserError: Something is unknown or isn't available here, or nothing is left to deploy.
    """
    parameters = whole.parameters()
    restrictions = Restrictions()
    for source, further in user_restrictions:
        with _with_source(source):
            _check_available(whole.space.problem, further, parameters)
            restrictions = restrictions.merged(further.resolved(parameters))
    _check_not_empty(whole.space, restrictions)
    return restrictions.canonical(parameters)


def _restrictions_in(file: Path) -> Restrictions:
    content = _read_yaml(file)
    if not isinstance(content, Mapping):
        raise UserError("it is no mapping; write keep: and weights:, each followed by a mapping")
    for name in cast("Mapping[str, object]", content):
        if name not in Restrictions.model_fields:
            raise UnknownNameError("entry", name, Restrictions.model_fields)
    return _validate(content)


def _read_yaml(file: Path) -> object:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Words)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise UserError(f"it can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"it isn't UTF-8 text: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(str(error)) from None


def _parse_only(text: str) -> Restrictions:
    name, equals, kept = text.partition("=")
    if not equals:
        raise UserError("write PARAMETER=OPTION,OPTION or PARAMETER=LOW..HIGH")
    return _validate({"keep": {name.strip(): kept}})


def _parse_weight(text: str) -> Restrictions:
    name, equals, weight = text.rpartition("=")
    dimension, dot, option = name.partition(".")
    if not equals or not dot:
        raise UserError("write DIMENSION.OPTION=WEIGHT")
    return _validate({"weights": {dimension.strip(): {option.strip(): weight}}})


def _validate(fields: object) -> Restrictions:
    try:
        return Restrictions.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in {OPTIONS_TAG, RANGE_TAG})
        raise UserError(f"{where}{': ' if where else ''}{first['msg']}") from None


@contextmanager
def _with_source(source: str) -> Generator[None]:
    """Put the source in front of the message of a user's mistake."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _check_available(
    problem: Problem, restrictions: Restrictions, parameters: Mapping[str, Parameter]
) -> None:
    """Refuse an option that exists but isn't in this space, with the reason."""
    existing = {
        "encoding": problem.encodings,
        "architecture": ARCHITECTURES,
        "pruning": Pruning,
        "runtime": RUNTIMES,
        "precision": Precision,
    }
    for dimension in DIMENSIONS:
        kept = restrictions.keep.get(dimension, ())
        options = () if isinstance(kept, Range) else kept
        domain = cast("tuple[str, ...]", parameters[dimension].domain)
        for word in (*options, *restrictions.weights.get(dimension, ())):
            if word in set(existing[dimension]) - set(domain):
                reason = main_incompatibility(problem, Restrictions(keep={dimension: (word,)}))
                raise UserError(f"{dimension} {word} isn't available here: {reason}")


def _check_not_empty(whole: Space, restrictions: Restrictions) -> None:
    """Refuse restrictions that leave no combination; name the fewest dimensions that conflict."""
    kept = [dimension for dimension in DIMENSIONS if dimension in restrictions.keep]
    for number in range(2, len(kept) + 1):
        for dimensions in combinations(kept, number):
            part = Restrictions(keep={name: restrictions.keep[name] for name in dimensions})
            if not any(
                part.allows(combination) for combination in whole.combination_space.combinations
            ):
                raise UserError(
                    f"{' and '.join(part.kept_arguments)} leave nothing to deploy: "
                    f"{main_incompatibility(whole.problem, part)}"
                )
