"""Texts as matrices of bytes."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.audience import fixed_width

ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
@example([0])
@example([9_999, 10_000, 10_001, 99_999_999, 100_000_000, 2**32 - 1, 0])
def test_numbers_are_written_as_python_does(values):
    """Each number is its decimal digits, whatever the largest among them."""
    for dtype in (np.uint32, np.int64):
        matrix = fixed_width.numbers(np.array(values, dtype=dtype))
        assert [row.tobytes().replace(b"\0", b"") for row in matrix] == [b"%d" % value for value in values]


@given(st.lists(st.tuples(ASCII, st.integers(0, 2**32 - 1), st.booleans()), min_size=1))
def test_rows_are_joined_in_order(rows):
    """The texts of all columns stand behind each other, row by row, and their lengths are those bytes'."""
    names, numbers, flags = zip(*rows, strict=True)
    columns = (
        fixed_width.texts(pl.Series(names, dtype=pl.String)),
        fixed_width.everywhere(":", len(rows)),
        fixed_width.numbers(np.array(numbers)),
        fixed_width.where(np.array(flags), " x\n"),
    )
    wanted = [f"{name}:{number}" + " x\n" * flag for name, number, flag in rows]
    assert fixed_width.joined(*columns) == "".join(wanted).encode()
    assert fixed_width.lengths(*columns).tolist() == list(map(len, wanted))


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_columns_without_a_byte(texts):
    """Empty texts, or none, are nothing."""
    assert fixed_width.joined(fixed_width.texts(pl.Series(texts, dtype=pl.String))) == b""
