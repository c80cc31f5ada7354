"""A taxonomy as CSV, YAML and the API's JSON, and as the bodies of its requests.

What these write is read back as the same taxonomy, as far as the form has a place for it: `lost` says what a
CSV has none for.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from enum import StrEnum

import yaml

from bridge.taxonomy import names
from bridge.taxonomy.model import Node, Permissions, Taxonomy
from bridge.taxonomy.table import COLUMNS

_LONGEST = 2**31 - 1
"""Characters of a YAML line: none is folded."""

_CENTS = -2
"""The exponent of a price of two decimals."""

_CREATION = ("permissions", "vendor_id", "taxonomy", "use_hash")
_UPDATE = ("permissions", "audience_vendor_id", "taxonomy", "use_hash")


class Form(StrEnum):
    """How a taxonomy is written; its suffix."""

    CSV = "csv"
    YAML = "yaml"
    JSON = "json"


def written(taxonomy: Taxonomy, form: Form) -> str:
    """The text of a file, which ends with a line feed."""
    match form:
        case Form.CSV:
            return _csv(taxonomy)
        case Form.YAML:
            return _yaml(taxonomy)
        case Form.JSON:
            return json.dumps(document(taxonomy), indent=4, ensure_ascii=False) + "\n"


def creation(taxonomy: Taxonomy) -> dict[str, object]:
    """The body that creates it: without ids, so that each node is an addition."""
    new = replace(
        taxonomy,
        root=_without_ids(taxonomy.root),
        description=None,
        audience_vendor_id=None,
        taxonomy_id=None,
    )
    return {key: value for key, value in document(new).items() if key in _CREATION}


def update(taxonomy: Taxonomy) -> dict[str, object]:
    """The body that updates it: the whole, with the ids that are known."""
    return {key: value for key, value in document(taxonomy).items() if key in _UPDATE}


def document(taxonomy: Taxonomy) -> dict[str, object]:
    """All that is known, in the API's keys and the order of the seed's example; a file of it is JSON."""
    permissions = taxonomy.permissions
    if permissions is None and taxonomy.taxonomy_id is None and taxonomy.audience_vendor_id is None:
        permissions = Permissions()  # a creation must have them, though it may list nobody
    root = _root(taxonomy, _posted_name(taxonomy.root))
    root["children"] = [_posted(child) for child in taxonomy.root.children]
    return _head(taxonomy, permissions) | {"taxonomy": root} | _tail(taxonomy)


def lost(taxonomy: Taxonomy) -> list[str]:
    """What a CSV has no place for."""
    there = {
        "permissions": taxonomy.permissions not in (None, Permissions()),
        "vendor_id": taxonomy.vendor_id is not None,
        "audience_vendor_id": taxonomy.audience_vendor_id is not None,
        "taxonomy_id": taxonomy.taxonomy_id is not None,
        "description": taxonomy.description is not None,
        "use_hash": taxonomy.use_hash,
        "revenue_share_pct": taxonomy.revenue_share_pct is not None,
        "visibility": taxonomy.visibility is not None,
        "ids": any(node.id is not None for _, node in taxonomy.walk()),
    }
    return [name for name, given in there.items() if given]


def _without_ids(node: Node) -> Node:
    return replace(node, id=None, children=tuple(map(_without_ids, node.children)))


def _head(taxonomy: Taxonomy, permissions: Permissions | None) -> dict[str, object]:
    """What stands above the nodes; a key of no value is left out."""
    share = taxonomy.revenue_share_pct
    pairs = {
        "permissions": None if permissions is None else {k: list(v) for k, v in asdict(permissions).items()},
        "vendor_id": taxonomy.vendor_id,
        "audience_vendor_id": taxonomy.audience_vendor_id,
        "taxonomy_id": taxonomy.taxonomy_id,
        "revenue_share_pct": None if share is None else _number(share),
        "visibility": taxonomy.visibility,
    }
    return _given(pairs)


def _tail(taxonomy: Taxonomy) -> dict[str, object]:
    return {"use_hash": True} if taxonomy.use_hash else {}


def _root(taxonomy: Taxonomy, name: str) -> dict[str, object]:
    return _given({"name": name, "description": taxonomy.description, "id": taxonomy.root.id})


def _posted(node: Node) -> dict[str, object]:
    """A node as the API takes and gives it."""
    pairs = {
        "code": node.code,
        "uniques": node.uniques,
        "wholesale_cpm": None if node.wholesale_cpm is None else _number(node.wholesale_cpm),
        "retail_cpm": None if node.retail_cpm is None else _number(node.retail_cpm),
        "buyable": node.buyable,
        "name": _posted_name(node),
        "id": node.id,
    }
    return _given(pairs) | {"children": [_posted(child) for child in node.children]}


def _posted_name(node: Node) -> str:
    return names.encoded(node.name, pipes=False)


def _given(pairs: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in pairs.items() if value is not None}


def _number(value: Decimal) -> int | float:
    """0 and 0.85, as the seed's example has them; up to 15 digits are exact."""
    return int(value) if value == value.to_integral_value() else float(value)


def _csv(taxonomy: Taxonomy) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for path, node in taxonomy.walk():
        prices = (price_text(node.wholesale_cpm), price_text(node.retail_cpm))
        uniques = "" if node.uniques is None else str(node.uniques)
        rows.writerow([names.written(path), node.code or "", uniques, *prices, int(node.buyable)])
    return text.getvalue()


def price_text(value: Decimal | None) -> str:
    """Dollars with two decimals, as a CSV has them; empty for None."""
    if value is None:
        return ""
    exponent = value.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent < _CENTS
    return str(value) if fine else f"{value:.2f}"


class _Ids(list[object]):
    """A list that stands in one line."""


_Dumper: type[yaml.SafeDumper] = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
_represent: Callable[..., None] = _Dumper.add_representer
_represent(
    Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", price_text(value))
)
_represent(_Ids, lambda dumper, ids: dumper.represent_sequence("tag:yaml.org,2002:seq", ids, flow_style=True))


def _yaml(taxonomy: Taxonomy) -> str:
    root = _root(taxonomy, names.plain(taxonomy.root.name))
    root["children"] = [_noted(child) for child in taxonomy.root.children]
    head = _head(taxonomy, taxonomy.permissions)
    permissions = head.get("permissions")
    if isinstance(permissions, dict):
        head["permissions"] = {kind: _Ids(ids) for kind, ids in permissions.items()}
    return yaml.dump(
        head | {"taxonomy": root} | _tail(taxonomy),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_LONGEST,
    )


def _noted(node: Node) -> dict[str, object]:
    """A node as people write it: what follows from the rest is left out."""
    code = node.code
    pairs: dict[str, object] = {
        "name": names.plain(node.name),
        "code": int(code) if code is not None and code.isdigit() and code[0] != "0" else code,
        "uniques": node.uniques,
        "wholesale_cpm": node.wholesale_cpm,
        "retail_cpm": node.retail_cpm,
        "buyable": None if node.buyable is (code is not None) else node.buyable,
        "id": node.id,
        "children": [_noted(child) for child in node.children] or None,
    }
    return _given(pairs)
