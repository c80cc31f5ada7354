"""What becomes of one taxonomy on the way to another: nodes added, removed, renamed, moved, changed.

The order of nodes is none of it: no document says that the platform keeps it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from bridge.taxonomy.matching import Matches, matches
from bridge.taxonomy.model import Node, Path, Permissions, Taxonomy

Value: TypeAlias = str | int | bool | Decimal | None
"""Of a node's or the taxonomy's field."""

KEPT = ("uniques", "wholesale_cpm", "retail_cpm")
"""Fields of a node that stay as they are where nothing is said of them."""
COMPARED = ("name", "code", *KEPT, "buyable")


class Kind(StrEnum):
    """What becomes of a node."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """A field that becomes another."""

    field: str
    old: Value
    new: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A node of which something becomes."""

    kind: Kind
    path: Path
    """Where it will stand; of a removed one, where it would."""
    node: Node
    """As it will be; a removed one as it was."""
    fields: tuple[FieldChange, ...] = ()
    """Of a changed one."""
    moved_from: Path | None = None
    """Of one that gets another parent, where it stood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permission:
    """An entity that is to see the taxonomy, or no more."""

    kind: str
    """organizations, agencies or advertisers."""
    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """All of it."""

    changes: tuple[Change, ...] = ()
    """Parents before children; removed ones last, in their old order."""
    fields: tuple[FieldChange, ...] = ()
    """Of the taxonomy as a whole: description, use_hash."""
    permitted: tuple[Permission, ...] = ()
    """To see it from now on."""
    forbidden: tuple[Permission, ...] = ()
    """Not to see it any more."""

    def __bool__(self) -> bool:
        return bool(self.changes or self.fields or self.permitted or self.forbidden)

    def of_kind(self, kind: Kind) -> Iterator[Change]:
        """Those changes."""
        return (change for change in self.changes if change.kind is kind)


def merged(before: Taxonomy, after: Taxonomy) -> Taxonomy:
    """What is to be posted to make `after` of `before`: its nodes with the ids that they have.

    What `after` says nothing of stays as it is: description, permissions, prices and uniques, and what the
    platform alone decides.
    """
    return replace(
        after,
        root=_merged(after.root, (after.root.name,), before, matches(before, after)),
        description=before.description if after.description is None else after.description,
        permissions=before.permissions if after.permissions is None else after.permissions,
        vendor_id=before.vendor_id if after.vendor_id is None else after.vendor_id,
        audience_vendor_id=before.audience_vendor_id,
        taxonomy_id=before.taxonomy_id,
        revenue_share_pct=before.revenue_share_pct,
        visibility=before.visibility,
    )


def difference(before: Taxonomy, after: Taxonomy) -> Difference:
    """What becomes of `before`, where `after` says nothing less than it: see `merged`."""
    found = matches(before, after)
    old, new = (_permitted(one.permissions) for one in (before, after))
    return Difference(
        changes=(*_changes(before, after, found), *_removals(before, found)),
        fields=_fields(("description", "use_hash"), before, after),
        permitted=tuple(one for one in new if one not in old),
        forbidden=tuple(one for one in old if one not in new),
    )


def all_new(after: Taxonomy) -> Difference:
    """What becomes of nothing."""
    nodes = after.walk()
    return Difference(
        changes=tuple(Change(kind=Kind.ADDED, path=path, node=node) for path, node in nodes),
        permitted=_permitted(after.permissions),
    )


def unknown_ids(before: Taxonomy, after: Taxonomy) -> tuple[tuple[Path, int], ...]:
    """Nodes of `after` whose ids `before` does not have, or not at that root."""
    ids = {node.id for _, node in before.walk()}
    strangers = [(path, node.id) for path, node in after.walk() if node.id is not None and node.id not in ids]
    root = after.root
    if root.id is not None and root.id in ids and root.id != before.root.id:
        strangers.insert(0, ((root.name,), root.id))
    return tuple(strangers)


def _merged(node: Node, path: Path, before: Taxonomy, found: Matches) -> Node:
    was = before.at(found[path]) if path in found else None
    children = tuple(_merged(child, (*path, child.name), before, found) for child in node.children)
    if was is None:
        return replace(node, id=None, children=children)
    kept = {key: getattr(was, key) for key in KEPT if getattr(node, key) is None}
    return replace(node, id=was.id, children=children, **kept)


def _changes(before: Taxonomy, after: Taxonomy, found: Matches) -> Iterator[Change]:
    for path, node in after.walk():
        stood = found.get(path)
        was = None if stood is None else before.at(stood)
        if stood is None or was is None:
            yield Change(kind=Kind.ADDED, path=path, node=node)
            continue
        fields = _fields(COMPARED, was, node)
        moved = len(path) > 1 and found.get(path[:-1]) != stood[:-1]
        if fields or moved:
            yield Change(
                kind=Kind.CHANGED,
                path=path,
                node=node,
                fields=fields,
                moved_from=stood if moved else None,
            )


def _removals(before: Taxonomy, found: Matches) -> Iterator[Change]:
    became = {was: path for path, was in found.items()}
    for path, node in before.walk():
        if path not in became:
            became[path] = (*became[path[:-1]], node.name)
            yield Change(kind=Kind.REMOVED, path=became[path], node=node)


def _fields(names: tuple[str, ...], old: object, new: object) -> tuple[FieldChange, ...]:
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in names)
    return tuple(FieldChange(field=name, old=was, new=will) for name, was, will in pairs if was != will)


def _permitted(permissions: Permissions | None) -> tuple[Permission, ...]:
    lists = asdict(permissions or Permissions())
    return tuple(Permission(kind=kind, id=one) for kind, ids in lists.items() for one in ids)
