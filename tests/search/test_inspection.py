import pytest
import torch
from torch import nn

from problems import Size
from search.entrants import Entrant
from search.inspection import _flops, recommended_members
from search.records import Interval, Limits, Record, State, Timing
from spaces.candidate import Candidate, Precision, Pruning, Training

WIDTH, HIDDEN, STEPS, SAMPLES = 8, 32, 10, 4


@pytest.mark.parametrize(
    ("network", "shape", "products"),
    [
        (nn.Linear(WIDTH, HIDDEN), (SAMPLES, WIDTH), SAMPLES * WIDTH * HIDDEN),
        (
            nn.LSTM(WIDTH, HIDDEN, batch_first=True),
            (SAMPLES, STEPS, WIDTH),
            SAMPLES * STEPS * 4 * HIDDEN * (WIDTH + HIDDEN),
        ),
        (nn.ReLU(), (SAMPLES, WIDTH), 0),
    ],
)
def test_products_are_counted_in_fused_layers_too(
    network: nn.Module, shape: tuple[int, ...], products: int
) -> None:
    assert _flops(network, torch.zeros(shape)) == 2 * products


def entrant(number: int, speedup: float) -> Entrant:
    timing = Timing(
        time_s=1.0, reference_s=speedup, speedup=speedup, speedup_low=speedup,
        speedup_high=speedup, rounds=6,
    )  # fmt: skip
    test = {"error": Interval(value=0.1, low=0.1, high=0.1)}
    return Entrant(
        name=f"trial {number}", trial=number, timing=timing, test=test, shifted={}, failed={}
    )


def record(number: int, error: float) -> Record:
    candidate = Candidate(
        problem="p", problem_version=1, size=Size.TINY, encoding="e", encoding_settings={},
        architecture="mlp", architecture_settings={},
        training=Training(learning_rate=1e-3, batch_size=32, weight_decay=0.0),
        pruning=Pruning.NONE, pruning_settings={}, precision=Precision.FP32, runtime="eager",
        seed=0,
    )  # fmt: skip
    return Record(
        number=number, key="", candidate=candidate, state=State.COMPLETE, stage="measure",
        metrics={"error": error}, ended="now",
    )  # fmt: skip


def test_the_fastest_is_looked_for_within_the_goals() -> None:
    entrants = [entrant(0, 10.0), entrant(1, 50.0), entrant(2, 90.0)]
    records = {f"trial {n}": record(n, error) for n, error in enumerate((0.01, 0.05, 0.5))}
    anything, good = Limits(), Limits(error=0.1)
    assert recommended_members(entrants, records, "error", anything) == ["trial 2", "trial 0"]
    assert recommended_members(entrants, records, "error", good) == ["trial 1", "trial 0"]
    assert recommended_members(entrants, {}, "error", good) == []
