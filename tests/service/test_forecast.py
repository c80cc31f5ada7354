"""What is expected of the coming hours: slots of audiences, and an account's day."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Config, QuotaSettings, load
from bridge.deliver.quota import Attempt, usage
from bridge.deliver.schedule import Unfinished, Waiting
from bridge.service.telling.forecast import AHEAD, Hold, rest_of_day, slots
from bridge.service.telling.status import AccountStatus, AudienceStatus, Status, gather
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Fault, Site, Write

MIDNIGHT = START // DAY * DAY
NOON = MIDNIGHT + 12 * HOUR + 10 * MINUTE
MB = 1_000_000

TEXT = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
spool: {{directory: {directory}}}
roll: {{max_age: {age}, max_bytes: 50MB}}
accounts:
  - name: a
    agency: Agency
    partner: Partner
    sftp: {{host: h, username: u, password_file: password, host_key: ssh-ed25519 AAAA}}
    quota: {{files_per_hour: {files}, bytes_per_day: {size}MB, guard: 30s}}
streams:
  - {{name: acme, topics: [acme], format: json, segment_namespace: ep, account: a}}
"""


def client(number):
    return replace(DISPLAY, client=f"c{number}")


def configured(folder, *, files=4, size=100, age="15m") -> Config:
    path = folder / "bridge.yaml"
    path.write_text(TEXT.format(directory=folder / "spool", files=files, size=size, age=age))
    return load(path, {})


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return configured(tmp_path_factory.mktemp("forecast"))


def waits(number=0, *, age=20 * MINUTE, size=MB, **more):
    values = {"served_at": None, "replay": "", "has_removals": False} | more
    return Waiting(
        audience=client(number),
        memberships=size // 8,
        expected_bytes=size,
        oldest_read_at=NOON - age,
        **values,
    )


def sent(at, size=MB, **more):
    return Attempt(started_at=at, ended_at=at, bytes=size, **({"replay": False} | more))


def status(
    config, waiting=(), *, at=NOON, attempts=(), unfinished=(), replays=(), closed_until=None, known_since=0
):
    quota: QuotaSettings = config.account("a").quota
    account = AccountStatus(
        name="a",
        usage=usage(quota, attempts, at, 0, closed_until or 0),
        closed_until=closed_until,
        skew=0,
        attempts=tuple(attempts),
        known_since=known_since,
        unfinished=tuple(unfinished),
        replays=tuple(replays),
    )
    audiences = [
        AudienceStatus(
            audience=one.audience,
            memberships=one.memberships,
            oldest_read_at=one.oldest_read_at,
            due_at=one.oldest_read_at + config.roll.max_age,
            horizon=None,
            delivered_run=0,
            served_at=one.served_at,
            waiting=one,
        )
        for one in waiting
    ]
    return Status(
        at=at,
        notes=(),
        accounts=(account,),
        audiences=tuple(audiences),
        histories=(),
        replays=(),
        files=(),
    )


def forecast(site, config):
    return slots(gather(config, site.clock), config)


def test_an_audience_that_waits_for_the_platforms_word_has_no_time(config):
    """When it comes is not known; others have their slots."""
    expected = slots(status(config, [waits(0, unconfirmed=True), waits(1)]), config)
    assert (expected[client(0)].at, expected[client(0)].hold) == (None, Hold.CONFIRMATION)
    assert expected[client(1)].at == NOON


def test_it_is_what_a_deliverer_does(tmp_path):
    """Nine audiences and three slots an hour: each is uploaded in the second that was forecast for it."""
    site = Site(tmp_path, max_age=10 * MINUTE, files_per_hour=3)
    site.give(Write(user=1, segment=1))
    site.arrives()  # the clock of the server is known from now on
    for number in (4, 2, 7, 1, 8, 0, 3, 6, 5):
        site.give(Write(user=1, segment=1, audience=client(number)))
        site.clock.move(40 * SECOND)
    expected = forecast(site, configured(tmp_path, files=3, age="10m"))
    site.arrives(9)
    came = {name.split("_")[2]: at for at, name in site.remote.tried[1:]}
    assert len(expected) == 9
    for audience, slot in expected.items():
        assert abs(came[audience.client] - slot.at) <= SECOND, audience
    assert {slot.hold for slot in expected.values()} == {Hold.AGE, Hold.FILES}


