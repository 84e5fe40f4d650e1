from types import SimpleNamespace

import pytest

from problems import Registry, Size, UnknownNameError, load_problem


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown problem 'planet'; did you mean 'planets'"):
        load_problem("planet", Size.TINY)


def test_a_name_far_from_all_lists_them() -> None:
    with pytest.raises(UnknownNameError, match="known: planets"):
        load_problem("zzz", Size.TINY)


def test_a_name_is_registered_once() -> None:
    registry: Registry[object] = Registry("thing")
    registry.register("one")(SimpleNamespace())
    with pytest.raises(ValueError, match="'one' is registered twice"):
        registry.register("one")(SimpleNamespace())


@pytest.mark.parametrize("size", list(Size))
def test_every_size_is_there(size: Size) -> None:
    problem = load_problem("planets", size)
    assert problem.samples is not None
    assert problem.samples.train > problem.samples.test
