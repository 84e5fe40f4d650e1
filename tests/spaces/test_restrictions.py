"""A space made narrower: what is kept, what it is asked with, and how mistakes are told."""

from pathlib import Path

import numpy as np
import pytest

from problems import Layout, Problem, Scalar, Size, UserError, load_problem
from problems.contract import RandomChoice
from problems.interfaces.types import Remembers, RollsForward
from spaces.candidate import Candidate
from spaces.combinations import DIMENSIONS
from spaces.registered import ARCHITECTURES
from spaces.restrictions import Range, RestrictedChoice, Restrictions
from spaces.settings_space import NumericDomain, Parameter
from spaces.space import Space, deployable_combinations
from spaces.space_summary import summarise_space
from spaces.user_restrictions import (
    parse_restrictions,
    resolve_restrictions,
    resolve_restrictions_in,
)

FILE = """
keep:
  architecture: [mlp, lstm]
  pruning: none
  precision: [int8, fp32]
  mlp.residual: [no, true]
  mlp.width: [128, 64]
  mlp.depth: {low: 2, high: 3}
  training.batch_size: [128]
  training.learning_rate: {low: 1e-3, high: 1.0e-2}
weights:
  runtime: {onnxruntime: 3, eager: 0.5}
"""


@pytest.fixture(scope="module")
def planets() -> Problem:
    return load_problem("planets", Size.TINY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(FILE.replace("no, true", "false, true"))
    return tmp_path / "small.yaml"


ASKED_OF_ALL = ("learning_rate", "batch_size", "weight_decay")
"""Of a training's settings those that a family which practises is asked for, too."""


ASKED_OF_SOLVED = ("augmented", "labelled", "labelled_paths")
"""Of a training's settings those that a family which is solved is asked for."""


def kept_of(parameter: Parameter) -> tuple[Scalar, ...] | Range:
    """Return less of a parameter: its last option, or the upper half of its interval."""
    if isinstance(parameter.domain, NumericDomain):
        middle = (parameter.domain.low + parameter.domain.high) / 2
        return Range(low=middle, high=parameter.domain.high)
    return parameter.domain[-1:]


def settings_of(candidate: Candidate) -> dict[str, Scalar]:
    of_teachers = ("labelled", "labelled_paths")
    training = candidate.training.model_dump()
    training |= {name: getattr(candidate.training, name) for name in of_teachers}
    family = ARCHITECTURES[candidate.architecture]
    if family.trains_policy:  # the rest is its library's, never asked
        training = {name: training[name] for name in ASKED_OF_ALL}
    elif family.solved:
        training = {name: training[name] for name in ASKED_OF_SOLVED}
    if not family.learns_from_teacher:
        training = {name: training[name] for name in training if name not in of_teachers}
    branches = {
        candidate.encoding: candidate.encoding_settings,
        candidate.architecture: candidate.architecture_settings,
        f"{candidate.architecture}.{candidate.pruning}": candidate.pruning_settings,
        "training": training,
    }
    return {
        f"{name}.{own}": value for name, part in branches.items() for own, value in part.items()
    }


def test_every_setting_can_be_restricted(problem: Problem) -> None:
    known = summarise_space(Space(problem)).parameters()
    wished = Restrictions(keep={name: kept_of(known[name]) for name in known if "." in name})
    restrictions = wished.resolved(known)
    space = Space(problem, restrictions)
    for seed in range(50):
        candidate = space.choose_candidate(Size.TINY, RandomChoice(np.random.default_rng(seed)), 0)
        asked = {name: each for name, each in settings_of(candidate).items() if name in known}
        encoding = problem.encodings[candidate.encoding]
        if not isinstance(encoding, RollsForward):  # the others keep the defaults of these
            asked.pop("training.unrolled", None)
            asked.pop("training.labelled_paths", None)
        if encoding.layout is not Layout.FLAT or isinstance(encoding, RollsForward | Remembers):
            asked.pop("training.labelled", None)
        assert asked
        for name, value in asked.items():
            kept = restrictions.keep.get(name, known[name].domain)
            if isinstance(kept, Range):
                assert kept.low <= float(value) <= kept.high
            else:
                assert isinstance(kept, tuple)
                assert value in kept


@pytest.mark.slow
def test_every_option_of_a_dimension_can_be_kept_alone(problem: Problem) -> None:
    whole = deployable_combinations(problem)
    unrestricted = summarise_space(Space(problem))
    for dimension in DIMENSIONS:
        for option in unrestricted.space.combination_space.options(dimension):
            restrictions = resolve_restrictions_in(
                unrestricted, parse_restrictions(None, [f"{dimension}={option}"], [])
            )
            left = Space(problem, restrictions).combination_space.combinations
            assert left == tuple(
                combination for combination in whole if getattr(combination, dimension) == option
            )


def test_an_integer_range_keeps_its_step() -> None:
    known = {"depth": Parameter("depth", NumericDomain(2, 14, 4))}
    kept = Restrictions(keep={"depth": Range(low=5, high=13)}).resolved(known)
    assert kept.keep["depth"] == Range(low=6, high=10)
    drawn = {
        RestrictedChoice(RandomChoice(np.random.default_rng(seed)), kept).integer(
            "depth", 2, 14, step=4
        )
        for seed in range(30)
    }
    assert drawn == {6, 10}


def test_one_number_of_an_interval_can_be_kept(planets: Problem) -> None:
    user_restrictions = parse_restrictions(
        None, ["training.learning_rate=1e-3", "mlp.depth=3,1"], []
    )
    restrictions = resolve_restrictions(planets, user_restrictions)
    assert restrictions.keep == {"training.learning_rate": (1e-3,), "mlp.depth": (1, 3)}
    assert summarise_space(Space(planets, restrictions)).space_size.real_dimensions == (0, 1)


def test_a_file_is_read_as_it_is_meant(planets: Problem, file: Path) -> None:
    restrictions = resolve_restrictions(planets, parse_restrictions(file, [], []))
    assert restrictions.keep == {
        "architecture": ("lstm", "mlp"),
        "pruning": ("none",),
        "precision": ("fp32", "int8"),
        "mlp.width": (64, 128),
        "mlp.depth": Range(low=2, high=3),
        "training.batch_size": (128,),
        "training.learning_rate": Range(low=1e-3, high=1e-2),
    }
    assert restrictions.weights == {"runtime": {"eager": 0.5, "onnxruntime": 3.0}}
    assert restrictions.weight("runtime", "openvino") == 1.0


def test_the_command_line_wins_over_the_file(planets: Problem, file: Path) -> None:
    only = ["architecture=lstm", "mlp.depth=1..2"]
    restrictions = resolve_restrictions(
        planets, parse_restrictions(file, only, ["runtime.eager=2"])
    )
    assert restrictions.keep["architecture"] == ("lstm",)
    assert restrictions.keep["mlp.depth"] == Range(low=1, high=2)
    assert restrictions.keep["mlp.width"] == (64, 128)
    assert restrictions.weights == {"runtime": {"eager": 2.0, "onnxruntime": 3.0}}


def test_it_can_be_typed_again_and_survives_json(planets: Problem, file: Path) -> None:
    restrictions = resolve_restrictions(
        planets, parse_restrictions(file, ["mlp.structured.criterion=magnitude"], [])
    )
    again = resolve_restrictions(
        planets,
        parse_restrictions(None, restrictions.kept_arguments, restrictions.weight_arguments),
    )
    assert again == restrictions
    assert Restrictions.model_validate_json(restrictions.model_dump_json()) == restrictions
    assert all(option in str(restrictions) for option in ("--only mlp.width=64,128", "--weight"))


def test_a_restriction_without_effect_is_left_out(problem: Problem) -> None:
    known = summarise_space(Space(problem)).parameters()
    everything = {
        name: Range(low=parameter.domain.low, high=parameter.domain.high)
        if isinstance(parameter.domain, NumericDomain)
        else tuple(reversed(parameter.domain))
        for name, parameter in known.items()
    }
    weights = {"encoding": dict.fromkeys(problem.encodings, 1.0)}
    whole = Restrictions(keep=everything, weights=weights).resolved(known)
    assert whole.canonical(known) == Restrictions()


def test_the_command_line_can_give_back_what_the_file_took(planets: Problem, file: Path) -> None:
    everything = ",".join(Space(planets).combination_space.options("architecture"))
    restrictions = resolve_restrictions(
        planets, parse_restrictions(file, [f"architecture={everything}"], ["runtime.eager=1"])
    )
    assert "architecture" not in restrictions.keep
    assert restrictions.weights == {"runtime": {"onnxruntime": 3.0}}


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("architecture", "--only architecture: write PARAMETER=OPTION"),
        ("architectur=mlp", "unknown parameter 'architectur'; did you mean 'architecture'"),
        ("zzzz=mlp", "unknown parameter 'zzzz'; `simstead space` lists"),
        ("architecture=mpl", "unknown option of architecture 'mpl'; did you mean 'mlp'"),
        ("architecture=deep_sets", "deep_sets isn't available here: no encoding has a suitable"),
        ("architecture=", "architecture keeps no option; it may be"),
        ("architecture=a..b", "architecture.low: Input should be a valid number"),
        ("mlp.width=65", "unknown option of mlp.width '65'; did you mean '64'"),
        ("mlp.width=64..128", "is one of 64, 128, 256: name the options to keep, not a range"),
        ("mlp.depth=0..2", "mlp.depth is in 1..4; 0..2 is not a range within it"),
        ("mlp.depth=3..2", "3..2 is not a range within it"),
        ("mlp.depth=2.2..2.8", "contains none of these numbers"),
        ("mlp.depth=1.5", "mlp.depth is an integer in 1..4, not 1.5"),
        ("training.learning_rate=fast", "is a number in 0.0003..0.01, log, not fast"),
        ("training.learning_rate=1e-3..1", "0.001..1 is not a range within it"),
        ("training.learning_rate=nan..nan", "nan..nan is not a range within it"),
        ("training.learning_rate=1e-3..", "learning_rate.high: Input should be a valid number"),
    ],
)
def test_a_mistake_in_what_is_kept_is_told(planets: Problem, only: str, words: str) -> None:
    with pytest.raises(UserError) as raised:
        resolve_restrictions(planets, parse_restrictions(None, [only], []))
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"--only {only}: ")


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("runtime=3", "write DIMENSION.OPTION=WEIGHT"),
        ("runtime.eager", "write DIMENSION.OPTION=WEIGHT"),
        ("runtime.eager=0", "weights.runtime.eager: Input should be greater than 0"),
        ("runtime.eager=-1", "greater than 0"),
        ("runtime.eager=inf", "finite number"),
        ("runtime.eager=much", "valid number"),
        ("runtime.egaer=1", "unknown option of runtime 'egaer'; did you mean 'eager'"),
        ("mlp.width=3", "unknown dimension to weigh 'mlp'; known: architecture"),
    ],
)
def test_a_mistake_in_a_weight_is_told(planets: Problem, weight: str, words: str) -> None:
    with pytest.raises(UserError) as raised:
        resolve_restrictions(planets, parse_restrictions(None, [], [weight]))
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"--weight {weight}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is no mapping; write keep: and weights:"),
        ("[mlp]", "it is no mapping"),
        ("keeps: {}", "unknown entry 'keeps'; did you mean 'keep'"),
        ("keep: mlp", "keep: Input should be a valid dictionary"),
        ("keep: {architecture: }", "architecture keeps no option"),
        ("keep: {runtime: [eager], runtime: [openvino]}", "runtime occurs 2 times"),
        ("keep: {mlp.depth: {lowest: 1, high: 2}}", "keep.mlp.depth.low: Field required"),
        ("keep: {mlp.widht: [64]}", "unknown parameter 'mlp.widht'; did you mean 'mlp.width'"),
        ("keep: {mlp.width: [[64]]}", "keep.mlp.width.0"),
        ("keep: {architecture: [mlp", "line 1: expected ',' or ']'"),
        ("weights: {runtime: 3}", "weights.runtime: Input should be a valid dictionary"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("keep: {}\n---\nkeep: {}", "found another document"),
        ("? [1, 2]\n: 3", "found unhashable key"),
    ],
)
def test_a_mistake_in_a_file_is_told(
    planets: Problem, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as raised:
        resolve_restrictions(planets, parse_restrictions(file, [], []))
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for path, words in (
        (tmp_path, "it can't be read"),
        (tmp_path / "none.yaml", "it can't be read"),
        (tmp_path / "binary.yaml", "it isn't UTF-8 text"),
    ):
        with pytest.raises(UserError, match=words):
            parse_restrictions(path, [], [])


@pytest.mark.parametrize(
    ("only", "words"),
    [
        (
            ["runtime=onnxruntime", "precision=bf16", "training.batch_size=128"],
            "runtime=onnxruntime and precision=bf16 leave nothing to deploy: its CPU kernels",
        ),
        (
            ["encoding=series", "architecture=mlp,conv1d"],
            "encoding=series and architecture=conv1d,mlp leave nothing to deploy: no encoding",
        ),
        (["runtime=eager", "runtime=openvino"], "--only names runtime 2 times"),
    ],
)
def test_what_leaves_nothing_is_told(planets: Problem, only: list[str], words: str) -> None:
    with pytest.raises(UserError) as raised:
        resolve_restrictions(planets, parse_restrictions(None, only, []))
    assert words in str(raised.value)
