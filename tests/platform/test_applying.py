"""Applying: done once or clearly told as not done, whatever becomes of the answer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.clock import SECOND
from bridge.platform.api import CallFailed, Outcome
from bridge.platform.applying import Applied, NotApplied, Verdict, apply
from bridge.platform.plan import Plan, planned
from bridge.platform.segments import Held, Listing, Segments
from bridge.sandbox.faults import Kind
from bridge.taxonomy import Node, Rules, Taxonomy, read
from tests.parts.clocks import HandClock
from tests.parts.holding import HoldingPlatform, nodes
from tests.parts.proxy import Proxy
from tests.parts.segments import START
from tests.parts.vendor import Vendor
from tests.parts.waiting import until

FILES = Path(__file__).parents[1] / "taxonomy" / "fixtures"
ACME = read(FILES / "seed_example.yaml", Rules()).taxonomy
VENDOR = 1234
SETTLING = 20 * SECOND


def dearer(taxonomy: Taxonomy) -> Taxonomy:
    """Its first segment costs more."""
    first, *others = taxonomy.root.children
    children = (replace(first, retail_cpm=Decimal("1.25")), *others)
    return replace(taxonomy, root=replace(taxonomy.root, children=children))


def run(plan: Plan, vendor: Vendor, client: Segments) -> Applied:
    return apply(plan, client, vendor.waited, settling=SETTLING)


BEHIND_AN_ANSWER = {
    Kind.CUT_AFTER: Verdict.DONE,
    Kind.CUT_WITHIN: Verdict.DONE,
    Kind.CUT_BEFORE: Verdict.NOT_SHOWN,
    Kind.SERVER_ERROR: Verdict.NOT_SHOWN,
    Kind.UNAVAILABLE: Verdict.NOT_SHOWN,
    Kind.NOT_JSON: Verdict.NOT_SHOWN,
}


@pytest.mark.parametrize("kind", BEHIND_AN_ANSWER)
def test_a_creation_whose_answer_is_lost(vendor: Vendor, kind: Kind):
    """It is looked for by its name before anything is said; run again, there is one taxonomy, not two."""
    with vendor.running(), vendor.client() as client:
        vendor.meet(kind, writes=True)
        result = run(planned(None, ACME, VENDOR), vendor, client)
        done = BEHIND_AN_ANSWER[kind] is Verdict.DONE
        assert (result.verdict, result.taxonomy_id) == (BEHIND_AN_ANSWER[kind], 100123 if done else None)
        assert result.lost.startswith("the Audience Segments API at ")
        assert vendor.one.writes.created == done
        if done:
            with pytest.raises(NotApplied, match="taxonomy 100123 has this name by now; plan again"):
                run(planned(None, ACME, VENDOR), vendor, client)
        else:
            assert run(planned(None, ACME, VENDOR), vendor, client).verdict is Verdict.DONE
        assert (vendor.one.writes.created, len(vendor.one.taxonomies)) == (1, 1)


@pytest.mark.parametrize("kind", BEHIND_AN_ANSWER)
def test_an_update_whose_answer_is_lost(vendor: Vendor, kind: Kind):
    """It is read back before anything is said: done, or shown as it was."""
    with vendor.running(), vendor.client() as client:
        held = client.get(client.create(ACME))
        vendor.meet(kind, writes=True)
        result = run(planned(held, dearer(ACME), VENDOR), vendor, client)
        assert (result.verdict, result.taxonomy_id) == (BEHIND_AN_ANSWER[kind], 100123)
        assert result.lost
        assert vendor.one.writes.updated == (result.verdict is Verdict.DONE)


@pytest.mark.parametrize("kind", [Kind.FORBIDDEN, Kind.CONFLICT, Kind.NOT_FOUND, Kind.TOO_MANY_WRITES])
@pytest.mark.parametrize("new", [True, False])
def test_a_write_that_was_not_done(vendor: Vendor, kind: Kind, *, new: bool):
    """It says so, with the platform's word for it."""
    with vendor.running(), vendor.client() as client:
        held = None if new else client.get(client.create(ACME))
        vendor.meet(kind, times=9, writes=True)
        with pytest.raises(NotApplied, match=r"nothing was changed: the Audience Segments API at .*HTTP 4"):
            run(planned(held, dearer(ACME), VENDOR), vendor, client)
        assert vendor.one.writes.updated == 0


def test_the_platform_changed_since_the_plan(vendor: Vendor):
    """Another's change is not written over: of a node, or of what a look alone tells (updated_on)."""
    with vendor.running(), vendor.client() as client:
        held = client.get(client.create(ACME))
        plan = planned(held, dearer(ACME), VENDOR)
        vendor.clock.at += SECOND
        client.update(held.taxonomy)
        with pytest.raises(NotApplied, match="taxonomy 100123 is another than it was planned on; plan again"):
            run(plan, vendor, client)
        assert vendor.one.writes.updated == 1


