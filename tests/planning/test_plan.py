"""`plan`: its arithmetic, and that what it promises is kept by the rules that deliver."""

import gzip
from dataclasses import dataclass, field, replace
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.lines import render
from bridge.audience.merge import latest
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import QuotaSettings, RollSettings
from bridge.deliver.quota import Attempt, room
from bridge.deliver.schedule import Deliver, Rooms, Wait, Waiting, decide
from bridge.planning.demand import Demand, Demands, different, scaled, together
from bridge.planning.demand import given as spread
from bridge.planning.plan import ROLLS, plan
from bridge.planning.topic_demand import measured
from tests.parts.audiences import DISPLAY, frame
from tests.service.test_forecast import client, configured

MB = 1_000_000
NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return configured(tmp_path_factory.mktemp("plan"), files=20, size=100)


def demand(number=0, *, rate=1.0, size=10.0, kinds=None):
    return Demand(
        audience=client(number), events=rate, memberships=rate, bytes_per_membership=size, different=kinds
    )


def planned(config, *demands, **roll):
    changed = config.model_copy(update={"roll": config.roll.model_copy(update=roll)})
    return plan(Demands(each=together(demands), basis=()), changed)


def account(config, *demands, **roll):
    (found,) = planned(config, *demands, **roll).accounts
    return found


def test_one_audience(config):
    """Four files an hour at 15 minutes, ten bytes for each of 86,400 memberships, no wait but the guard."""
    found = account(config, demand(rate=1))
    assert 3.9 < found.files_per_hour <= 4
    assert 864_000 <= found.bytes_per_day < 900_000
    assert (found.fits, found.tight, found.accounts) == (True, False, 1)
    (audience,) = found.audiences
    assert audience.usual_delay == 15 * MINUTE
    assert 15 * MINUTE < audience.longest_delay <= 17 * MINUTE


def test_windows_are_delivered_whole(config):
    """Due five minutes after its first event, a delivery holds a window of four, the next one the next."""
    slow = config.model_copy(update={"window": config.window.model_copy(update={"max_age": 4 * MINUTE})})
    found = account(slow, demand(rate=10), max_age=5 * MINUTE)
    assert found.files_per_hour == pytest.approx(15, rel=0.01)


def test_too_many_audiences(config):
    """40 of them ask for 160 files of 20: a round takes two hours, and so much roll.max_age fits."""
    found = planned(config, *(demand(number, rate=1) for number in range(40)))
    (only,) = found.accounts
    assert 155 < only.files_per_hour <= 160
    assert not found.fits
    assert all(2 * HOUR - MINUTE < one.usual_delay < 2 * HOUR + MINUTE for one in only.audiences)
    assert all(one.longest_delay <= 2 * HOUR + 17 * MINUTE for one in only.audiences)
    assert found.fitting_roll == 2 * HOUR
    assert only.accounts == 8


def test_too_many_bytes(config):
    """200 MB a day of 100: no roll fits, no delay can be promised, and three accounts hold four audiences."""
    found = planned(config, *(demand(number, rate=58, size=10) for number in range(4)))
    (only,) = found.accounts
    assert 200 * MB < only.bytes_per_day < 205 * MB
    assert only.bytes_limit == 95 * MB
    assert (found.fits, found.fitting_roll, only.accounts) == (False, None, 4)
    assert {one.longest_delay for one in only.audiences} == {None}


def test_an_audience_that_fits_in_no_account(config):
    """It cannot be divided: no number of accounts helps, and that is said."""
    assert account(config, demand(rate=1000)).accounts is None


def test_a_reserve_that_leaves_nothing(config):
    """An account that keeps all its bytes for removals holds nothing else; that is told, as any other."""
    (one,) = config.accounts
    quota = one.quota.model_copy(update={"removals_reserve": 0.999_999_999})
    kept = config.model_copy(update={"accounts": (one.model_copy(update={"quota": quota}),)})
    found = account(kept, demand(rate=1))
    assert (found.fits, found.accounts) == (False, None)


def test_merging_saves_bytes(config):
    """Of memberships that come again and again a longer roll makes fewer bytes, until they fit."""
    found = planned(config, demand(rate=500, kinds=300_000))
    assert found.accounts[0].bytes_per_day > 95 * MB
    assert found.fitting_roll > found.roll
    longer = account(config, demand(rate=500, kinds=300_000), max_age=found.fitting_roll)
    assert longer.fits
    assert longer.bytes_per_day < found.accounts[0].bytes_per_day