def test_a_file_that_failed_is_forecast_too(tmp_path):
    """Its audience is served when its pause is over: after the third attempt, in the next hour."""
    site, config = Site(tmp_path, max_age=MINUTE), configured(tmp_path, files=20, age="1m")
    site.give(Write(user=1, segment=1))
    site.arrives()
    site.remote.fault = lambda _: Fault.CUT
    for attempts in (1, 2, 3):
        site.give(Write(user=1, segment=1))
        site.until(lambda attempts=attempts: len(site.remote.tried) == 1 + attempts)
    (slot,) = forecast(site, config).values()
    site.remote.fault = lambda _: None
    site.arrives()
    assert abs(site.remote.tried[-1][0] - slot.at) <= SECOND
    assert slot.hold is Hold.PAUSE


def test_what_it_waits_for(config):
    """Due and free: now. Not due: its age. No slot left, no bytes left, or refused: until the reset."""

    def slot(**more):
        return slots(status(config, [waits()], **more), config)[client(0)]

    assert (slot().at, slot().hold) == (NOON, Hold.AGE)
    young = slots(status(config, [waits(age=MINUTE)]), config)[client(0)]
    assert (young.at, young.hold) == (NOON + 14 * MINUTE, Hold.AGE)
    full = slot(attempts=[sent(NOON - MINUTE)] * 4)
    assert (full.at, full.hold) == (MIDNIGHT + 13 * HOUR + 30 * SECOND, Hold.FILES)
    spent = slot(attempts=[sent(NOON - 3 * HOUR, 99 * MB)])
    assert (spent.at, spent.hold) == (MIDNIGHT + DAY + 30 * SECOND, Hold.BYTES)
    closed = slot(closed_until=MIDNIGHT + 14 * HOUR)
    assert (closed.at, closed.hold) == (MIDNIGHT + 14 * HOUR + 30 * SECOND, Hold.REFUSED)
    never = slot(closed_until=MIDNIGHT + 3 * DAY)
    assert (never.at, never.hold) == (None, Hold.REFUSED)


def test_near_a_reset(config):
    """Within the guard: until it is over."""
    at = MIDNIGHT + 13 * HOUR - 10 * SECOND
    slot = slots(status(config, [waits()], at=at), config)[client(0)]
    assert (slot.at, slot.hold) == (MIDNIGHT + 13 * HOUR + 30 * SECOND, Hold.GUARD)


def test_an_account_that_is_gone(config):
    """Nobody delivers what waits of it; that is said, not left out."""
    gone = replace(waits(), audience=replace(DISPLAY, account="gone"))
    (slot,) = slots(status(config, [gone]), config).values()
    assert (slot.at, slot.hold) == (None, Hold.NO_ACCOUNT)


def test_a_replay_delays_nobody(config):
    """Live data has the slots that it has without it."""
    live = [waits(number, age=(30 - number) * MINUTE) for number in range(6)]
    without = slots(status(config, live), config)
    beside = slots(status(config, live, replays=[waits(9, size=40 * MB, replay="r", age=DAY)]), config)
    assert beside == without


waiting = st.lists(
    st.tuples(st.integers(0, 40 * MINUTE), st.sampled_from([1, MB, 60 * MB, 300 * MB]), st.booleans()),
    max_size=12,
).map(
    lambda each: [
        waits(number, age=age, size=size, has_removals=removals)
        for number, (age, size, removals) in enumerate(each)
    ]
)
attempts = st.lists(
    st.builds(sent, st.integers(NOON - 30 * HOUR, NOON), st.sampled_from([1, MB, 30 * MB])), max_size=12
)


