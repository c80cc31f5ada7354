"""How many hours the quotas make of a replay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import QuotaSettings
from bridge.service.replays.rehearsal import Share, hours
from tests.parts.audiences import DISPLAY

MB = 1_000_000
DAY = 24


def share(files, size):
    return Share(audience=DISPLAY, memberships=1, superseded=0, beyond_horizon=0, bytes=size, files=files)


def quota(files_per_hour=20, bytes_per_day=240 * MB, removals_reserve=0.0):
    return QuotaSettings(
        files_per_hour=files_per_hour, bytes_per_day=bytes_per_day, removals_reserve=removals_reserve
    )


@pytest.mark.parametrize(
    ("settings", "shares", "part", "wanted"),
    [
        pytest.param(quota(), [], 1, 0, id="nothing to send"),
        pytest.param(quota(), [share(0, 0)], 0, 0, id="all of it has lost, though nothing may go"),
        pytest.param(quota(), [share(1, 1)], 1, 1, id="a file is an hour's"),
        pytest.param(quota(), [share(19, MB)], 1, 1, id="all of an hour's files but live data's one"),
        pytest.param(quota(), [share(20, MB)], 1, 2, id="one file more"),
        pytest.param(quota(), [share(5, MB)], 0.25, 1, id="its share of the hour's files"),
        pytest.param(quota(), [share(3, MB), share(3, MB)], 0.25, 2, id="files of all its audiences"),
        pytest.param(quota(files_per_hour=1), [share(3, MB)], 1, 3, id="an hour has one file"),
        pytest.param(quota(files_per_hour=3), [share(3, MB)], 0.25, 3, id="at least one file of the hour"),
        pytest.param(quota(), [share(1, 10 * MB)], 1, 1, id="an hour's part of the day's bytes"),
        pytest.param(quota(), [share(1, 10 * MB + 1)], 1, 2, id="one byte more"),
        pytest.param(quota(), [share(1, 30 * MB)], 0.25, 12, id="its share of the day's bytes"),
        pytest.param(quota(), [share(1, 480 * MB)], 1, 2 * DAY, id="two days of bytes"),
        pytest.param(
            quota(), [share(1, 15 * MB), share(1, 15 * MB)], 0.5, 6, id="bytes of all its audiences"
        ),
        pytest.param(quota(removals_reserve=0.5), [share(1, 120 * MB)], 1, DAY, id="less what removals keep"),
        pytest.param(quota(removals_reserve=0.5), [share(1, 60 * MB)], 0.25, DAY, id="which live data bears"),
        pytest.param(quota(files_per_hour=2), [share(9, 20 * MB)], 1, 9, id="whichever takes longer: files"),
        pytest.param(quota(files_per_hour=2), [share(2, 70 * MB)], 1, 7, id="whichever takes longer: bytes"),
        pytest.param(quota(), [share(1, 1)], 0, None, id="no share, no end"),
    ],
)
def test_hours(settings, shares, part, wanted):
    """Full hours until files and bytes of these sizes have gone, within this part of the quota."""
    assert hours(settings, shares, part=part) == wanted


@given(
    st.builds(quota, st.integers(1, 100), st.integers(MB, 10**10), st.sampled_from([0.0, 0.05, 0.9])),
    st.lists(st.builds(share, st.integers(1, 50), st.integers(1, 10**10)), min_size=1, max_size=5),
    st.sampled_from([0.01, 0.25, 0.5, 0.99]),
)
def test_live_data_never_makes_it_faster(settings, shares, part):
    """A part of the quota takes as long as the whole or longer, and more files as long as fewer or longer."""
    alone, beside = hours(settings, shares, part=1), hours(settings, shares, part=part)
    assert 1 <= alone <= beside
    assert hours(settings, shares[1:], part=part) <= beside
