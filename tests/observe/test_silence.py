"""When a thread is given up: by looks at its beats, whatever the clock does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.observe.health import SILENCE
from bridge.observe.silence import Patience, Silences, given_up, look

START = 1_790_000_000_000
PATIENCE = Patience()
LOOK = SECOND // 5
"""How often the process looks."""


def looked(looks, patience=PATIENCE):
    """What is known after these looks: an instant and the beats then, each."""
    known = Silences()
    for now, beats in looks:
        known = look(known, beats, now, patience)
    return known


def test_healthz_tells_before_the_process_ends():
    """Whoever restarts what is ill has five minutes for it before the process ends by itself."""
    assert PATIENCE.give_up - SILENCE == 5 * MINUTE


def test_a_silent_thread_is_given_up_and_no_other():
    """Ten minutes after its last beat, neither sooner nor much later, while the others beat."""
    known, now = Silences(), START
    while not given_up(known, PATIENCE):
        known = look(known, {"ingest": START, "deliver a": now}, now, PATIENCE)
        now += LOOK
    assert given_up(known, PATIENCE) == {"ingest": 10 * MINUTE}
    assert now - LOOK == START + 10 * MINUTE


def test_one_beat_is_enough():
    """A thread that beats just before it would be given up begins anew."""
    looks = [(START + at * SECOND, {"ingest": START}) for at in range(599)]
    looks += [(START + at * SECOND, {"ingest": START + 599 * SECOND}) for at in range(599, 1100)]
    assert given_up(looked(looks), PATIENCE) == {}


def test_a_thread_that_is_through_is_forgotten():
    """Who no longer works is not waited for; under the same name a later one begins anew."""
    looks = [(START + at * SECOND, {"ingest": START}) for at in range(500)]
    looks += [(START + 500 * SECOND, {})]
    looks += [(START + at * SECOND, {"ingest": START}) for at in range(501, 1000)]
    assert given_up(looked(looks), PATIENCE) == {}


def test_a_process_that_was_suspended_is_well():
    """A machine sleeps for a day, again and again: nobody could beat then, so nobody is given up."""
    now, looks = START, []
    for _ in range(1000):
        looks += [(now, {"ingest": now}), (now + HOUR, {"ingest": now})]
        now += DAY
    assert given_up(looked(looks), PATIENCE) == {}
    assert max(looked(looks[:-1]).silent.values()) == 0


@given(
    jumps=st.lists(
        st.tuples(st.integers(-DAY, DAY), st.integers(1, 100), st.sets(st.sampled_from("abc"), max_size=3)),
        max_size=30,
    )
)
def test_no_jump_of_the_clock_makes_a_thread_silent(jumps):
    """However the clock is set: who beats once in a hundred looks is never given up."""
    now, known, last = START, Silences(), {"a": START, "b": START, "c": START}
    quiet = dict.fromkeys("abc", 0)
    for jump, looks, silent in jumps:
        now += jump
        for _ in range(looks):
            now += LOOK
            for thread in last:
                quiet[thread] += 1
                if thread not in silent or quiet[thread] >= 100:
                    last[thread], quiet[thread] = now, 0
            known = look(known, last, now, PATIENCE)
    assert given_up(known, PATIENCE) == {}


@settings(max_examples=20)  # each is some thousand looks
@given(jump=st.integers(-DAY, DAY), at=st.integers(0, 100))
def test_a_hung_thread_is_found_whatever_the_clock_does(jump, at):
    """A jump delays or hastens the end by no more than one look counts."""
    known, now, looks = Silences(), START, 0
    while not given_up(known, PATIENCE):
        now += LOOK + (jump if looks == at else 0)
        known = look(known, {"ingest": START}, now, PATIENCE)
        looks += 1
    assert abs(looks - 1 - PATIENCE.give_up // LOOK) <= PATIENCE.longest_look // LOOK
