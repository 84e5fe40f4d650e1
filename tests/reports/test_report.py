import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from problems import Metric, Size
from reports.html import render, write_report
from reports.views import read
from search.directory import Run
from search.environment import read_environment
from search.records import DataFacts, Record, Spec, State
from spaces.candidate import Candidate, Precision, Pruning, Training

PAYLOAD = "</script><img src=x onerror=alert(1)>"


def candidate() -> Candidate:
    return Candidate(
        problem="planets",
        problem_version=1,
        size=Size.TINY,
        encoding="pattern",
        encoding_settings={"coordinates": PAYLOAD},
        architecture="mlp",
        architecture_settings={"width": 32},
        training=Training(learning_rate=1e-3, batch_size=32, weight_decay=0.0),
        pruning=Pruning.NONE,
        pruning_ratio=0.0,
        precision=Precision.FP32,
        runtime="eager",
        seed=0,
    )


@pytest.fixture
def young(tmp_path: Path) -> Run:
    """A run that has its data and no trial yet."""
    spec = Spec(problem="planets", problem_version=1, size=Size.TINY, seed=0, trials=4, workers=2)
    run = Run.start(tmp_path / "run", spec)
    run.add_session(read_environment())
    metric = Metric(name="error", unit="1", description=PAYLOAD, higher_is_better=False)
    run.write(
        "data.json",
        DataFacts(
            summary=PAYLOAD, samples={"train": 4}, failed={}, metrics=(metric,), exclusions=()
        ),
    )
    return run


def failed(number: int) -> Record:
    return Record(
        number=number,
        key=candidate().key,
        candidate=candidate(),
        state=State.INFEASIBLE,
        stage="train",
        reason=PAYLOAD,
        ended="now",
    )


def test_a_run_without_trials_gives_a_page(young: Run) -> None:
    page = write_report(young).read_text()
    assert "No trial has ended yet" in page
    assert "final heat has not been run" in page


def test_failures_keep_their_reasons_and_no_string_is_markup(young: Run) -> None:
    for number in range(3):
        young.record(failed(number))
    page = render(read(young))
    assert PAYLOAD not in page
    assert page.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") >= 4


def test_a_whole_report(finished: Path) -> None:
    run = Run.open(finished)
    facts = read(run)
    page = write_report(run).read_text()
    assert facts.choice is not None
    assert "Laplace-Lagrange" in page
    assert {entrant.name for entrant in facts.entrants} >= {"persistence", "Laplace-Lagrange"}
    assert any(entrant.on_front for entrant in facts.entrants)
    assert facts.pictures
    for trial in facts.trials:
        assert f'id="trial-{trial.number}"' in page
        assert trial.reason or trial.state == State.COMPLETE
    drawn = re.findall(r'<script type="application/json" data-element="(.+?)">(.+?)</script>', page)
    assert len(drawn) == 1 + len(facts.pictures)
    for element, text in drawn:
        assert json.loads(text)["data"]
        assert f'id="{element}"' in page


def test_the_answer_tells_of_its_own_failures(finished: Path) -> None:
    facts = read(Run.open(finished))
    assert facts.choice is not None
    some = facts.choice._replace(entrant=facts.choice.entrant._replace(failed="3 on test"))
    assert "it failed on samples: 3 on test" in render(facts._replace(choice=some))
    gone = facts.choice._replace(entrant=facts.choice.entrant._replace(test=None, shifted=None))
    assert "it failed on every sample" in render(facts._replace(choice=gone))


def test_the_page_asks_nothing_of_a_network(young: Run) -> None:
    page = write_report(young).read_text()
    engine_free = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:)?//""", engine_free)
    assert "default-src 'none'" in page
    assert "connect-src" not in page


def test_views_need_no_engine() -> None:
    engines = ("ray", "torch", "optuna")
    script = f"import sys, reports.html; print([m for m in {engines} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
