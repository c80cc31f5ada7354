"""TC strings: what they allow, and that nothing which is none is read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sync.tc_string import TcString, Unreadable, read
from tests.sync.tc_strings import tc_string

PUBLISHED = (
    "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAA"
    "AAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw"
)
"""An example that libraries of the framework share: purposes 1 to 3, vendors 2, 6 and 8."""

vendor_ids = st.integers(1, 65_535)
vendors = st.frozensets(st.integers(1, 1500), max_size=40)
ranges = st.lists(st.tuples(vendor_ids, vendor_ids).map(sorted).map(tuple), max_size=20)
purposes = st.frozensets(st.integers(1, 24))


def test_a_published_example_says_what_its_publishers_say():
    """Somebody else's encoder, not ours, wrote it."""
    assert {vendor for vendor in range(1, 800) if read(PUBLISHED, vendor).vendor} == {2, 6, 8}
    assert read(PUBLISHED, 2).purposes == {1, 2, 3}


@given(purposes, vendors, vendors, st.integers(0, 1600))
def test_a_list_of_vendors_is_read_by_bits(allowed, consented, interests, vendor):
    """Purposes and vendors come back; legitimate interests are no consent."""
    said = read(tc_string(allowed, consented, interests=interests), vendor)
    assert said == TcString(purposes=allowed, vendor=vendor in consented, forbidden=frozenset())


@given(ranges, vendor_ids)
def test_a_list_of_vendors_is_read_by_ranges(given_ranges, vendor):
    """As bits would say it."""
    said = read(tc_string({1}, ranges=given_ranges), vendor)
    assert said.vendor == any(first <= vendor <= last for first, last in given_ranges)


@given(st.integers(1, 24), st.integers(0, 2), ranges, vendor_ids)
def test_a_publisher_may_forbid(purpose, kind, restricted, vendor):
    """Not at all, or by legitimate interest alone: both forbid consent; to demand consent does not."""
    said = read(tc_string({1}, {1}, restrictions=[(purpose, kind, restricted)]), vendor)
    met = any(first <= vendor <= last for first, last in restricted)
    assert said.forbidden == ({purpose} if met and kind != 1 else set())


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "A", "CO", "not a tc string", "[GDPR_CONSENT]", "${GDPR_CONSENT_1}", "1YNN"),
        tc_string({1}, {1}, version=1),
        tc_string({1}, {1}, version=3),
        tc_string({1}, {1}, cut=40),
        tc_string({1}, ranges=[(1, 5)], cut=50),
        PUBLISHED[:36],
        "=" + PUBLISHED,
        PUBLISHED.replace("v", "é", 1),
    ],
)
def test_what_is_no_whole_string_of_version_2_is_unreadable(text):
    """A consent that is cut off is none."""
    with pytest.raises(Unreadable):
        read(text, 2)


@given(st.text(max_size=100) | st.text("CABPQ-_09", max_size=400), st.integers(0, 65_535))
def test_any_text_is_read_or_unreadable(text, vendor):
    """Nothing else is raised, whatever a browser brings."""
    with suppress(Unreadable):
        read(text, vendor)


def test_the_largest_string_is_read_in_no_time():
    """4,095 ranges over all vendors, as often as the count allows, are looked at once each."""
    text = tc_string({1}, ranges=[(1, 65_535)] * 4_095)
    assert read(text, 65_535).vendor
