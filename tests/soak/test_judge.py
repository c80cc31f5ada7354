"""What the judge of a soak excuses, and what it does not."""

import signal

import pytest

from bridge.deliver.set_aside import SetAside
from tests.parts import oracle
from tests.parts.audiences import DISPLAY, frame
from tests.parts.spools import new_spool
from tests.soak import aside
from tests.soak.feed import MAIN
from tests.soak.judge import ends
from tests.soak.keeper import Life
from tests.soak.truth import Truth

USER = "00000000-0000-0000-0000-000000000001"
AT = 1_790_000_000_000
SENT = oracle.Audience(
    client=None,
    user_namespace="mm",
    user_table_id=None,
    segment_namespace="ep",
    mobile=False,
    hashed=False,
)


@pytest.fixture
def spool(tmp_path):
    """It has set aside segment 7, at AT and with timestamp 0, of the first user."""
    made = new_spool(tmp_path)
    SetAside(made).keep(DISPLAY, 1, frame(DISPLAY, [(1, 7, 0, AT, 0, 0, 1)]))
    return made.directory


def truth(spool, *writes):
    """The events of these segments, event times and timestamps, in order; their user is the one set aside."""
    ((place, _, _),) = aside.read(spool)
    return Truth(
        events=[
            {
                "user_id": place.user,
                "client": place.client,
                "segments": [{"segment_id": segment, "timestamp": timestamp}],
                "event_time": event_time,
                "topic": MAIN,
                "partition": 0,
                "offset": offset,
            }
            for offset, (segment, event_time, timestamp) in enumerate(writes)
        ]
    )


def differences(spool, events, **held):
    """What the judge says where the files hold these segments with these timestamps."""
    unsent = aside.read(spool)
    ((place, _, _),) = unsent
    segments = {name.removeprefix("s"): (timestamp,) for name, timestamp in held.items()}
    state, want = {SENT: {place.user: segments}}, events.state(unsent)
    aside.excuse(want, state, events.events, unsent)
    return oracle.same(state, want)


def test_what_was_set_aside_may_be_missing(spool):
    """It was not sent, and an earlier add may stand in its place; another one may not."""
    events = truth(spool, (7, AT - 9000, 1_780_000_000), (7, AT, 0))
    assert differences(spool, events) == []
    assert differences(spool, events, s7=1_780_000_000) == []
    assert len(differences(spool, events, s7=1_780_000_001)) == 1


def test_nothing_else_may_be_missing(spool):
    """Neither another segment, nor the same at another time, with another timestamp, or added again later."""
    for other in ((8, AT, 0), (7, AT + 1, 0), (7, AT, 1_780_000_000)):
        assert len(differences(spool, truth(spool, other))) == 1
    assert len(differences(spool, truth(spool, (7, AT, 0), (7, AT + 5000, 0)))) == 1


def test_what_was_set_aside_does_not_excuse_what_should_be_gone(spool):
    """A removal after it is asked for as ever."""
    events = truth(spool, (7, AT, 0), (7, AT + 5000, -1))
    assert differences(spool, events) == []
    assert len(differences(spool, events, s7=0)) == 1


@pytest.mark.parametrize(("orders", "fine"), [(1, False), (2, True)])
def test_only_a_second_order_ends_a_process_at_once(orders, fine):
    """Two SIGTERMs may come within the time that a stop in order takes."""
    life = Life(pid=1, started=0, ended=26, code=143, ordered=signal.SIGTERM, orders=orders, ordered_at=26)
    assert (ends([life]).faults == ()) == fine
