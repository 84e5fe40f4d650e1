"""Units are compared as units, not as text."""

import numpy as np
import pytest

from problems import Field, ReadOptions
from problems.data.units import Conversion, unit_errors

SAME = [
    ("m s-1", "m/s"), ("W m-2", "W/m^2"), ("kg m**-3", "kg/m3"), ("percent", "%"), ("-", "1"),
    ("none", "1"), ("None", ""), ("dimensionless", "1"), ("degC", "°C"), ("celsius", "°C"),
    ("degree_Celsius", "degC"), ("kelvin", "K"), ("Kelvin", "K"), ("m2 s-2", "m²/s²"),
    ("W·m⁻²", "W m-2"), ("J kg-1 K-1", "J/(kg K)"), ("degrees_north", "degree"), ("1/s", "Hz"),
    ("kg kg-1", "1"), ("mm day-1", "mm/d"), ("hPa", "mbar"), ("m.s-1", "m/s"), ("1e-6", "ppm"),
    ("µm", "um"), ("radian", "rad"), ("K s-1", "K/s"), ("Pa", "N m-2"),
]  # fmt: skip

CONVERTED = [
    ("hPa", "Pa", 2.0, 200.0), ("degC", "K", 1.0, 274.15), ("K", "°C", 273.15, 0.0),
    ("km/h", "m s-1", 3.6, 1.0), ("%", "1", 50.0, 0.5), ("degree", "rad", 180.0, np.pi),
    ("g kg-1", "1", 1.0, 1e-3), ("degF", "degC", 212.0, 100.0), ("h", "s", 1.0, 3600.0),
]  # fmt: skip

INCOMMENSURABLE = [
    ("m", "s"), ("K", "Pa"), ("days since 2000-01-01", "d"), ("furlong per blink", "m/s"),
    ("C", "K"), ("", "m"), ("kg", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "declared"), SAME)
def test_one_unit_may_be_written_in_many_ways(stated: str, declared: str) -> None:
    for one, other in ((stated, declared), (declared, stated)):
        conversion = Conversion.between(one, other)
        assert conversion is not None
        assert conversion.is_identity
        assert not list(unit_errors("it", one, Field("f", unit=other), ReadOptions()))


@pytest.mark.parametrize(("stated", "declared", "value", "expected"), CONVERTED)
def test_another_unit_is_converted_on_request(
    stated: str, declared: str, value: float, expected: float
) -> None:
    conversion = Conversion.between(stated, declared)
    assert conversion is not None
    np.testing.assert_allclose(conversion(np.array([value])), [expected], rtol=1e-12, atol=1e-10)
    field = Field("f", unit=declared)
    (message,) = unit_errors("it", stated, field, ReadOptions())
    assert "read=ReadOptions(convert_units=True)" in message
    assert not list(unit_errors("it", stated, field, ReadOptions(convert_units=True)))


@pytest.mark.parametrize(("stated", "declared"), INCOMMENSURABLE)
def test_a_unit_of_another_kind_is_refused(stated: str, declared: str) -> None:
    field = Field("f", unit=declared)
    for options in (ReadOptions(), ReadOptions(convert_units=True)):
        (message,) = unit_errors("it", stated, field, options)
        assert "can't be converted" in message
