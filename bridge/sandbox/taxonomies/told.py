"""A held taxonomy as the answers tell it: each call has keys of its own (seed, Operations, Responses)."""

from dataclasses import replace

from bridge.sandbox.taxonomies.catalogue import HeldTaxonomy
from bridge.taxonomy import Node
from bridge.taxonomy.render import document
from bridge.units import iso

ALWAYS = ("taxonomy_id", "audience_vendor_id", "revenue_share_pct", "permissions", "taxonomy")


def created(held: HeldTaxonomy) -> dict[str, object]:
    """Answer to a creation: both examples of it in one."""
    return _told(held, "vendor_id")


def got(held: HeldTaxonomy, root: Node | None = None) -> dict[str, object]:
    """Answer to a get, and an element of the list, whose tree may be a part of it."""
    return _told(held if root is None else replace(held, taxonomy=replace(held.taxonomy, root=root)))


def updated(held: HeldTaxonomy) -> dict[str, object]:
    """Answer to an update."""
    return _told(held, "visibility") | {"created_by": None, "updated_by": None}


def _told(held: HeldTaxonomy, *further: str) -> dict[str, object]:
    known = document(held.taxonomy)
    times = {"created_on": iso(held.created_at), "updated_on": iso(held.updated_at)}
    return {key: known[key] for key in (*ALWAYS, *further)} | times
