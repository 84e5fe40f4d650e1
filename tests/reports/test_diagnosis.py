import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from problems import Layout, Samples, Target, UserError
from problems.data.dataset import generate
from problems.diagnosis import (
    CorrelatedPair,
    Correlations,
    DataSufficiency,
    Diagnosis,
    NoiseAnalysis,
    Symmetries,
    SymmetryKind,
    SymmetryResult,
    diagnose,
)
from problems.diagnosis.learning_curve import break_even
from problems.interfaces.problem import Profile
from problems.template.problem import problem
from reports.diagnosis import (
    counted,
    format_duration,
    format_number,
    format_percent,
    render_diagnosis,
    times,
    write_diagnosis,
)

PAYLOAD = "</script><img src=x onerror=alert(1)>"
PROFILE = Profile({"kernel": 4.0, "rest": 1.0}, "kernel")
FAMILIES: Mapping[tuple[Layout, Target], Sequence[str]] = {
    (Layout.FLAT, Target.VALUE): ["mlp", "kan"]
}
NOTHING = Diagnosis(
    problem="nothing",
    samples=(),
    host=None,
    relation=NoiseAnalysis(0, 0, 1.0, 1.0, None, (), (), None, 0, ""),
    correlations=Correlations(0, (), (), (), (), (), (), (), (), 0),
    enough=DataSufficiency(None, None, ""),
    symmetries=Symmetries((), 1e-6, ""),
    suggestions=(),
    remarks=(),
)
QUESTIONS = (
    "In short",
    "Where does the host's time go?",
    "Is there a relation?",
    "What goes with what?",
    "Are there enough samples?",
    "Which symmetries hold?",
    "How it was found",
)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    small = replace(problem, samples=Samples(64, 16, 16, 16), profile=PROFILE)
    return diagnose(small, generate(small, tmp_path_factory.mktemp("cache")))


def finding(*, holds: bool | None, **changes: Any) -> SymmetryResult:
    found = SymmetryResult(
        name="permutation along atom",
        kind=SymmetryKind.PERMUTATION,
        axis="atom",
        holds=holds,
        discrepancy=None if holds is None else 3e-16 if holds else 0.25,
        field="" if holds is None else "energy",
        samples=0 if holds is None else 8,
        failed=0,
        invalid=(),
        reason="it leaves every input as it was" if holds is None else "",
        advice="what to do",
    )
    return replace(found, **changes)


