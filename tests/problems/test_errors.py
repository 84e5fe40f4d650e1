"""Texts of users' files and code can't steer a terminal, break JSON or turn the writing around."""

import unicodedata

import numpy as np
import pytest

from problems.entrance.calls import user_code_errors
from problems.errors import UserError, describe_error, printable, printable_values

HOSTILE = "<b>\n\x1b[31mred\x1b[0m\x1b]0;title\x07 \udc80 \u202eevil\x9b1m\r\x00"


def test_any_text_becomes_printable() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        codes = rng.choice([0x20, 0x300, 0x2100, 0xE000, 0x110000], size=40)
        text = "".join(chr(rng.integers(code)) for code in codes) + HOSTILE
        result = printable(text)
        assert result.encode()
        assert printable(result) == result
        kinds = {unicodedata.category(c) for c in result if c not in "\n\t"}
        assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
        assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLI", "PDF"} for c in result)


@pytest.mark.parametrize("text", ["", "30 °C, 10 µm", "日本語", "a\tb\nc", "👩\u200d🔬", "naïve"])
def test_ordinary_text_stays(text: str) -> None:
    assert printable(text) == text


def test_escapes_are_shown_and_colours_left_out() -> None:
    assert printable("\x1b[1;31mred\x1b[0m \x07\udc80") == "red \\x07\\udc80"
    assert printable_values({"\x07": ["\x07", 1.0, None]}) == {"\\x07": ["\\x07", 1.0, None]}


def test_the_message_of_an_exception_is_printable() -> None:
    with pytest.raises(UserError) as told, user_code_errors("a part"):
        raise RuntimeError(HOSTILE)
    assert printable(str(told.value)) == str(told.value)
    assert told.value.__cause__ is not None
    assert "red" in describe_error(told.value.__cause__)
