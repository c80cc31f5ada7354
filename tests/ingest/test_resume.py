"""Where consuming starts: the table of design.md, invariant 3, and what holds for every history."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ingest.resume import Commit, Mark, Refused, Situation, Start, Taken, start_of

OURS = "spool-a"
TOPIC = "topic-id-1"


def case(**fields):
    blank = Situation(
        topic="acme.segments",
        partition=3,
        topic_id=TOPIC,
        spool=OURS,
        commit=None,
        taken=None,
        low=0,
        high=1000,
        adopt=False,
    )
    return replace(blank, **fields)


def commit(offset, run=5, spool=OURS, topic=TOPIC):
    return Commit(offset=offset, metadata=str(Mark(spool=spool, run=run, topic=topic)))


def taken(next_offset, run):
    return Taken(next_offset=next_offset, run=run)


@pytest.mark.parametrize(
    ("situation", "offset", "noted", "commits"),
    [
        pytest.param(case(), 0, False, False, id="first start"),
        pytest.param(case(low=7), 7, True, False, id="first start of a topic that retention has shortened"),
        pytest.param(case(commit=commit(50)), 50, False, False, id="own commit, its run is gone"),
        pytest.param(case(commit=commit(50), taken=taken(50, 5)), 50, False, False, id="own commit of a run"),
        pytest.param(case(commit=commit(50), taken=taken(80, 6)), 80, True, True, id="sealed, not committed"),
        pytest.param(case(commit=commit(50), taken=taken(80, 5)), 50, False, False, id="older run loses"),
        pytest.param(case(commit=commit(50), taken=taken(40, 6)), 50, False, False, id="commit is ahead"),
        pytest.param(
            case(commit=Commit(offset=20, metadata=""), taken=taken(80, 6)), 20, True, True, id="reset wins"
        ),
        pytest.param(case(taken=taken(80, 6)), 80, True, True, id="offsets expired"),
        pytest.param(
            case(commit=commit(50, topic="topic-id-0"), high=10), 0, True, False, id="topic made anew"
        ),
        pytest.param(
            case(commit=commit(50, topic="topic-id-0"), taken=taken(4, 9), high=10),
            4,
            True,
            True,
            id="topic made anew, consumed, not committed",
        ),
        pytest.param(
            case(commit=commit(50, spool="spool-b"), adopt=True), 50, True, True, id="another spool, adopted"
        ),
        pytest.param(
            case(commit=Commit(offset=50, metadata="flink"), adopt=True), 50, True, True, id="tool, adopted"
        ),
        pytest.param(case(commit=commit(5), low=9, adopt=True), 9, True, True, id="retention, adopted"),
        pytest.param(case(commit=commit(50), high=10, adopt=True), 0, True, True, id="shorter, adopted"),
    ],
)
def test_start(situation, offset, noted, commits):
    """Each kind of start is at its offset; what an operator should know is noted; decisions are kept."""
    start = start_of(situation)
    assert isinstance(start, Start)
    assert (start.offset, start.note is not None, start.commit) == (offset, noted, commits)


@pytest.mark.parametrize(
    ("situation", "gap"),
    [
        pytest.param(case(commit=commit(50, spool="spool-b")), "50", id="another spool"),
        pytest.param(case(commit=Commit(offset=50, metadata="flink v1")), "50", id="another tool"),
        pytest.param(case(commit=commit(50, spool="spool-b"), taken=taken(90, 9)), "90", id="ours beside it"),
        pytest.param(case(commit=commit(5), low=9), "4 offsets, 5 to 8", id="retention passed the commit"),
        pytest.param(case(taken=taken(5, 1), low=9), "4 offsets, 5 to 8", id="retention passed the spool"),
        pytest.param(case(commit=Commit(offset=5, metadata=""), low=9), "5 to 8", id="retention and reset"),
        pytest.param(case(commit=commit(50), high=10), "50, but the topic ends at 10", id="shorter"),
    ],
)
def test_refusal(situation, gap):
    """A start that would skip events is refused in one line with the place, the gap and both ways out."""
    refused = start_of(situation)
    assert isinstance(refused, Refused)
    for part in ("acme.segments", "partition 3", gap, "--adopt", "reset the group's offsets"):
        assert part in refused.message
    assert "\n" not in refused.message


@given(spool=st.uuids().map(str), run=st.integers(0, 2**40), topic=st.text("abcXYZ019_-", min_size=1))
def test_mark_survives(spool, run, topic):
    """A mark is read back from its text as it was written."""
    mark = Mark(spool=spool, run=run, topic=topic)
    assert Mark.parse(str(mark)) == mark


@given(
    st.text() | st.sampled_from(["s2s-bridge/1 a b c", "s2s-bridge/2 a 1 c", "s2s-bridge/1 a 1", "x a 1 c"])
)
def test_foreign_text(text):
    """Text that is none of our marks is read as none, whatever it is; nothing raises."""
    mark = Mark.parse(text)
    assert mark is None or str(Mark.parse(str(mark))) == str(mark)


MAYBE_COMMIT = st.none() | st.builds(
    Commit,
    offset=st.integers(0, 60),
    metadata=st.just("")
    | st.just("other")
    | st.builds(
        lambda spool, run, topic: str(Mark(spool=spool, run=run, topic=topic)),
        st.sampled_from([OURS, "spool-b"]),
        st.integers(0, 9),
        st.sampled_from([TOPIC, "topic-id-0"]),
    ),
)
MAYBE_TAKEN = st.none() | st.builds(Taken, next_offset=st.integers(0, 60), run=st.integers(1, 9))


@given(commit=MAYBE_COMMIT, taken=MAYBE_TAKEN, low=st.integers(0, 60), length=st.integers(0, 60))
def test_nothing_is_skipped_unasked(commit, taken, low, length):
    """Without --adopt a start is never above what commit and spool vouch for, nor outside of the topic."""
    high = low + length
    start = start_of(case(commit=commit, taken=taken, low=low, high=high))
    if isinstance(start, Refused):
        return
    assert low <= start.offset <= high
    known = [
        witness for witness in (commit and commit.offset, taken and taken.next_offset) if witness is not None
    ]
    assert start.offset in {low, *known}
    if start.offset == low and low not in known:
        assert taken is None, "what the spool holds is never taken twice for want of a commit"


@given(commit=MAYBE_COMMIT, taken=MAYBE_TAKEN, low=st.integers(0, 60), length=st.integers(0, 60))
def test_adopting_always_starts(commit, taken, low, length):
    """With --adopt every situation has a start inside of the topic, and the decision does not come again."""
    situation = case(commit=commit, taken=taken, low=low, high=low + length, adopt=True)
    start = start_of(situation)
    assert isinstance(start, Start)
    assert low <= start.offset <= low + length
    if not start.commit:
        return
    newest = taken.run if taken else 0
    mark = Mark(spool=OURS, run=newest, topic=TOPIC)
    kept = replace(situation, commit=Commit(offset=start.offset, metadata=str(mark)), adopt=False)
    assert start_of(kept) == Start(start.offset)


@dataclass
class History:
    """A partition, its consumer and its spool: the truth that the rules are held against."""

    low: int = 0
    high: int = 0
    position: int = 0
    """Next offset to read."""
    commit: Commit | None = None
    runs: list[Taken] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    """Offsets whose events are in some run."""
    excused: set[int] = field(default_factory=set)
    """Offsets that an operator chose to skip, or that went before the first start."""
    number: int = 0

    def seal(self, *, committed):
        self.number += 1
        self.runs.append(Taken(next_offset=self.position, run=self.number))
        if committed:
            self.commit = commit(self.position, run=self.number)

    def read(self, count, *, window):
        taken_now = range(self.position, min(self.high, self.position + count))
        window.update(taken_now)
        self.position = taken_now.stop if taken_now else self.position

    def situation(self):
        newest = max(self.runs, key=lambda taken: taken.run, default=None)
        return case(commit=self.commit, taken=newest, low=self.low, high=self.high)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["produce", "read", "seal", "seal uncommitted", "crash", "reset", "expire", "retire"]
        ),
        st.integers(0, 20),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(STEPS)
def test_every_history_is_resumed_without_loss(steps):
    """Whatever crashes, resets, expired offsets and retired runs came: each offset read past is in a run.

    Only offsets that a reset jumped over are excused.
    """
    past, window = History(), set()
    for step, amount in steps:
        match step:
            case "produce":
                past.high += amount
            case "read":
                past.read(amount, window=window)
            case "seal" | "seal uncommitted" if window:
                past.seal(committed=step == "seal")
                past.held |= window
                window = set()
            case "reset":
                target = past.low + amount % (past.high - past.low + 1)
                past.commit, window = Commit(offset=target, metadata=""), set()
                past.excused |= set(range(past.low, target))
                restart(past)
            case "crash":
                window = set()
                restart(past)
            case "expire":
                past.commit = None
            case "retire":
                past.runs = past.runs[1:]
        assert set(range(past.low, past.position)) <= past.held | past.excused | window


@pytest.mark.parametrize("witness", [commit(3), None], ids=["not committed", "expired"])
def test_a_quiet_topic_is_not_read_again(witness):
    """Where the last commit is missing, the first start makes up for it: the runs may be retired after it."""
    past = History(high=9, position=9, commit=witness, runs=[taken(9, 6)])
    restart(past)
    past.runs = []
    restart(past)
    assert past.position == 9


def restart(past):
    start = start_of(past.situation())
    assert isinstance(start, Start), start
    past.position = start.offset
    if start.commit:
        past.commit = commit(start.offset, run=max((taken.run for taken in past.runs), default=0))