@given(waiting=waiting, attempts=attempts)
def test_slots_keep_the_quota(config, waiting, attempts):
    """None is before its audience is due, within the guard, or one too many in its hour."""
    found = slots(status(config, waiting, attempts=attempts), config)
    assert found.keys() == {one.audience for one in waiting}
    at = [slot.at for slot in found.values() if slot.at is not None]
    assert all(NOON <= one <= NOON + AHEAD for one in at)
    assert all(30 * SECOND <= one % HOUR < HOUR - 30 * SECOND for one in at)
    used = Counter(one.started_at // HOUR for one in attempts)
    assert all(used[hour] + count <= 4 for hour, count in Counter(one // HOUR for one in at).items())
    for one in waiting:
        slot = found[one.audience]
        by_size = one.expected_bytes >= config.roll.max_bytes
        assert slot.at is None or by_size or slot.at >= one.oldest_read_at + config.roll.max_age


def test_a_day_that_lasts(config):
    """12 MB in the first twelve hours and ten minutes: as many again, and nothing is used up."""
    (day,) = rest_of_day(
        status(config, attempts=[sent(MIDNIGHT + hour * HOUR + MINUTE) for hour in range(12)]), config
    )
    assert (day.limit, day.general, day.resets_at) == (100 * MB, 95 * MB, MIDNIGHT + DAY)
    assert day.basis == NOON - MIDNIGHT
    assert abs(day.rate - 12 * MB * HOUR / (NOON - MIDNIGHT)) <= 1
    assert abs(day.expected - 12 * MB * DAY / (NOON - MIDNIGHT)) < 20
    assert day.exhausted_at is None
    assert (day.sent[0].bytes, day.sent[-1].bytes, len(day.sent)) == (0, 12 * MB, 14)
    assert [point.at for point in day.ahead] == [NOON, MIDNIGHT + DAY]


def test_a_day_that_does_not(config):
    """70 MB by noon: the 25 MB left of those for general files are used at that rate, and no more goes."""
    (day,) = rest_of_day(status(config, attempts=[sent(MIDNIGHT + 2 * HOUR, 70 * MB)]), config)
    rate = 70 * MB / (NOON - MIDNIGHT)
    assert day.exhausted_at == pytest.approx(NOON + 25 * MB / rate, abs=SECOND)
    assert [point.bytes for point in day.ahead] == [70 * MB, 95 * MB, 95 * MB]
    (over,) = rest_of_day(status(config, attempts=[sent(MIDNIGHT + HOUR, 97 * MB)]), config)
    assert over.exhausted_at == NOON


def test_soon_after_midnight(config):
    """The rate is that of the last hour, yesterday's end in it; what was sent then is not today's."""
    at = MIDNIGHT + 5 * MINUTE
    attempts = [sent(at - 30 * MINUTE, 2 * MB), sent(at - MINUTE)]
    (day,) = rest_of_day(status(config, at=at, attempts=attempts), config)
    assert (day.rate, day.basis, day.sent[-1].bytes) == (3 * MB, HOUR, MB)


def test_a_replay_is_no_rate(config):
    """What was replayed is used but does not go on; what waits of replays is expected, up to their share."""
    replayed = sent(MIDNIGHT + HOUR, 5 * MB, replay=True)
    (day,) = rest_of_day(status(config, attempts=[replayed]), config)
    assert (day.rate, day.expected) == (0, 5 * MB)
    waits_too = waits(9, size=60 * MB, replay="r")
    (day,) = rest_of_day(status(config, attempts=[replayed], replays=[waits_too]), config)
    assert day.expected == 25 * MB


def test_what_waits_is_expected(config):
    """A bridge that has just begun has sent nothing: by the reset what waits now will be."""
    (day,) = rest_of_day(status(config, [waits(size=7 * MB)]), config)
    assert (day.rate, day.expected) == (0, 7 * MB)


@given(attempts=attempts, size=st.integers(1, 40 * MB))
def test_more_is_never_less(config, attempts, size):
    """Who has sent more is expected to send more, and to be out of bytes no later; curves never fall."""
    (day,) = rest_of_day(status(config, attempts=attempts), config)
    (more,) = rest_of_day(status(config, attempts=[*attempts, sent(NOON - MINUTE, size)]), config)
    assert more.expected >= day.expected + size
    assert day.exhausted_at is None or more.exhausted_at <= day.exhausted_at
    for curve in (day.sent, day.ahead):
        assert all(one.at <= two.at and one.bytes <= two.bytes for one, two in pairwise(curve))
    assert day.sent[-1] == day.ahead[0]
    assert (day.exhausted_at is None) == (day.expected <= day.general)


def test_a_begun_file_goes_before_its_audience(config):
    """The audience's slot is that of the file that is under way."""
    file = Unfinished(
        name="f",
        audience=client(0),
        bytes=MB,
        begun=True,
        replay="",
        removals_only=False,
        built_at=NOON - MINUTE,
        tried_at=NOON - MINUTE,
        attempts_this_hour=1,
        next_try_at=NOON + MINUTE,
    )
    slot = slots(status(config, [waits()], unfinished=[file]), config)[client(0)]
    assert (slot.at, slot.hold) == (NOON + MINUTE, Hold.PAUSE)
