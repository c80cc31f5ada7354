"""Soaks: a short one on real parts, and what judges them."""

from itertools import pairwise

import pytest

from tests.soak.flat import MIB, Measure, course, courses
from tests.soak.plan import draw
from tests.soak.samples import Sample
from tests.soak.soak import Soak, soak

SHORT = Soak(seconds=45, seed=176, rate=500)
"""It kills and ends the bridge, kills the broker, freezes and stops the server, and cuts connections."""


@pytest.mark.kafka
@pytest.mark.sshd
@pytest.mark.failure(17, 41)
def test_a_short_soak_loses_nothing_and_nothing_grows(tmp_path):
    """Bridge, broker, server and network are killed, frozen and cut at random: every invariant holds."""
    findings = soak(SHORT, tmp_path, print)
    assert [(one.invariant, one.faults) for one in findings if one.faults] == []


def test_the_short_soak_has_something_of_everything():
    """Each part is broken, and the bridge is killed as well as ended in order."""
    kinds = {(one.part, one.kind) for one in draw(SHORT.seed, SHORT.seconds)}
    assert {part for part, _ in kinds} == {"bridge", "sshd", "network", "broker"}
    assert kinds > {("bridge", "killed"), ("bridge", "terminated"), ("broker", "killed"), ("sshd", "frozen")}


def test_a_plan_is_its_seeds():
    """The same seed draws the same incidents, another one others; of one part none overlap."""
    plan = draw(5, 600)
    assert plan == draw(5, 600)
    assert plan != draw(6, 600)
    for part in {one.part for one in plan}:
        own = [one for one in plan if one.part == part]
        assert all(one.at + one.hold < other.at for one, other in pairwise(own))


def sample(at, memory=200 * MIB, **more):
    """A look at a bridge of which nothing grows."""
    quiet = dict.fromkeys(Sample.__dataclass_fields__, 0) | {"descriptors": 40, "threads": 20, "runs": 10}
    return Sample(**quiet | {"at": float(at), "life": 1, "memory": memory} | more)


def test_what_grows_all_the_time_is_found():
    """Two megabytes, a descriptor, a thread and three runs a second are too much; what stays is not."""
    names = {one.what for one in courses([sample(at) for at in range(120)], 0) if one.flat}
    assert len(names) == 6
    growing = [
        sample(at, memory=(200 + 2 * at) * MIB, descriptors=40 + 4 * at, threads=20 + at, runs=10 + 3 * at)
        for at in range(120)
    ]
    found = {one.what for one in courses(growing, 0) if not one.flat}
    assert found == {
        "process 1: resident memory",
        "process 1: descriptors beside runs",
        "process 1: threads",
        "spool: runs",
    }


def test_a_short_life_is_not_judged():
    """A process that is still filling its pools says nothing, and few looks say nothing."""
    assert [one for one in courses([sample(at) for at in range(10)], 100) if one] == []
    measure = Measure(name="memory", what="memory", share=0, room=0)
    assert course("memory", measure, [sample(at) for at in range(10)]) is None
