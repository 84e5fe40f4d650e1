"""Numbers as text: rounded, with their units."""

import math

MISSING = "-"
SMALLEST_SHARE = 1e-5
"""A smaller positive share is printed as "below this one"."""

UNITS_OF_TIME = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


def format_number(value: float | None) -> str:
    """Return a number with three significant figures, without an exponent in the usual range."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0.0 else "-∞"
    short = float(f"{value:.3g}")
    if abs(short) >= 1000.0:
        return f"{short:,.0f}" if abs(short) < 1e7 else f"{short:.3g}"
    return f"{short:.3g}"


def format_tick(value: float) -> str:
    """Return the number at a tick of an axis with up to eight significant figures."""
    mantissa, _, exponent = f"{value:,.8g}".replace(
        "-", "\N{MINUS SIGN}", int(value < 0)
    ).partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def format_correlation(value: float) -> str:
    """Return a correlation with its sign."""
    return f"{value:+.2f}"


def format_percent(share: float | None) -> str:
    """Return a share in per cent with at most three significant figures."""
    if share is None or math.isnan(share):
        return MISSING
    if 0.0 < share < SMALLEST_SHARE:
        return f"< {format_number(100.0 * SMALLEST_SHARE)} %"
    if 0.9995 <= share < 1.0:
        return "> 99.9 %"
    return f"{format_number(100.0 * share)} %"


def format_speedup(speedup: float | None, unit: str = "x") -> str:
    """Return a speed-up, such as "12.3x", or another speed with its unit."""
    if speedup is None:
        return MISSING
    return "infinite" if math.isinf(speedup) else f"{format_number(speedup)}{unit}"


def format_duration(seconds: float) -> str:
    """Return a time, given in seconds, in the largest unit of which it has at least one."""
    if math.isfinite(seconds):
        for length, unit in UNITS_OF_TIME:
            if seconds >= length:
                return f"{format_number(seconds / length)} {unit}"
    return f"{format_number(1e6 * seconds)} µs"


def format_count(number: int, thing: str) -> str:
    """Return a number of things, such as "3 trials"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
