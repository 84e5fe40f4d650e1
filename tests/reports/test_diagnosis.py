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
from reports.diagnosis import render_diagnosis, write_diagnosis
from reports.formatting import (
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_speedup,
)

PAYLOAD = "</script><img src=x onerror=alert(1)>"
PROFILE = Profile({"kernel": 4.0, "rest": 1.0}, "kernel")
FAMILIES: Mapping[tuple[Layout, Target], Sequence[str]] = {
    (Layout.FLAT, Target.VALUE): ["mlp", "kan"]
}
EMPTY = Diagnosis(
    problem="empty",
    samples=(),
    host=None,
    relation=NoiseAnalysis(0, 0, 1.0, 1.0, None, (), (), None, 0, ""),
    correlations=Correlations(0, (), (), (), (), (), (), (), (), 0),
    enough=DataSufficiency(None, None, ""),
    symmetries=Symmetries((), 1e-6, ""),
    suggestions=(),
    remarks=(),
)
HEADINGS = (
    "Summary",
    "Host",
    "Noise",
    "Correlations",
    "Number of samples",
    "Symmetries",
    "Method",
)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    small_problem = replace(problem, samples=Samples(64, 16, 16, 16), profile=PROFILE)
    return diagnose(small_problem, generate(small_problem, tmp_path_factory.mktemp("cache")))


