"""What is planned comes true on a model of the platform, and says honestly what it changes."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.config import Stream
from bridge.platform.applying import Verdict, apply
from bridge.platform.plan import Plan, disagreements, faults, planned
from bridge.taxonomy import Form, Kind, Node, Permissions, Rules, Taxonomy, read_bytes
from tests.parts.holding import HoldingPlatform
from tests.taxonomy.test_round_trip import PRICES, taxonomies

VENDOR = 7
CODES = st.integers(1, 2**31 - 1).map(str)
SLOW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class Draft:
    """A node that may still be changed."""

    def __init__(self, node: Node) -> None:
        self.fields = {name: getattr(node, name) for name in Node.__slots__ if name != "children"}
        self.children = [Draft(child) for child in node.children]

    def below(self) -> Iterator[tuple["Draft", "Draft"]]:
        """Each node below, behind its parent."""
        for child in self.children:
            yield self, child
            yield from child.below()

    def forget_ids(self) -> None:
        """As a CSV does."""
        for one in (self, *(one for _, one in self.below())):
            one.fields["id"] = None

    def node(self) -> Node:
        """Names of siblings differ."""
        names = set[str]()
        for child in self.children:
            while child.fields["name"] in names:
                child.fields["name"] += "2"
            names.add(child.fields["name"])
        return Node(**self.fields, children=tuple(child.node() for child in self.children))


def rename(draw, _root: Draft, _parent: Draft, node: Draft) -> None:
    node.fields["name"] = draw(st.sampled_from(["A", "B", "C", "Мода"]))


def remove(_draw, _root: Draft, parent: Draft, node: Draft) -> None:
    parent.children.remove(node)


def move(draw, root: Draft, parent: Draft, node: Draft) -> None:
    inside = [node, *(one for _, one in node.below())]
    others = [root, *(one for _, one in root.below() if one not in inside)]
    parent.children.remove(node)
    draw(st.sampled_from(others)).children.append(node)


def price(draw, _root: Draft, _parent: Draft, node: Draft) -> None:
    node.fields["retail_cpm"] = draw(PRICES)


def recode(draw, _root: Draft, _parent: Draft, node: Draft) -> None:
    if node.fields["code"]:
        node.fields["code"] = draw(CODES)


def unsell(_draw, _root: Draft, _parent: Draft, node: Draft) -> None:
    node.fields |= {"code": None, "buyable": False}


def add(draw, _root: Draft, _parent: Draft, node: Draft) -> None:
    node.children.append(Draft(Node(name=draw(st.sampled_from("ABN")), code=draw(CODES), buyable=True)))


def swap(draw, root: Draft, _parent: Draft, node: Draft) -> None:
    other = draw(st.sampled_from([one for _, one in root.below()]))
    for field in ("code", "buyable"):
        node.fields[field], other.fields[field] = other.fields[field], node.fields[field]


EDITS = [rename, remove, move, price, recode, unsell, add, swap]


@st.composite
def edited(draw, taxonomy: Taxonomy) -> Taxonomy:
    """What somebody makes of a taxonomy: a file without ids, or with those that it had."""
    root = Draft(taxonomy.root)
    for edit in draw(st.lists(st.sampled_from(EDITS), max_size=6)):
        pairs = list(root.below())
        if pairs:
            edit(draw, root, *draw(st.sampled_from(pairs)))
    codes = [one.fields["code"] for _, one in root.below() if one.fields["code"]]
    assume(len(codes) == len(set(codes)))
    if draw(st.booleans()):
        root.forget_ids()
    permissions = draw(st.none() | st.just(Permissions(agencies=(1, 2))) | st.just(taxonomy.permissions))
    return Taxonomy(root=root.node(), use_hash=taxonomy.use_hash, permissions=permissions)


def posted(platform: HoldingPlatform, plan: Plan) -> int:
    result = apply(plan, platform, SystemClock(), settling=0)
    assert (result.verdict, bool(result.missing)) == (Verdict.DONE, False)
    assert result.taxonomy_id is not None
    return result.taxonomy_id


@SLOW
@given(data=st.data(), first=taxonomies(bare=True))
def test_what_is_planned_comes_true(data, first):
    """Apply(plan(a, b)) gives b, with the ids of what was there before; then there is nothing to plan."""
    platform = HoldingPlatform()
    taxonomy_id = posted(platform, planned(None, first, VENDOR))
    before = platform.get(taxonomy_id)
    file = data.draw(edited(before.taxonomy))
    plan = planned(before, file, VENDOR)
    assert list(faults(before, file, VENDOR, file.permissions)) == []
    if plan.difference:
        posted(platform, plan)
    after = platform.get(taxonomy_id)
    assert not planned(after, file, VENDOR).difference
    assert shape(after.taxonomy) == shape(file)
    added, removed = (len(list(plan.difference.of_kind(kind))) for kind in (Kind.ADDED, Kind.REMOVED))
    assert after.taxonomy.nodes == before.taxonomy.nodes + added - removed
    kept = {node.id for _, node in before.taxonomy.walk()} & {node.id for _, node in after.taxonomy.walk()}
    assert len(kept) == before.taxonomy.nodes - removed


def shape(taxonomy: Taxonomy) -> dict:
    """All that a file says of nodes, in no order."""
    return {path: (node.code, node.buyable) for path, node in taxonomy.walk()}


@SLOW
@given(data=st.data(), first=taxonomies(bare=True))
def test_a_code_keeps_its_id(data, first):
    """A file without ids: a segment of the same code is the same segment, wherever it stands by now."""
    platform = HoldingPlatform()
    taxonomy_id = posted(platform, planned(None, first, VENDOR))
    before = platform.get(taxonomy_id).taxonomy
    file = data.draw(edited(before))
    wanted = planned(platform.get(taxonomy_id), without_ids(file), VENDOR).wanted
    for code in before.codes & wanted.codes:
        assert before.at(before.path_of(code)).id == wanted.at(wanted.path_of(code)).id


def without_ids(taxonomy: Taxonomy) -> Taxonomy:
    root = Draft(taxonomy.root)
    root.forget_ids()
    return Taxonomy(root=root.node(), use_hash=taxonomy.use_hash, permissions=taxonomy.permissions)


BEFORE = b"""
taxonomy:
  name: Acme
  children:
    - name: Cars
      children:
        - {name: Buyers, code: 1, uniques: 10, wholesale_cpm: 1, retail_cpm: 2}
        - {name: Sellers, code: 2, uniques: 20, wholesale_cpm: 1, retail_cpm: 2}
    - name: Food
      children:
        - {name: Cooks, code: 3, uniques: 30, wholesale_cpm: 1, retail_cpm: 2}
