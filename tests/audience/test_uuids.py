import re
import sys
import uuid

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.audience import uuids

SHAPE = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
TEXT = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7"


def halves(text):
    number = uuid.UUID(text).int
    return number >> 64, number & (1 << 64) - 1


def parse(*texts):
    columns = uuids.parse(pl.Series(texts, dtype=pl.String))
    return list(zip(*(column.to_list() for column in columns), strict=True))


def spoilt(text, at, replacement):
    return text[:at] + replacement + text[at + 1 :]


some_uuid = st.uuids().map(str) | st.uuids().map(lambda value: str(value).upper())
almost = st.builds(
    spoilt,
    some_uuid,
    st.integers(0, 35),
    st.sampled_from(["", "g", "-", "é", "0", "G", ":", "/", "@", "`", "\0"]),
)
anything = st.none() | some_uuid | almost | st.text(max_size=40)


@given(st.lists(anything, max_size=30))
@example([])
@example([None])
@example(["é" * 18, TEXT, "x" * 36, "", None, TEXT.upper(), "{" + TEXT + "}", TEXT.replace("-", "")])
def test_a_text_is_taken_exactly_if_it_is_8_4_4_4_12_hex_whatever_its_neighbours_are(texts):
    """Each text is judged as a regular expression does, and has the halves that uuid.UUID finds."""
    expected = [
        (*halves(text), True) if text is not None and SHAPE.fullmatch(text) else (0, 0, False)
        for text in texts
    ]
    assert parse(*texts) == expected


@pytest.mark.parametrize("at", range(36))
def test_each_place_of_a_uuid_is_checked(at):
    """A wrong character at any one place is found."""
    wrong = "0" if TEXT[at] == "-" else "-"
    assert parse(spoilt(TEXT, at, wrong)) == [(0, 0, False)]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=30))
@example([(0, 0), (2**64 - 1, 2**64 - 1)])
def test_formatting_is_what_uuid_writes_and_parsing_its_inverse(pairs):
    """Texts are lower case, as uuid.UUID's, and parse to the same halves."""
    hi = pl.Series([pair[0] for pair in pairs], dtype=pl.UInt64)
    lo = pl.Series([pair[1] for pair in pairs], dtype=pl.UInt64)
    texts = written(hi, lo)
    assert texts == [str(uuid.UUID(int=high << 64 | low)) for high, low in pairs]
    assert parse(*texts) == [(high, low, True) for high, low in pairs]


def test_columns_have_their_dtypes():
    """Halves are UInt64 and the verdict Boolean, with and without faulty texts."""
    for texts in ([TEXT], [TEXT, "no"], []):
        columns = uuids.parse(pl.Series(texts, dtype=pl.String))
        assert [column.dtype for column in columns] == [pl.UInt64, pl.UInt64, pl.Boolean]


def test_slices_and_chunks_are_read_as_they_stand():
    """A column that is a part of another, or in several pieces, gives its own values."""
    texts = [str(uuid.UUID(int=number << 60)) for number in range(50)]
    column = pl.concat([pl.Series(texts[:20]), pl.Series(texts[20:])], rechunk=False)[7:33]
    hi, lo, ok = uuids.parse(column)
    assert ok.all()
    assert list(zip(hi, lo, strict=True)) == [halves(text) for text in texts[7:33]]
    assert written(hi[3:9], lo[3:9]) == texts[10:16]


def written(hi, lo):
    """The texts of UUIDs."""
    return [row.tobytes().decode() for row in uuids.digits(hi, lo)]


def calls_during(action):
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def test_no_call_is_made_for_each_text():
    """Parsing and formatting make as many calls for 20,000 texts as for 10,000."""

    def counted(size):
        texts = pl.Series([str(uuid.UUID(int=number)) for number in range(size)])
        hi, lo, _ = uuids.parse(texts)
        return calls_during(lambda: uuids.parse(texts)), calls_during(lambda: uuids.digits(hi, lo))

    counted(10)
    assert counted(10_000) == counted(20_000)