def test_large_files_go_earlier_and_in_parts(config):
    """One that reaches roll.max_bytes is due before its age; one that is too large is several files."""
    early = account(config, demand(rate=100), max_age=HOUR, max_bytes=MB)
    assert early.audiences[0].usual_delay == 17 * MINUTE
    small = QuotaSettings(max_file_bytes=100_000, bytes_per_day=100 * MB)
    accounts = (config.accounts[0].model_copy(update={"quota": small}),)
    parts = plan(
        Demands(each=(demand(rate=100),), basis=()), config.model_copy(update={"accounts": accounts})
    )
    assert parts.accounts[0].files_per_hour == pytest.approx(40, abs=0.1)


def test_tight(config):
    """Bytes that are all but used up fit, but nothing is promised: near midnight the last files may wait."""
    found = account(config, demand(rate=95 * MB / 10 / 86_400 * 0.98))
    assert (found.fits, found.tight) == (True, True)
    assert found.audiences[0].longest_delay is None


def test_an_audience_of_two_streams():
    """It is one audience: rates add up, and bytes by their weight."""
    (both,) = together([demand(rate=1, size=8, kinds=10), demand(rate=3, size=16, kinds=20)])
    assert (both.memberships, both.bytes_per_membership, both.different) == (4, 14, 30)
    (both,) = together([demand(), demand(kinds=5)])
    assert both.different is None


def test_a_rate_that_is_given(config):
    """It is spread evenly over the streams, and over what each stream's events may be."""
    demands = spread(config, 100)
    assert {one.audience.mobile: one.events for one in demands.each} == {False: 50, True: 50}
    assert sum(one.memberships for one in demands.each) == pytest.approx(160)
    assert "100 events a second, as given" in demands.basis[0]
    twice = scaled(demands, 200, 100)
    assert sum(one.memberships for one in twice.each) == pytest.approx(320)


@given(kinds=st.integers(1, 10**6), come=st.integers(1, 10**6))
def test_how_many_differ(kinds, come):
    """What was drawn from so many is told back, from how many are left when merged."""
    drawn = Demand(
        audience=DISPLAY, events=1, memberships=come, bytes_per_membership=1, different=float(kinds)
    )
    left = drawn.merged(SECOND)
    assert left <= min(come, kinds) * (1 + 1e-9)
    told = different(come, round(left))
    if told is None:
        assert come - left < 1
    elif 0.1 < come / kinds < 3 and left > 1000:
        assert told == pytest.approx(kinds, rel=0.05)


@pytest.mark.parametrize(("users", "segments"), [(2_000, 10), (20_000, 1000), (10**6, 10**6)])
def test_a_file_is_as_large_as_a_sample_says(users, segments):
    """From a fifth of its events a file is told to 10 % less or 30 % more, however often users come again."""
    chance = Random(1)
    rows = frame(
        DISPLAY,
        [
            (chance.randrange(users) * 2**32, 1 + chance.randrange(segments), 0, NOW, 0, 0, number)
            for number in range(50_000)
        ],
    ).with_columns(pl.col("hi").hash(seed=1), pl.col("lo").hash(seed=2))
    told = measured(DISPLAY, rows[:10_000], "9999999", 6).file_bytes(5 * SECOND)
    real = measured(DISPLAY, rows, "9999999", 6).file_bytes(SECOND)
    text = render(DISPLAY, latest(DISPLAY, rows), "9999999").text
    assert real == pytest.approx(len(gzip.compress(text, 6)), rel=0.05)
    assert 0.9 * real < told < 1.3 * real


rates = st.lists(
    st.tuples(
        st.sampled_from([1e-4, 0.01, 0.5, 3, 40, 400]), st.sampled_from([None, 1000, 10**6]), st.booleans()
    ),
    min_size=1,
    max_size=12,
).map(
    lambda each: [
        demand(number, rate=rate, size=30 if large else 8, kinds=kinds)
        for number, (rate, kinds, large) in enumerate(each)
    ]
)
rolls = st.sampled_from(ROLLS)


