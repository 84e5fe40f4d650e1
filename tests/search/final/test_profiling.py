import pytest
import torch
from torch import nn

from search.final.profiling import count_flops

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
    assert count_flops(network, torch.zeros(shape)) == 2 * products