"""


def read(text: bytes) -> Taxonomy:
    reading = read_bytes(text, "file.yaml", Form.YAML, Rules())
    assert reading.faults == ()
    return reading.taxonomy


@pytest.fixture
def platform() -> HoldingPlatform:
    """Holds BEFORE, as its only taxonomy."""
    platform = HoldingPlatform()
    posted(platform, planned(None, read(BEFORE), VENDOR))
    return platform


def held(platform: HoldingPlatform):
    (taxonomy_id,) = platform.bodies
    return platform.get(taxonomy_id)


def changed(platform: HoldingPlatform, *pairs: tuple[bytes, bytes]) -> Plan:
    text = BEFORE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return planned(held(platform), read(text), VENDOR)


def told(plan: Plan) -> list[tuple]:
    return [
        (change.kind.value, change.path[1:], [(one.field, one.old, one.new) for one in change.fields])
        + ((change.moved_from[1:],) if change.moved_from else ())
        for change in plan.difference.changes
    ]


def test_a_renamed_category_is_renamed(platform):
    """Its segments stay what they are, and it keeps its id, though no file without ids says so."""
    plan = changed(platform, (b"name: Cars", b"name: Vehicles"))
    assert told(plan) == [("changed", ("Vehicles",), [("name", "Cars", "Vehicles")])]


def test_a_moved_segment_is_moved(platform):
    """Where it stood is told."""
    line = b"        - {name: Sellers, code: 2, uniques: 20, wholesale_cpm: 1, retail_cpm: 2}\n"
    moved = BEFORE.replace(line, b"") + line
    plan = planned(held(platform), read(moved), VENDOR)
    assert told(plan) == [("changed", ("Food", "Sellers"), [], ("Cars", "Sellers"))]
    assert plan.counts == {"add": 0, "change": 0, "rename": 0, "move": 1, "remove": 0}


def test_what_is_not_said_stays(platform):
    """A file without prices of the provider, permissions or description changes none of them."""
    assert not changed(platform, (b"wholesale_cpm: 1, ", b"")).difference


def test_a_swap_of_codes_is_a_swap_of_names(platform):
    """Codes tell segments apart: who is in a segment goes by its code, whatever it is called."""
    plan = changed(platform, (b"code: 1", b"code: 9"), (b"code: 2", b"code: 1"), (b"code: 9", b"code: 2"))
    assert told(plan) == [
        ("changed", ("Cars", "Buyers"), [("name", "Sellers", "Buyers"), ("uniques", 20, 10)]),
        ("changed", ("Cars", "Sellers"), [("name", "Buyers", "Sellers"), ("uniques", 10, 20)]),
    ]


def test_a_new_code_in_the_same_place(platform):
    """Nothing else has the code, so it is the segment that stood there; what is lost is told."""
    plan = changed(
        platform,
        (b"code: 3", b"code: 4"),
        (b"retail_cpm: 2}\n    - name: Food", b"retail_cpm: 2.5}\n    - name: Food"),
    )
    assert told(plan) == [
        ("changed", ("Cars", "Sellers"), [("retail_cpm", Decimal(2), Decimal("2.5"))]),
        ("changed", ("Food", "Cooks"), [("code", "3", "4")]),
    ]
    assert plan.removals == ("1 segment of 3 can no more be bought",)


def test_an_empty_file_is_worth_a_second_look(platform):
    """The mistake of three in the morning: what is lost stands in the plan, to be allowed explicitly."""
    plan = planned(held(platform), Taxonomy(root=Node(name="Acme"), permissions=None), VENDOR)
    assert plan.removals == ("3 segments of 3 can no more be bought", "5 of 6 nodes are removed")
    category = changed(platform, (b"name: Food\n      children:", b"name: Cars2\n      children:"))
    assert category.removals == ()


def test_nobody_may_see_it_any_more(platform):
    """To take all permissions away is worth a second look, to take one away is not."""
    for permissions in (Permissions(agencies=(1, 2)), Permissions(agencies=(2,)), Permissions()):
        file = Taxonomy(root=read(BEFORE).root, permissions=permissions)
        plan = planned(held(platform), file, VENDOR)
        posted(platform, plan)
    assert [(one.kind, one.id) for one in plan.difference.forbidden] == [("agencies", 2)]
    assert plan.removals == ("nobody is permitted to see it any more",)


def test_codes_that_go_to_other_segments_are_worth_a_second_look(platform):
    """A file with ids may swap codes, or give a lost segment's to another: audiences swap with them."""
    root = held(platform).taxonomy.root
    assert given(platform, root, {"1": "2", "2": "1"}) == ("2 codes go to other segments, audiences and all",)
    assert given(platform, root, {"1": "2", "2": "9"}) == (
        "1 segment of 3 can no more be bought",
        "1 code goes to another segment, audience and all",
    )
    assert given(platform, root, {"1": "9"}) == ("1 segment of 3 can no more be bought",)
    assert given(platform, root, {}) == ()
    cars, *others = root.children
    without = replace(root, children=(replace(cars, children=cars.children[:1]), *others))
    assert given(platform, without, {"1": "2"}) == (
        "1 segment of 3 can no more be bought",
        "1 code goes to another segment, audience and all",
    )


