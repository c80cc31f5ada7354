"""The taxonomies that the platform holds, and what a creation or an update makes of them. Pure."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from http import HTTPStatus
from itertools import count

from bridge.sandbox.refused import Refused, bad
from bridge.sandbox.taxonomies.settings import Vendor
from bridge.taxonomy import Node, Permissions, Taxonomy

FIRST_TAXONOMY, FIRST_VENDOR_OBJECT, FIRST_NODE = 100_123, 2_468, 1_678_332
"""Ids that are given first: those of the seed's example."""

UNSAID = Decimal(0)
"""Revenue share and wholesale price where nobody said one (seed: Example Creation Response)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldTaxonomy:
    """One that was created."""

    taxonomy: Taxonomy
    """Each node has its id."""
    created_at: int
    """Epoch ms."""
    updated_at: int
    """Epoch ms."""

    @property
    def id(self) -> int:
        """The `taxonomy_id`."""
        assert self.taxonomy.taxonomy_id is not None
        return self.taxonomy.taxonomy_id

    @property
    def nodes(self) -> dict[int | None, Node]:
        """By id."""
        return {node.id: node for _, node in self.taxonomy.walk()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All of them; a change makes another catalogue."""

    held: tuple[HeldTaxonomy, ...] = ()
    """In the order of their creation."""
    next_node: int = FIRST_NODE
    """An id that no node has had."""

    def get(self, number: int) -> HeldTaxonomy:
        """The one of a `taxonomy_id`.

        Raises:
            Refused: There is none.
        """
        for one in self.held:
            if one.id == number:
                return one
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no taxonomy {number}")

    def created(self, wanted: Taxonomy, vendor: Vendor, now: int) -> "Catalogue":
        """With one more, the last.

        Raises:
            Refused: It is another vendor's, is named like one that is there, or for those without a grant.
        """
        if wanted.vendor_id != vendor.id:
            raise Refused(HTTPStatus.FORBIDDEN, f"vendor {wanted.vendor_id} is not yours")
        if any(node.id is not None for _, node in wanted.walk()):
            bad("a node of a new taxonomy has no id yet: update the taxonomy that it belongs to")
        self._check(wanted, None, vendor)
        ids = count(self.next_node)
        taxonomy = replace(
            wanted,
            root=_numbered(wanted.root, ids),
            audience_vendor_id=FIRST_VENDOR_OBJECT + len(self.held),
            taxonomy_id=FIRST_TAXONOMY + len(self.held),
            revenue_share_pct=UNSAID,
            visibility="RESTRICTED",
        )
        new = HeldTaxonomy(taxonomy=taxonomy, created_at=now, updated_at=now)
        return Catalogue(held=(*self.held, new), next_node=next(ids))

    def updated(self, number: int, wanted: Taxonomy, vendor: Vendor, now: int) -> "Catalogue":
        """With this instead of what was there: nodes of an id keep it, others get one, the rest is gone.

        Raises:
            Refused: There is no such taxonomy, it has no such nodes, or as in `created`.
        """
        before = self.get(number)
        was = before.taxonomy
        if wanted.audience_vendor_id != was.audience_vendor_id:
            bad(f"audience_vendor_id of taxonomy {number} is {was.audience_vendor_id}")
        if wanted.root.id != was.root.id:
            bad(f"the id of taxonomy {number}'s root is {was.root.id}")
        unknown = {node.id for _, node in wanted.walk()} - {None} - before.nodes.keys()
        if unknown:
            bad(
                f"taxonomy {number} has no such nodes",
                *(f"id {one}" for one in sorted(filter(None, unknown))),
            )
        self._check(wanted, number, vendor)
        ids = count(self.next_node)
        taxonomy = replace(
            was,
            root=_numbered(wanted.root, ids),
            description=was.description if wanted.description is None else wanted.description,
            permissions=was.permissions if wanted.permissions is None else wanted.permissions,
            use_hash=wanted.use_hash,
        )
        after = replace(before, taxonomy=taxonomy, updated_at=now)
        return Catalogue(
            held=tuple(after if one is before else one for one in self.held), next_node=next(ids)
        )

    def _check(self, wanted: Taxonomy, number: int | None, vendor: Vendor) -> None:
        """Its name is its own, and whoever is to see it is granted."""
        name = wanted.root.name
        if any(one.taxonomy.root.name == name and one.id != number for one in self.held):
            raise Refused(HTTPStatus.CONFLICT, "A taxonomy already exists for the name")
        ungranted = tuple(_ungranted(wanted.permissions or Permissions(), vendor.grants))
        if ungranted:
            raise Refused(
                HTTPStatus.FORBIDDEN, "permissions name some that are not granted to you", details=ungranted
            )


def _ungranted(wanted: Permissions, granted: Permissions) -> Iterator[str]:
    grants = asdict(granted)
    for kind, ids in asdict(wanted).items():
        for one in sorted(set(ids) - set(grants[kind])):
            yield f"{kind} {one}"


def _numbered(node: Node, ids: Iterator[int]) -> Node:
    """Each node with an id, parents first, and each segment with a wholesale price."""
    number = next(ids) if node.id is None else node.id
    unsaid = node.buyable and node.wholesale_cpm is None
    return replace(
        node,
        id=number,
        wholesale_cpm=UNSAID if unsaid else node.wholesale_cpm,
        children=tuple(_numbered(child, ids) for child in node.children),
    )
