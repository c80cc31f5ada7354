"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import LONGEST, Backoff, growing


@given(st.integers(1, 500), st.floats(0, 1))
def test_pauses_grow_up_to_a_bound_and_keep_half_of_themselves(failures, luck):
    """Each is between half of the doubled pause and the whole of it, and none passes the bound."""
    whole = min(LONGEST, 500 * 2 ** (failures - 1))
    assert whole / 2 <= growing(failures, luck=lambda: luck) <= whole


def test_a_success_makes_the_next_failure_the_first():
    """After a success the pause is short again."""
    backoff = Backoff(first=1_000, longest=64_000)
    for _ in range(6):
        backoff.failed(0)
    assert backoff.due >= 16_000
    backoff.succeeded()
    assert (backoff.count, backoff.due) == (0, 0)
    backoff.failed(0)
    assert backoff.due <= 1_000