def given(platform: HoldingPlatform, root: Node, codes: dict[str, str]) -> tuple[str, ...]:
    """What is worth a second look where nodes keep their ids and get other codes."""
    draft = Draft(root)
    for _, one in draft.below():
        one.fields["code"] = codes.get(one.fields["code"], one.fields["code"])
    return planned(held(platform), Taxonomy(root=draft.node()), VENDOR).removals


@pytest.mark.parametrize("hashed", [True, False])
def test_other_codes_altogether_are_worth_a_second_look(platform, *, hashed: bool):
    """Hashed or not: audience files must follow. What the platform does not tell is not compared."""
    there = held(platform)
    there = replace(there, taxonomy=replace(there.taxonomy, use_hash=not hashed), tells_hash=True)
    file = replace(read(BEFORE), use_hash=hashed)
    plan = planned(there, file, VENDOR)
    assert [one.field for one in plan.difference.fields] == ["use_hash"]
    (removal,) = plan.removals
    assert removal == f"use_hash becomes {str(hashed).lower()}: every code is read in another way"
    assert planned(replace(there, tells_hash=False), file, VENDOR).removals == ()


STRANGER = (
    "'|Acme|Cars|Buyers': id 5 is no node of taxonomy {}, or not that one; leave it out, or pull the taxonomy"
)


def test_faults_name_what_and_where(platform):
    """Ids of another taxonomy, another vendor, entities that are not granted: each is a line with its id."""
    text = (
        BEFORE.replace(b"code: 1,", b"code: 1, id: 5,") + b"vendor_id: 8\npermissions: {agencies: [1, 2]}\n"
    )
    there = held(platform)
    assert list(faults(there, read(text), VENDOR, Permissions(agencies=(2,), advertisers=(1,)))) == [
        "vendor_id 8 is not the account's, 7; correct one of them",
        STRANGER.format(there.id),
        "permissions: agency 1 is not granted to vendor 7; ask for the grant, or leave it out",
    ]


def test_a_plan_knows_itself(platform):
    """What was kept of a plan is that plan, until the file or the platform is another."""
    plan = changed(platform, (b"code: 3", b"code: 4"))
    kept = plan.to_json()
    assert changed(platform, (b"code: 3", b"code: 4")).same_as(kept)
    assert not changed(platform, (b"code: 3", b"code: 5")).same_as(kept)
    posted(platform, changed(platform, (b"uniques: 10", b"uniques: 11")))
    assert not changed(platform, (b"code: 3", b"code: 4")).same_as(kept)


def test_streams_that_would_send_other_codes_are_told():
    """Hashed codes and numbers do not find each other (seed: Segment Codes)."""
    stream = Stream(name="a", topics=["t"], format="json", segment_namespace="ep", hash_segments=True)
    (line,) = disagreements(read(BEFORE), {2: stream})
    assert line.startswith("the taxonomy has use_hash: false, streams[2] (a) hash_segments: true: ")
    assert list(disagreements(Taxonomy(root=Node(name="A"), use_hash=True), {2: stream})) == []