def infected(value: Any) -> Any:
    """Return facts with the payload for every string."""
    if type(value) is str:
        return PAYLOAD
    if isinstance(value, tuple):
        return tuple(infected(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {each.name: infected(getattr(value, each.name)) for each in fields(value)}
        return replace(value, **changes)
    return value


def scripts(page: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def drawn(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" data-element="(.+?)">(.+?)</script>', page)
    return {element: json.loads(text) for element, text in found}


def test_the_questions_come_in_order(facts: Diagnosis, tmp_path: Path) -> None:
    path = write_diagnosis(facts, FAMILIES, tmp_path / "page.html")
    page = path.read_text()
    assert tuple(re.findall(r"<h2 id=\"\w+\">(.+?)</h2>", page)) == QUESTIONS
    assert page.startswith("<!DOCTYPE html>")
    assert "mlp, kan" in page
    assert "none yet" in page
    assert page.count("<li>") == len(facts.remarks)
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_every_figure_is_drawn_named_and_told_in_a_table(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    figures = drawn(page)
    assert set(figures) == {"parts", "bound", "floors", "correlations", "curve"}
    for element, figure in figures.items():
        assert figure["data"]
        assert re.search(rf'id="{element}" role="img" aria-label="\w', page)
    assert '<td>kernel</td><td class="number">80 %</td>' in page
    assert '<td class="number">infinite</td><td class="number">5x</td>' in page
    for pair in facts.correlations.strongest:
        assert f'<td class="number">{pair.value:+.2f}</td>' in page
    curve = facts.enough.curve
    assert curve is not None
    assert page.count("extrapolated</td>") == 2
    assert f"<b>{format_percent(curve.gain)}</b>" in page
    assert all(floor.field in page for floor in facts.relation.fields)


def test_a_measured_host_tells_its_seconds(facts: Diagnosis) -> None:
    assert facts.host is not None
    assert "nothing was timed here" in render_diagnosis(facts, {})
    measured = replace(facts.host, measured=True, total_s=2.0, kernel_s=0.5, calls=1)
    page = render_diagnosis(replace(facts, host=measured), {})
    assert "one run of 2 s, 500 ms were spent inside the kernel, in 1 call." in page
    free = replace(measured, fraction=1.0, bounds=((2.0, 2.0), (math.inf, math.inf)))
    assert "infinite</td></tr>" in render_diagnosis(replace(facts, host=free), {})


def test_what_is_missing_is_said() -> None:
    page = render_diagnosis(NOTHING, {})
    assert tuple(re.findall(r"<h2 id=\"\w+\">(.+?)</h2>", page)) == QUESTIONS
    assert not drawn(page)
    for words in (
        "no samples",
        "Nothing could be concluded",
        "The facts suggest none",
        "<code>host=</code>",
        "profile=Profile",
        "is <b>unknown</b>",
        "can't be estimated",
        "fewer than two samples",
        "No learning curve.",
        "what one sample costs is not known",
        "None was tried.",
    ):
        assert words in page


def test_reasons_stand_where_facts_are_missing() -> None:
    told = replace(
        NOTHING,
        relation=replace(NOTHING.relation, reason="first reason", constant=("still",)),
        correlations=replace(NOTHING.correlations, samples=9, constant_inputs=("fixed",)),
        enough=DataSufficiency(None, break_even(10, 100.0), "second reason"),
        symmetries=Symmetries((), 1e-6, "third reason"),
    )
    page = render_diagnosis(told, {})
    for words in ("first reason", "still", "no input changes", "fixed", "second", "third"):
        assert words in page
    assert "10 samples at 1.67 min each cost 16.7 min" in page


def test_symmetries_are_told_with_their_verdicts() -> None:
    findings = (
        finding(holds=True),
        finding(holds=False, failed=1, invalid=("charge",)),
        finding(holds=None),
        finding(holds=None, discrepancy=0.5, samples=2),
    )
    told = replace(NOTHING, symmetries=Symmetries(findings, 1e-6, ""))
    page = render_diagnosis(told, {})
    verdicts = re.findall(r'<td class="verdict"><span .+?</span> (.+?)</td>', page)
    assert verdicts == ["holds", "broken", "could not be tried", "undecided"]
    assert "3e-16" in page
    assert "At most 1e-06 counts as rounding" in page
    assert "1 sample on which one side failed left out" in page
    assert "valid range: charge" in page
    noisy = replace(told, relation=replace(told.relation, deterministic=False, repeats=4))
    page = render_diagnosis(noisy, {})
    assert "stochastic" in page
    assert "counts as rounding" not in page


def test_only_strong_links_among_inputs_are_told() -> None:
    pairs = (CorrelatedPair("one", "other", -0.97), CorrelatedPair("weak", "weaker", 0.2))
    found = replace(NOTHING.correlations, inputs=("one", "other"), strongest_inputs=pairs)
    page = render_diagnosis(replace(NOTHING, correlations=found), {})
    assert "-0.97" in page
    assert "weaker" not in page
    alone = replace(found, strongest_inputs=pairs[1:])
    assert "No two inputs go with each other" in render_diagnosis(
        replace(NOTHING, correlations=alone), {}
    )


@pytest.mark.parametrize("deterministic", [True, False, None])
def test_no_string_is_markup(facts: Diagnosis, *, deterministic: bool | None) -> None:
    whole = replace(
        facts,
        relation=replace(facts.relation, deterministic=deterministic, constant=("still",)),
        correlations=replace(
            facts.correlations, constant_inputs=("fixed",), constant_outputs=("still",)
        ),
        symmetries=Symmetries((finding(holds=False, invalid=("x",)), finding(holds=None)), 1.0, ""),
    )
    page = render_diagnosis(infected(whole), {key: [PAYLOAD] for key in FAMILIES})
    assert PAYLOAD not in page
    assert "<img" not in without_scripts(page)
    assert page.count("&lt;/script&gt;&lt;img") > 20
    figures = drawn(page)
    assert len(figures) == 5
    for figure in figures.values():
        # Plotly reads some markup in any text: none of ours may be left.
        assert "<img" not in json.dumps(figure)
    missing = render_diagnosis(
        infected(replace(NOTHING, enough=DataSufficiency(None, None, "x"))), {}
    )
    assert "<img" not in without_scripts(missing)


def test_names_that_look_alike_keep_their_places(facts: Diagnosis) -> None:
    places = drawn(render_diagnosis(infected(facts), {}))["correlations"]
    count = len(facts.correlations.inputs)
    assert len(places["layout"]["yaxis"]["ticktext"]) == count
    assert len(places["data"][0]["z"]) == count


def test_the_page_asks_nothing_of_a_network(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:)?//""", without_scripts(page))
    assert "http" not in without_scripts(page).replace('http-equiv="Content-Security-Policy"', "")
    assert "default-src 'none'" in page
    assert "connect-src" not in page


def test_the_policy_admits_our_scripts_alone(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    policy = re.search(r'http-equiv="Content-Security-Policy" content=".*?script-src(.+?);', page)
    assert policy
    assert "unsafe" not in page[: page.index("<style>")]
    admitted = re.findall(r"'(sha256-.+?)'", policy[1])
    hashes = [
        f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
        for script in scripts(page)
    ]
    assert admitted == hashes
    assert len(hashes) == 2
    assert "script-src 'unsafe" not in policy[1]


@pytest.mark.parametrize("place", ["", "missing/page.html"])
def test_a_page_that_cannot_be_written_names_the_remedy(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    with pytest.raises(UserError, match="--output") as caught:
        write_diagnosis(NOTHING, {}, path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (0.0, "0"),
        (0.012345, "0.0123"),
        (999.6, "1,000"),
        (123456.0, "123,000"),
        (3.2e9, "3.2e+09"),
        (1.234e-9, "1.23e-09"),
    ],
)
def test_numbers_have_three_figures(value: float | None, words: str) -> None:
    assert format_number(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "-"),
        (0.0, "0 %"),
        (1e-9, "< 0.001 %"),
        (0.12345, "12.3 %"),
        (0.99999, "> 99.9 %"),
        (1.0, "100 %"),
        (20.0, "2,000 %"),
    ],
)
def test_shares_are_per_cent(share: float | None, words: str) -> None:
    assert format_percent(share) == words


def test_times_and_counts_have_their_units() -> None:
    assert [format_duration(each) for each in (3e-6, 0.02, 5.0, 90.0, 7200.0, 864000.0)] == [
        "3 µs",
        "20 ms",
        "5 s",
        "1.5 min",
        "2 h",
        "10 d",
    ]
    assert [times(each) for each in (1.0, 1234.0, math.inf)] == ["1x", "1,230x", "infinite"]
    assert [counted(each, "sample") for each in (0, 1, 2000)] == [
        "0 samples",
        "1 sample",
        "2,000 samples",
    ]
