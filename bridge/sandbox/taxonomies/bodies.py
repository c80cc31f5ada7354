"""Bodies of requests as taxonomies.

The rules for fields and names are `bridge.taxonomy`'s. Keys that nobody knows are passed over, so that what
was got can be posted again; an update's node of a known id may leave out what an update need not say.
"""

import json
from collections.abc import Mapping

from bridge.sandbox.refused import bad
from bridge.sandbox.taxonomies.catalogue import HeldTaxonomy
from bridge.taxonomy import Form, Node, Rules, Taxonomy, read_bytes
from bridge.taxonomy.document import NODE, PERMISSIONS, ROOT, TOP

RULES = Rules(below_wholesale=True, any_places=True)

_CREATION = {"permissions": dict, "vendor_id": int, "taxonomy": dict}
_UPDATE = {"audience_vendor_id": int, "taxonomy": dict}
"""What must be there, and as what (seed, Create and Update, Body)."""

_KINDS = {dict: "an object", int: "an integer"}


def creation(content: bytes) -> Taxonomy:
    """The body of `POST /audience_segments`.

    Raises:
        Refused: It breaks a rule.
    """
    body = _body(content, _CREATION)
    return _read(body | {"taxonomy": _sifted(body["taxonomy"], ROOT, {})})


def update(content: bytes, held: HeldTaxonomy) -> Taxonomy:
    """The body of `POST /audience_segments/{taxonomy_id}`.

    Raises:
        Refused: It breaks a rule.
    """
    body = _body(content, _UPDATE)
    root = {"id": held.taxonomy.root.id} | body["taxonomy"]
    return _read(body | {"taxonomy": _sifted(root, ROOT, held.nodes)})


def _body(content: bytes, needed: Mapping[str, type]) -> dict[str, dict[str, object]]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        bad("the body is no JSON")
    if not isinstance(body, dict):
        bad("the body is no JSON object")
    for key, kind in needed.items():
        value = body.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            bad(f"{key} is missing, or no {_KINDS[kind].split()[-1]}")
    if not isinstance(body["taxonomy"].get("children"), list):
        bad("taxonomy.children is missing, or no list")
    known = {key: value for key, value in body.items() if key in TOP}
    return known | {"permissions": _permissions(body.get("permissions"))}


def _permissions(value: object) -> dict[str, object] | None:
    """Lists of integers; None where nothing is said."""
    if value is None:
        return None
    if not isinstance(value, dict):
        bad("permissions is no object")
    known = {kind: value.get(kind, []) for kind in PERMISSIONS}
    for kind, ids in known.items():
        if not isinstance(ids, list) or not all(type(one) is int for one in ids):
            bad(f"permissions.{kind} is no list of integers")
    return known


def _sifted(value: object, keys: tuple[str, ...], held: Mapping[int | None, Node]) -> object:
    """A node and those below it: the known keys, and what a node of a known id leaves out."""
    if not isinstance(value, dict):
        return value
    number = value.get("id")
    before = held.get(number) if type(number) is int else None
    node = ({} if before is None else _kept(before)) | {k: v for k, v in value.items() if k in keys}
    children = node.get("children")
    if isinstance(children, list):
        node["children"] = [_sifted(child, NODE, held) for child in children]
    return node


def _kept(node: Node) -> dict[str, object]:
    """What an update need not say, and what the platform itself sets where nobody says it."""
    kept: dict[str, object] = {"name": node.name, "buyable": node.buyable}
    if node.wholesale_cpm is not None:
        kept["wholesale_cpm"] = float(node.wholesale_cpm)
    return kept


def _read(body: dict[str, object]) -> Taxonomy:
    try:
        reading = read_bytes(json.dumps(body).encode(), "body", Form.JSON, RULES)
    except RecursionError:
        bad("the body is nested too deeply")
    if reading.taxonomy is None:
        bad("the taxonomy breaks rules", *(fault.reason for fault in reading.faults))
    return reading.taxonomy
