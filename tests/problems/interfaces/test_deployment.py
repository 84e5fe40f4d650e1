"""How a host calls a surrogate: one batch size is the search's, and others may be stated."""

from dataclasses import replace

import pytest

from problems import Deployment
from problems.interfaces.problem import DEFAULT_BATCH


@pytest.mark.parametrize(
    ("deployment", "batch", "batches"),
    [
        (Deployment(), DEFAULT_BATCH, (DEFAULT_BATCH,)),
        (Deployment(batch=16), 16, (16,)),
        (Deployment(16, 2), 16, (16,)),
        (Deployment(batches=(1, 64)), 64, (1, 64)),
        (Deployment(batches=(64, 1, 8)), 64, (1, 8, 64)),
        (Deployment(batch=8, batches=(1, 64)), 8, (1, 8, 64)),
    ],
)
def test_the_batch_of_the_search_is_one_of_all_and_the_largest_by_default(
    deployment: Deployment, batch: int, batches: tuple[int, ...]
) -> None:
    assert deployment.batch == batch
    assert deployment.batches == batches
    assert replace(deployment) == deployment
