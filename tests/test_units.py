import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.units import LONGEST, format_duration, format_size, parse_duration, parse_size

DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SIZES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


@pytest.mark.parametrize(
    ("text", "duration"),
    [("500ms", 500), ("60s", 60_000), ("15m", 900_000), ("1h", 3_600_000), ("7d", 604_800_000), ("0s", 0)],
)
def test_durations_of_the_contract(text, duration):
    """The contract's examples mean what it says."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256MB", 256_000_000),
        ("5GB", 5_000_000_000),
        ("256MiB", 268_435_456),
        ("4096", 4096),
        ("1MB", 1_000_000),
    ],
)
def test_sizes_of_the_contract(text, size):
    """Decimal and binary units differ, and a plain number is bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "15", "m", "1.5h", "-1s", "1 hour", "1M", "15m 2s", "1h30m", "٣m", "99999d", "1" * 30 + "s"]
)
def test_what_is_no_duration(text):
    """A text without a number, a known unit or any sense is refused, and not quoted."""
    with pytest.raises(ValueError, match=r"; write") as caught:
        parse_duration(text)
    assert not text or text not in str(caught.value).split("as in")[0].split()


@pytest.mark.parametrize(
    "text", ["", "MB", "1.5GB", "-1", "5 gigabytes", "1m5", "٣MB", "999999999TB", "5GB!"]
)
def test_what_is_no_size(text):
    """A text without a number, with another unit or too large is refused."""
    with pytest.raises(ValueError, match=r"; write"):
        parse_size(text)


@given(count=st.integers(0, 36_500), unit=st.sampled_from(list(DURATIONS)))
def test_a_duration_is_its_number_times_its_unit(count, unit):
    """For every number and unit within 100 years."""
    assert parse_duration(f"{count}{unit}") == count * DURATIONS[unit]


@given(count=st.integers(0, 10**6), unit=st.sampled_from(list(SIZES)))
def test_a_size_is_its_number_times_its_unit(count, unit):
    """For every number and unit, whatever the case of the unit."""
    assert parse_size(f"{count}{unit}") == parse_size(f"{count}{unit.lower()}") == count * SIZES[unit]


@given(st.integers(0, LONGEST))
def test_a_formatted_duration_is_cut_to_its_second_unit(duration):
    """What people read is never above the duration, and short of it by less than a unit after the first."""
    parts = format_duration(duration).split(" ")
    lengths = list(DURATIONS.values())
    read = sum(parse_duration(part) for part in parts)
    first = max(at for at, length in enumerate(lengths) if length <= max(1, duration))
    assert 0 <= duration - read < lengths[max(0, first - 1)]
    assert len(parts) <= 2


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0ms"),
        (-5, "0ms"),
        (500, "500ms"),
        (90_000, "1m 30s"),
        (5_400_000, "1h 30m"),
        (604_800_000, "7d"),
        (86_460_000, "1d"),
        (61_999, "1m 1s"),
    ],
)
def test_durations_for_people(duration, text):
    """A unit and the next, without zeros."""
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_500_000_000, "1.5 GB"),
        (999_960, "1 MB"),
        (256_000_000, "256 MB"),
    ],
)
def test_sizes_for_people(size, text):
    """Decimal units, one digit behind the point, never 1000 of a unit."""
    assert format_size(size) == text


@given(st.integers(0, 10**14))
def test_a_formatted_size_is_near(size):
    """What people read is within a twentieth of the size."""
    number, unit = format_size(size).split(" ")
    assert abs(float(number) * SIZES.get(unit, 10**12) - size) <= size / 20