def finding(*, holds: bool | None, **changes: Any) -> SymmetryResult:
    result = SymmetryResult(
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
    return replace(result, **changes)


def inject(value: Any) -> Any:
    """Return a value with the payload in place of every string."""
    if type(value) is str:
        return PAYLOAD
    if isinstance(value, tuple):
        return tuple(inject(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: inject(getattr(value, field.name)) for field in fields(value)}
        return replace(value, **changes)
    return value


def scripts(page: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def figures_in(page: str) -> dict[str, Any]:
    figures = re.findall(
        r'<script type="application/json" data-element="(.+?)">(.+?)</script>', page
    )
    return {element: json.loads(text) for element, text in figures}


def test_the_sections_are_in_order(facts: Diagnosis, tmp_path: Path) -> None:
    path = write_diagnosis(facts, FAMILIES, tmp_path / "page.html")
    page = path.read_text()
    assert tuple(re.findall(r"<h2 id=\"\w+\">(.+?)</h2>", page)) == HEADINGS
    assert page.startswith("<!DOCTYPE html>")
    assert "mlp, kan" in page
    assert "none yet" in page
    assert page.count("<li>") == len(facts.remarks)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_every_figure_has_a_title_and_a_table(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    figures = figures_in(page)
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


def test_a_measured_host_is_shown_with_times(facts: Diagnosis) -> None:
    assert facts.host is not None
    assert "nothing was timed here" in render_diagnosis(facts, {})
    measured = replace(facts.host, measured=True, total_s=2.0, kernel_s=0.5, calls=1)
    page = render_diagnosis(replace(facts, host=measured), {})
    assert "one run of 2 s, 500 ms were spent inside the kernel, in 1 call." in page
    free = replace(measured, fraction=1.0, bounds=((2.0, 2.0), (math.inf, math.inf)))
    assert "infinite</td></tr>" in render_diagnosis(replace(facts, host=free), {})


def test_missing_results_are_named() -> None:
    page = render_diagnosis(EMPTY, {})
    assert tuple(re.findall(r"<h2 id=\"\w+\">(.+?)</h2>", page)) == HEADINGS
    assert not figures_in(page)
    for text in (
        "no samples",
        "There are no conclusions",
        "No encoding is suggested",
        "<code>host=</code>",
        "profile=Profile",
        "is <b>unknown</b>",
        "can't be estimated",
        "fewer than two samples",
        "No learning curve.",
        "the cost of a sample is unknown",
        "No symmetry was tested.",
    ):
        assert text in page


def test_reasons_of_missing_results_are_shown() -> None:
    diagnosis = replace(
        EMPTY,
        relation=replace(EMPTY.relation, reason="first reason", constant=("still",)),
        correlations=replace(EMPTY.correlations, samples=9, constant_inputs=("fixed",)),
        enough=DataSufficiency(None, break_even(10, 100.0), "second reason"),
        symmetries=Symmetries((), 1e-6, "third reason"),
    )
    page = render_diagnosis(diagnosis, {})
    for text in ("first reason", "still", "no input varies", "fixed", "second", "third"):
        assert text in page
    assert "10 samples at 1.67 min each cost 16.7 min" in page


def test_symmetries_are_shown_with_verdicts() -> None:
    findings = (
        finding(holds=True),
        finding(holds=False, failed=1, invalid=("charge",)),
        finding(holds=None),
        finding(holds=None, discrepancy=0.5, samples=2),
    )
    diagnosis = replace(EMPTY, symmetries=Symmetries(findings, 1e-6, ""))
    page = render_diagnosis(diagnosis, {})
    verdicts = re.findall(r'<td class="verdict"><span .+?</span> (.+?)</td>', page)
    assert verdicts == ["holds", "broken", "not testable", "undecided"]
    assert "3e-16" in page
    assert "at most 1e-06 counts as rounding" in page
    assert "1 failed sample left out" in page
    assert "valid range: charge" in page
    noisy = replace(diagnosis, relation=replace(diagnosis.relation, deterministic=False, repeats=4))
    page = render_diagnosis(noisy, {})
    assert "stochastic" in page
    assert "counts as rounding" not in page


def test_only_strong_correlations_among_inputs_are_shown() -> None:
    pairs = (CorrelatedPair("one", "other", -0.97), CorrelatedPair("weak", "weaker", 0.2))
    correlations = replace(EMPTY.correlations, inputs=("one", "other"), strongest_inputs=pairs)
    page = render_diagnosis(replace(EMPTY, correlations=correlations), {})
    assert "-0.97" in page
    assert "weaker" not in page
    weak = replace(correlations, strongest_inputs=pairs[1:])
    assert "No two inputs are correlated" in render_diagnosis(replace(EMPTY, correlations=weak), {})


@pytest.mark.parametrize("deterministic", [True, False, None])
def test_strings_are_escaped(facts: Diagnosis, *, deterministic: bool | None) -> None:
    complete = replace(
        facts,
        relation=replace(facts.relation, deterministic=deterministic, constant=("still",)),
        correlations=replace(
            facts.correlations, constant_inputs=("fixed",), constant_outputs=("still",)
        ),
        symmetries=Symmetries((finding(holds=False, invalid=("x",)), finding(holds=None)), 1.0, ""),
    )
    page = render_diagnosis(inject(complete), {key: [PAYLOAD] for key in FAMILIES})
    assert PAYLOAD not in page
    assert "<img" not in without_scripts(page)
    assert page.count("&lt;/script&gt;&lt;img") > 20
    figures = figures_in(page)
    assert len(figures) == 5
    for figure in figures.values():
        # Plotly interprets some markup in any text, so none may be left.
        assert "<img" not in json.dumps(figure)
    missing = render_diagnosis(inject(replace(EMPTY, enough=DataSufficiency(None, None, "x"))), {})
    assert "<img" not in without_scripts(missing)


def test_equal_names_have_places_of_their_own(facts: Diagnosis) -> None:
    figure = figures_in(render_diagnosis(inject(facts), {}))["correlations"]
    count = len(facts.correlations.inputs)
    assert len(figure["layout"]["yaxis"]["ticktext"]) == count
    assert len(figure["data"][0]["z"]) == count


def test_the_page_makes_no_requests(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:)?//""", without_scripts(page))
    assert "http" not in without_scripts(page).replace('http-equiv="Content-Security-Policy"', "")
    assert "default-src 'none'" in page
    assert "connect-src" not in page


def test_the_policy_admits_only_the_scripts_of_the_page(facts: Diagnosis) -> None:
    page = render_diagnosis(facts, FAMILIES)
    policy = re.search(r'http-equiv="Content-Security-Policy" content=".*?script-src(.+?);', page)
    assert policy
    assert "unsafe" not in page[: page.index("<style>")]
    allowed = re.findall(r"'(sha256-.+?)'", policy[1])
    hashes = [
        f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
        for script in scripts(page)
    ]
    assert allowed == hashes
    assert len(hashes) == 2
    assert "script-src 'unsafe" not in policy[1]


@pytest.mark.parametrize("place", ["", "missing/page.html"])
def test_a_page_that_cannot_be_written_names_the_remedy(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    with pytest.raises(UserError, match="--output") as error:
        write_diagnosis(EMPTY, {}, path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("value", "text"),
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
def test_numbers_have_three_significant_figures(value: float | None, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
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
def test_shares_are_per_cent(share: float | None, text: str) -> None:
    assert format_percent(share) == text


def test_times_and_counts_have_their_units() -> None:
    assert [format_duration(seconds) for seconds in (3e-6, 0.02, 5.0, 90.0, 7200.0, 864000.0)] == [
        "3 µs",
        "20 ms",
        "5 s",
        "1.5 min",
        "2 h",
        "10 d",
    ]
    assert [format_speedup(speedup) for speedup in (1.0, 1234.0, math.inf)] == [
        "1x",
        "1,230x",
        "infinite",
    ]
    assert [format_count(number, "sample") for number in (0, 1, 2000)] == [
        "0 samples",
        "1 sample",
        "2,000 samples",
    ]