def test_an_addition_gets_its_id_once(vendor: Vendor):
    """An update that is lost behind its answer, and applied again, has added nothing twice."""
    new = Node(name="New", code="5", uniques=1, retail_cpm=Decimal(1), buyable=True)
    file = replace(ACME, root=replace(ACME.root, children=(*ACME.root.children, new)))
    with vendor.running(), vendor.client() as client:
        taxonomy_id = client.create(ACME)
        vendor.meet(Kind.CUT_AFTER, writes=True)
        run(planned(client.get(taxonomy_id), file, VENDOR), vendor, client)
        assert not planned(client.get(taxonomy_id), file, VENDOR).difference
        assert vendor.one.taxonomies[0].taxonomy.nodes == 4


class Odd(HoldingPlatform):
    """A platform that takes an update otherwise than it should."""

    def __init__(self, does: Callable[[dict], None] = lambda _: None, *, late: int = 0) -> None:
        super().__init__()
        self.does = does
        self.late = late
        """Looks until it shows an update."""
        self.blind = False
        """After an update nothing can be looked at."""
        self.looks = 0
        self._before: dict[int, dict] = {}

    def update(self, taxonomy: Taxonomy) -> None:
        self._before = dict(self.bodies)
        super().update(taxonomy)
        self.does(self.bodies[taxonomy.taxonomy_id]["taxonomy"])

    def list(self, *, name: str | None = None) -> Listing:
        return super().list(name=name)

    def get(self, taxonomy_id: int) -> Held:
        if not self._before:
            return super().get(taxonomy_id)
        if self.blind:
            raise CallFailed("it is not reachable", outcome=Outcome.NOT_DONE)
        self.looks += 1
        if self.looks > self.late:
            return super().get(taxonomy_id)
        now, self.bodies, self.posts = self.bodies, self._before, self.posts - 1
        try:
            return super().get(taxonomy_id)
        finally:
            self.bodies, self.posts = now, self.posts + 1


def updated(platform: Odd) -> Applied:
    clock = HandClock(START)
    created = apply(planned(None, ACME, VENDOR), platform, clock, settling=0)
    plan = planned(platform.get(created.taxonomy_id), dearer(ACME), VENDOR)
    return apply(plan, platform, clock, settling=SETTLING)


def test_what_is_shown_late_is_waited_for():
    """A 202 means that it is taken in some time: it is looked at again, for a bounded time."""
    assert updated(Odd(late=4)).verdict is Verdict.DONE
    late = Odd(late=10**6)
    assert updated(late).verdict is Verdict.NOT_SHOWN
    assert late.looks < 15


def test_what_cannot_be_looked_at_is_not_known():
    """Neither done nor not done is said."""
    blind = Odd()
    blind.blind = True
    result = updated(blind)
    assert (result.verdict, result.unseen) == (Verdict.NOT_KNOWN, "it is not reachable")


def rounded(root: dict) -> None:
    for node in nodes(root):
        if "retail_cpm" in node:
            node["retail_cpm"] = int(node["retail_cpm"])


def lost(root: dict) -> None:
    del root["children"][1]


def renumbered(root: dict) -> None:
    root["children"][0]["id"] += 10**6


def test_what_the_platform_made_of_it_is_told_field_by_field():
    """A price that it rounded, a node that it lost, an id that it changed."""
    result = updated(Odd(rounded))
    (change,) = result.missing.changes
    assert result.verdict is Verdict.DIFFERENT
    assert [(one.field, one.old, one.new) for one in change.fields] == [
        ("retail_cpm", Decimal(1), Decimal("1.25"))
    ]
    result = updated(Odd(lost))
    assert [(one.kind.value, one.path[-1]) for one in result.missing.changes] == [("added", "Acme Segment 2")]
    result = updated(Odd(renumbered))
    assert result.verdict is Verdict.DIFFERENT
    assert [path[-1] for path, _ in result.strangers] == ["Acme Segment 1"]


def test_several_of_one_name():
    """Which one is meant is asked, and nothing is created."""
    platform = HoldingPlatform()
    platform.create(ACME)
    platform.create(ACME)
    with pytest.raises(Exception, match="have this name; say which with --id"):
        apply(planned(None, ACME, VENDOR), platform, HandClock(START), settling=0)
    assert platform.posts == 2


def test_a_crash_between_a_post_and_its_answer(vendor: Vendor):
    """A process that is killed when the platform has created: run again, there is one taxonomy."""
    file = FILES / "seed_example.yaml"
    with vendor.running():
        proxy = Proxy(vendor.one.http.port)
        through = vendor.url("").replace(str(vendor.one.http.port), str(proxy.port))
        config = vendor.write_config(url=through)
        command = [
            sys.executable,
            "-m",
            "bridge",
            "taxonomy",
            "apply",
            str(file),
            "--config",
            str(config),
            "--yes",
        ]
        stopped = []

        def stop(sent: bytes) -> bool:
            if b'"children"' in sent:
                os.kill(process.pid, signal.SIGSTOP)
                stopped.append(process.pid)
            return False

        proxy.lose_reply_to = stop
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            until(lambda: stopped and vendor.one.writes.created == 1, "the creation")
            process.kill()
            assert "Done" not in process.communicate()[0]
        proxy.lose_reply_to = None
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        proxy.close()
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout == "No changes: taxonomy 100123 is as it should be.\n"
        assert (vendor.one.writes.created, len(vendor.one.taxonomies)) == (1, 1)
