"""A document as a taxonomy: the API's requests and answers in JSON, and YAML of the same keys.

An answer (`data` and `meta` at its top) may hold keys that are not known here; what people write may not.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from bridge.taxonomy import fields, names
from bridge.taxonomy.fault import Faults, Severity, Unreadable, Wrong, quoted
from bridge.taxonomy.model import Path, Permissions, Taxonomy
from bridge.taxonomy.rules import LONGEST_NAME, Rules
from bridge.taxonomy.tree import ANSWER, DOCUMENT, VALUES, Cell, Tree
from bridge.taxonomy.value import Kind, Value

T = TypeVar("T")

TOP = (
    "permissions",
    "vendor_id",
    "audience_vendor_id",
    "taxonomy_id",
    "revenue_share_pct",
    "visibility",
    "taxonomy",
    "use_hash",
)
PERMISSIONS = ("organizations", "agencies", "advertisers")
NODE = ("name", *VALUES, "buyable", "id", "children")
ROOT = (*NODE, "description")

_SCALARS = (Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.PLAIN)
_AS_JSON = {
    "uniques": Kind.NUMBER,
    "wholesale_cpm": Kind.NUMBER,
    "retail_cpm": Kind.NUMBER,
    "id": Kind.NUMBER,
    "buyable": Kind.BOOLEAN,
}
_JSON_NAMES = {Kind.NUMBER: "a number without quotes", Kind.BOOLEAN: "true or false"}


def read(document: Value, faults: Faults, rules: Rules, *, json: bool) -> Taxonomy | None:
    """The taxonomy of a document; None where it has no node.

    Args:
        document: What JSON or YAML holds.
        faults: Grows.
        rules: What the document cannot say.
        json: It is as the API takes it, so numbers are numbers and names ASCII; in YAML texts will do.

    Raises:
        Unreadable: It is no taxonomy at all, or beyond the bounds.
    """
    top = document.get("data") if document.kind is Kind.MAPPING else None
    answer = top is not None
    top = document if top is None else top
    taxonomy = top.get("taxonomy")
    if top.kind is not Kind.MAPPING or taxonomy is None or taxonomy.kind is not Kind.MAPPING:
        raise Unreadable(top.place, "holds no taxonomy", "write the mapping taxonomy, with name and children")
    reader = _Reader(faults, answer=answer, json=json)
    reader.known(top, TOP)
    use_hash = reader.scalar(top, "use_hash", _use_hash) or False
    tree = Tree(faults, replace(rules, hashed=use_hash or rules.hashed), ANSWER if answer else DOCUMENT)
    _Nodes(reader, tree, faults).add(taxonomy, ())
    root = tree.root()
    if root is None:
        return None
    return Taxonomy(
        root=root,
        description=reader.scalar(taxonomy, "description", _description),
        permissions=reader.permissions(top.get("permissions")),
        vendor_id=reader.scalar(top, "vendor_id", fields.identity),
        audience_vendor_id=reader.scalar(top, "audience_vendor_id", fields.identity),
        taxonomy_id=reader.scalar(top, "taxonomy_id", fields.identity),
        use_hash=use_hash or rules.hashed,
        revenue_share_pct=reader.scalar(top, "revenue_share_pct", _share),
        visibility=reader.scalar(top, "visibility", _visibility),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Looks into mappings, and notes what is wrong there."""

    faults: Faults
    answer: bool
    """The platform wrote it."""
    json: bool
    """The kinds of values are the API's."""

    def known(self, mapping: Value, keys: tuple[str, ...]) -> None:
        """Refuse keys that nobody would read."""
        if self.answer:
            return
        for key, pair in (mapping.pairs or {}).items():
            if key not in keys:
                nearest = difflib.get_close_matches(key, keys, n=1)
                remedy = f"did you mean {nearest[0]}?" if nearest else "leave it out"
                self.faults.add(pair.place, "", f"unknown key {quoted(key)}", remedy)

    def scalar(self, mapping: Value, key: str, parse: Callable[[str], T]) -> T | None:
        """The value of a key that is a text or number."""
        value = mapping.get(key)
        return None if value is None else self.parsed(value, key, parse)

    def parsed(self, value: Value, key: str, parse: Callable[[str], T]) -> T | None:
        """What a value stands for; None, with a fault, where it is wrong."""
        if value.kind not in _SCALARS:
            self.faults.add(value.place, key, "must be a single value", "write it so")
            return None
        try:
            return parse(value.text)
        except Wrong as wrong:
            self.faults.add(value.place, key, wrong.what, wrong.remedy)
            return None

    def elements(self, mapping: Value, key: str) -> tuple[Value, ...]:
        """The list of a key; none, with a fault, where it is no list."""
        value = mapping.get(key)
        if value is not None and value.kind is not Kind.LIST:
            self.faults.add(value.place, key, "must be a list", "write one")
        return () if value is None else value.elements

    def permissions(self, value: Value | None) -> Permissions | None:
        """Who sees it; an answer's empty mapping says nothing."""
        if value is None:
            return None
        if value.kind is not Kind.MAPPING:
            self.faults.add(
                value.place, "permissions", "must be a mapping", f"write {', '.join(PERMISSIONS)}"
            )
            return None
        self.known(value, PERMISSIONS)
        return Permissions(**{kind: self._ids(value, kind) for kind in PERMISSIONS}) if value.pairs else None

    def _ids(self, permissions: Value, kind: str) -> tuple[int, ...]:
        ids: dict[int, None] = {}
        for element in self.elements(permissions, kind):
            number = self.parsed(element, kind, fields.identity)
            if number in ids:
                what = f"{number} stands twice"
                self.faults.add(element.place, kind, what, "one is enough", Severity.WARNING)
            elif number is not None:
                ids[number] = None
        return tuple(ids)


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Walks the nodes down, each a row of the tree."""

    reader: _Reader
    tree: Tree
    faults: Faults

    def add(self, node: Value, above: Path) -> None:
        """A node and what stands below it."""
        if node.kind is not Kind.MAPPING:
            self.faults.add(node.place, "children", "must be a mapping", "write name, code and the others")
            return
        self.reader.known(node, NODE if above else ROOT)
        path = (*above, self._name(node))
        pairs = node.pairs or {}
        at = Cell("", pairs["name"].value.place if "name" in pairs else node.place)
        self.tree.add(path, at, self._cells(node, is_root=not above))
        children = self.reader.elements(node, "children")
        if not above and not children:
            self.faults.add(node.place, "children", "there are none", "write the segments", Severity.WARNING)
        for child in children:
            self.add(child, path)

    def _name(self, node: Value) -> str:
        value = node.get("name")
        if value is None:
            self.faults.add(node.place, "name", "is missing", f"write 1 to {LONGEST_NAME} characters")
            return ""
        if value.kind not in (Kind.TEXT, Kind.PLAIN):
            self.faults.add(value.place, "name", "must be a text", "put it in quotes")
            return value.text
        name = names.decoded(value.text)
        try:
            names.check(name)
        except Wrong as wrong:
            self.faults.add(value.place, "name", wrong.what, wrong.remedy)
        self._check_script(value, name)
        return name

    def _check_script(self, value: Value, name: str) -> None:
        """What is posted is ASCII where it is not Latin; YAML and the platform's answers need not be."""
        posted = self.reader.json and not self.reader.answer
        if posted and not value.text.isascii() and names.needs_entities(name):
            what, remedy = "has letters that are not Latin", "write HTML entities; convert does"
            self.faults.add(value.place, "name", what, remedy, Severity.MENDED)

    def _cells(self, node: Value, *, is_root: bool) -> Mapping[str, Cell]:
        cells: dict[str, Cell] = {}
        for key in (*VALUES, "buyable", "id"):
            value = node.get(key)
            if value is not None:
                cells[key] = Cell(self._text(value, key), value.place)
        if "buyable" not in cells:
            if self.reader.json and not (is_root or self.reader.answer):
                self.faults.add(node.place, "buyable", "is missing", "write true or false")
            text = "true" if "code" in cells and not is_root else "false"
            cells["buyable"] = Cell(text, node.place)
        return cells

    def _text(self, value: Value, key: str) -> str:
        """The text of a field; empty, with a fault, where it is of the wrong kind."""
        wanted = _AS_JSON.get(key)
        if value.kind not in _SCALARS:
            self.faults.add(value.place, key, "must be a single value", "write it so")
            return ""
        if wanted is not None and self.reader.json and value.kind is not wanted:
            self.faults.add(value.place, key, f"must be {_JSON_NAMES[wanted]}", "write it so")
        return value.text


def _use_hash(text: str) -> bool:
    if text not in ("true", "false"):
        raise Wrong(f"{quoted(text)} is neither true nor false", "write true where codes are hashed")
    return text == "true"


def _description(text: str) -> str:
    if names.unseen(text.replace("\n", "").replace("\t", "")):
        raise Wrong("has characters that cannot be seen", "leave them out")
    return text


def _share(text: str) -> Decimal:
    return fields.price(text, any_places=True)


def _visibility(text: str) -> str:
    if text not in ("GLOBAL", "RESTRICTED"):
        raise Wrong(f"{quoted(text)} is no visibility", "write GLOBAL or RESTRICTED, or leave it out")
    return text
