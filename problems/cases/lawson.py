"""A time step of spectral solvers: viscosity exactly, everything else by Runge-Kutta."""

from collections.abc import Callable

from problems.interfaces.types import Array


def lawson_step(modes: Array, step: float, half: Array, slope: Callable[[Array], Array]) -> Array:
    """Return the modes (...) after a step of fourth order (Lawson, SIAM J. Numer. Anal. 4 (1967)).

    Args:
        modes: Fourier modes at the start of the step.
        step: Time of the step.
        half: Factor by which viscosity alone reduces each mode in half a step.
        slope: The rate of change of modes by everything but viscosity.
    """
    first = slope(modes)
    second = slope(half * (modes + 0.5 * step * first))
    third = slope(half * modes + 0.5 * step * second)
    fourth = slope(half * (half * modes + step * third))
    return half**2 * modes + step / 6.0 * (half**2 * first + 2.0 * half * (second + third) + fourth)
