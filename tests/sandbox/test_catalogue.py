"""What updates make of the taxonomies that are held: rules, over any sequence of updates."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError
from bridge.sandbox.refused import Refused
from bridge.sandbox.taxonomies.catalogue import Catalogue, HeldTaxonomy
from bridge.sandbox.taxonomies.settings import Vendor
from bridge.sandbox.taxonomies.store import Store
from bridge.taxonomy import Node, Permissions, Taxonomy

VENDOR = Vendor()
CODES = st.lists(st.integers(1, 8).map(str), unique=True)


def segment(code: str, ids: dict[str, int | None]) -> Node:
    price = Decimal(code) / 4
    return Node(
        name=f"Segment {code}", code=code, uniques=7, retail_cpm=price, buyable=True, id=ids.get(code)
    )


def ids_of(held: HeldTaxonomy) -> dict[str, int | None]:
    return {node.code or node.name: node.id for _, node in held.taxonomy.walk()}


def new(name: str) -> Taxonomy:
    root = Node(name=name, children=(segment("1", {}),))
    return Taxonomy(root=root, vendor_id=VENDOR.id, permissions=Permissions())


def wanted(held: HeldTaxonomy, top: list[str], below: list[str]) -> Taxonomy:
    """Segments right below the root, and others below a category; with the ids that are known."""
    ids = ids_of(held)
    further = tuple(segment(code, ids) for code in below if code not in top)
    category = Node(name="Category", id=ids.get("Category"), children=further)
    children = (*(segment(code, ids) for code in top), category)
    return replace(held.taxonomy, root=replace(held.taxonomy.root, children=children))


@given(st.lists(st.tuples(st.integers(0, 1), CODES, CODES), max_size=6))
def test_ids_stay_and_are_never_given_again(updates: list[tuple[int, list[str], list[str]]]):
    """Whatever is posted: a node of an id has it still, a new one has an id that none had, others are gone.

    The other taxonomy is as it was, and what is stored is read back the same.
    """
    catalogue = Catalogue().created(new("One"), VENDOR, 1).created(new("Two"), VENDOR, 2)
    ever = {number for held in catalogue.held for number in ids_of(held).values()}
    for now, (which, top, below) in enumerate(updates, 3):
        before = catalogue.held[which]
        posted = wanted(before, top, below)
        other = catalogue.held[1 - which]
        catalogue = catalogue.updated(before.id, posted, VENDOR, now)
        after = catalogue.held[which]
        assert [path for path, _ in after.taxonomy.walk()] == [path for path, _ in posted.walk()]
        known, given_now = ids_of(before), ids_of(after)
        fresh = {name: number for name, number in given_now.items() if name not in known}
        assert given_now == {name: known.get(name, fresh.get(name)) for name in given_now}
        assert len(set(fresh.values())) == len(fresh)
        assert not ever & set(fresh.values())
        ever |= set(fresh.values())
        assert (after.created_at, after.updated_at) == (before.created_at, now)
        assert catalogue.held[1 - which] is other
    with TemporaryDirectory() as directory:
        store = Store(Path(directory) / "taxonomies.json")
        store.write(catalogue)
        assert store.read() == catalogue


def test_a_node_of_another_taxonomy_is_not_taken():
    """Its id is refused, and nothing changes."""
    catalogue = Catalogue().created(new("One"), VENDOR, 1).created(new("Two"), VENDOR, 1)
    one, two = catalogue.held
    stolen = replace(one.taxonomy, root=replace(one.taxonomy.root, children=two.taxonomy.root.children))
    with pytest.raises(Refused, match="no such nodes"):
        catalogue.updated(one.id, stolen, VENDOR, 2)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path):
    """The error names the file; the one that was written before is whole."""
    store = Store(tmp_path / "taxonomies.json")
    catalogue = Catalogue().created(new("One"), VENDOR, 1)
    store.write(catalogue)
    (tmp_path / "taxonomies.new").mkdir()
    with pytest.raises(BridgeError, match=r"taxonomies\.json cannot be written"):
        store.write(catalogue.created(new("Two"), VENDOR, 2))
    assert store.read() == catalogue
