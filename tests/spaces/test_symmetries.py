"""What a layout says of space and of order, its families keep exactly; a perceptron knows neither.

In float64, so that what is broken can't hide in rounding.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from problems import Layout, Target, UserError
from problems.contract import RandomChoice
from spaces.architectures import Architecture, Shape
from spaces.deployment_check import example_inputs
from spaces.registered import ARCHITECTURES
from tests.pairwise import Test, law
from tests.spaces.shapes import SERVED, choices, combined


def those_of(*layouts: Layout) -> Callable[[Test], Test]:
    """Try the families but the perceptron on their shapes of these layouts."""
    served = [
        (family, shape)
        for family, shape in SERVED
        if shape.layout in layouts and family is not ARCHITECTURES["mlp"]
    ]
    return law("family, shape, seed", combined(served, range(3)), choices=choices)


def tried(
    family: type[Architecture], shape: Shape, seed: int
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return a network of drawn settings, and inputs for it."""
    settings = dict(family.settings(RandomChoice(np.random.default_rng(seed))))
    torch.manual_seed(seed)
    network = family.untrained(shape, settings).eval().double()
    inputs = example_inputs(shape, 8, family.noise(shape, settings), seed).double()

    def ask(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(inputs)

    return ask, inputs


def turn(seed: int) -> Tensor:
    """Return a rotation of space, with a reflection where the seed is odd."""
    generator = torch.Generator().manual_seed(seed)
    orthogonal, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return orthogonal if (torch.linalg.det(orthogonal) < 0.0) == seed % 2 else -orthogonal


def reordered(x: Tensor, places: int, order: Tensor) -> Tensor:
    """Return answers (b, places * o) with their places in another order."""
    return x.unflatten(1, (places, -1))[:, order].flatten(1)


@those_of(Layout.VECTORS)
def test_vectors_turn_with_space_and_stay_as_it_shifts(
    family: type[Architecture], shape: Shape, seed: int
) -> None:
    ask, inputs = tried(family, shape, seed)
    q = turn(seed)
    moved = inputs.clone()
    moved[..., :3] = inputs[..., :3] @ q.T + torch.tensor([0.5, -2.0, 1.0])
    expected = ask(inputs)
    if shape.target is Target.VALUE:
        expected = (expected.unflatten(1, (-1, 3)) @ q.T).flatten(1)
    torch.testing.assert_close(ask(moved), expected)


@those_of(Layout.TENSOR)
def test_tensors_turn_with_space(family: type[Architecture], shape: Shape, seed: int) -> None:
    ask, inputs = tried(family, shape, seed)
    q = turn(seed)
    torch.testing.assert_close(whole(ask(q @ inputs @ q.T)), q @ whole(ask(inputs)) @ q.T)


def whole(six: Tensor) -> Tensor:
    """Return symmetric tensors (b, 3, 3) of xx, yy, zz, xy, xz and yz."""
    return six[:, [0, 3, 4, 3, 1, 5, 4, 5, 2]].unflatten(1, (3, 3))


@those_of(Layout.TENSOR)
def test_tensors_stay_finite(family: type[Architecture], shape: Shape, seed: int) -> None:
    ask, inputs = tried(family, shape, seed)
    for scale in (0.0, 1e-12, 1e12):
        assert torch.isfinite(ask(scale * inputs)).all()


@those_of(Layout.SET, Layout.GRAPH, Layout.VECTORS)
def test_places_have_no_order(family: type[Architecture], shape: Shape, seed: int) -> None:
    ask, inputs = tried(family, shape, seed)
    places = shape.places[0]
    order = torch.randperm(places, generator=torch.Generator().manual_seed(seed))
    permuted = inputs[:, order]
    if shape.layout is Layout.GRAPH:
        permuted = permuted[:, :, [0, *(1 + order).tolist()]]
    expected = ask(inputs)
    if shape.aligned:
        expected = reordered(expected, places, order)
    torch.testing.assert_close(ask(permuted), expected)


@those_of(Layout.SET, Layout.GRAPH)
def test_what_is_absent_does_not_matter(
    family: type[Architecture], shape: Shape, seed: int
) -> None:
    ask, inputs = tried(family, shape, seed)
    absent = inputs[..., :1] == 0.0
    generator = torch.Generator().manual_seed(seed)
    noise = 10.0 * torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
    noise[..., 0] = 0.0
    torch.testing.assert_close(ask(inputs + noise * absent), ask(inputs))


@those_of(Layout.SET, Layout.GRAPH)
def test_nothing_at_all_has_an_answer(family: type[Architecture], shape: Shape, seed: int) -> None:
    ask, inputs = tried(family, shape, seed)
    assert torch.isfinite(ask(torch.zeros_like(inputs))).all()


def test_answers_that_are_no_vectors_are_refused() -> None:
    shape = Shape(Layout.VECTORS, Target.VALUE, (5, 4), 5, aligned=True)
    with pytest.raises(UserError, match="come in threes, not 1 at each element"):
        ARCHITECTURES["egnn"].build(shape, {"width": 32, "rounds": 1, "pooling": "mean"})


def test_answers_that_are_no_tensor_are_refused() -> None:
    shape = Shape(Layout.TENSOR, Target.VALUE, (3, 3), 9)
    with pytest.raises(UserError, match=r"\(6,\), a symmetric tensor, not \(3, 3\)"):
        ARCHITECTURES["tensor_basis"].build(shape, {"width": 64, "depth": 1, "activation": "silu"})