@settings(max_examples=40)
@given(demands=rates, factor=st.floats(1, 20), roll=rolls)
def test_more_never_fits_better(config, demands, factor, roll):
    """With a higher rate no fewer files are asked for, and what did not fit still does not."""
    less = account(config, *demands, max_age=roll)
    more = account(config, *(one.times(factor) for one in demands), max_age=roll)
    assert more.files_per_hour >= less.files_per_hour * (1 - 1e-9)
    assert less.fits or not more.fits
    assert more.accounts is None or (less.accounts is not None)


@dataclass
class Life:
    """An account for hours on a virtual clock, by the rules that deliver: what comes, evenly, in windows."""

    demands: list[Demand]
    quota: QuotaSettings
    roll: RollSettings
    window: int
    start: int
    chance: Random
    waiting: dict = field(default_factory=dict)
    attempts: list = field(default_factory=list)
    oldest: dict = field(default_factory=dict)
    served: dict = field(default_factory=dict)

    def run(self, duration):
        now, looked = self.start, self.start
        sealed = now + self.chance.randrange(self.window)
        while now < self.start + duration:
            now = min(sealed, looked)
            if now == sealed:
                self.seal(sealed)
                sealed, looked = now + self.window, min(looked, now + 5 * SECOND)
            if now == looked:
                looked = min(self.deliver(now), now + HOUR)
        for audience, rows in self.waiting.items():
            self.late(audience, now - rows.oldest_read_at)

    def seal(self, now):
        """A window of each audience that has had an event in it."""
        for one in self.demands:
            events = one.events * self.window / SECOND
            if events < 1 and self.chance.random() > events:
                continue
            rows = max(1, round(one.merged(self.window)))
            known = self.waiting.get(one.audience)
            self.waiting[one.audience] = Waiting(
                audience=one.audience,
                memberships=rows + (known.memberships if known else 0),
                expected_bytes=int(rows * one.bytes_per_membership) + (known.expected_bytes if known else 0),
                oldest_read_at=known.oldest_read_at if known else now - self.window,
                served_at=self.served.get(one.audience),
                replay="",
                has_removals=False,
            )

    def deliver(self, now):
        """All that may go now; when to look again."""
        while True:
            live = room(self.quota, self.attempts, now, 0)
            step = decide(now, [*self.waiting.values()], [], Rooms(live=live, replay=live), self.roll)
            if isinstance(step, Wait):
                return now + DAY if step.until is None else max(now + SECOND, step.until)
            assert isinstance(step, Deliver)
            self.send(now, step)

    def send(self, now, step):
        rows = self.waiting.pop(step.audience)
        (one,) = (one for one in self.demands if one.audience == step.audience)
        size = int(one.file_bytes(now - rows.oldest_read_at))
        self.served[step.audience] = now
        part = min(size, step.max_bytes)
        if part < size:
            left = int(rows.expected_bytes * (size - part) / size)
            self.waiting[step.audience] = replace(rows, expected_bytes=left, served_at=now)
        self.attempts = [one for one in self.attempts if one.started_at >= now - now % DAY - HOUR]
        self.attempts.append(Attempt(started_at=now, ended_at=now, bytes=part, replay=False))
        self.late(step.audience, now - rows.oldest_read_at)

    def late(self, audience, age):
        self.oldest[audience] = max(age, self.oldest.get(audience, 0))


@settings(max_examples=20)
@given(demands=rates, roll=rolls, seed=st.integers(0, 99), window=st.sampled_from([60, 240]))
def test_what_is_promised_is_kept(config, demands, roll, seed, window):
    """Eight hours over midnight: no membership waits longer than promised, no more bytes go than planned."""
    changed = config.model_copy(
        update={
            "roll": config.roll.model_copy(update={"max_age": roll}),
            "window": config.window.model_copy(update={"max_age": window * SECOND}),
        }
    )
    (expected,) = plan(Demands(each=together(demands), basis=()), changed).accounts
    life = Life(
        demands=demands,
        quota=config.accounts[0].quota,
        roll=changed.roll,
        window=window * SECOND,
        start=1_790_000_000_000 // DAY * DAY + 20 * HOUR,
        chance=Random(seed),
    )
    life.run(8 * HOUR)
    for one in expected.audiences:
        if one.longest_delay is not None:
            assert life.oldest.get(one.audience, 0) <= one.longest_delay, one
