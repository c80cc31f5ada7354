"""What applying a taxonomy's file would change at the platform, and why it should not be applied as it is."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from bridge.config import Stream
from bridge.platform.segments import Held
from bridge.taxonomy import (
    Change,
    Difference,
    Kind,
    Permission,
    Permissions,
    Taxonomy,
    all_new,
    difference,
    fingerprint,
    merged,
    names,
    unknown_ids,
)
from bridge.taxonomy.difference import Value
from bridge.taxonomy.fault import quoted
from bridge.units import plural

Document: TypeAlias = dict[str, object]
"""As JSON."""

MOST_REMOVED = 1 / 3
"""A larger part of the nodes is removed only where that is said."""

KINDS = {"organizations": "organization", "agencies": "agency", "advertisers": "advertiser"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """What was planned on."""

    updated_on: str
    """As the platform says it."""
    sha256: str
    """As `bridge.taxonomy.fingerprint`."""

    @classmethod
    def of(cls, held: Held) -> "Basis":
        """That of what the platform holds now."""
        return cls(updated_on=held.updated_on, sha256=held.fingerprint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What becomes of a taxonomy at the platform."""

    taxonomy_id: int | None
    """None: it is created."""
    basis: Basis | None
    """None: it is created."""
    wanted: Taxonomy
    """What is posted: whole, with the ids that nodes have."""
    difference: Difference
    """Empty: nothing is posted."""
    removals: tuple[str, ...]
    """What is lost by it, if that is much: to be allowed explicitly."""

    @property
    def name(self) -> str:
        """The taxonomy's."""
        return self.wanted.root.name

    @property
    def counts(self) -> Mapping[str, int]:
        """Nodes, by what becomes of them; one that is renamed, moved and changed counts thrice."""
        changed = list(self.difference.of_kind(Kind.CHANGED))
        fields = [{one.field for one in change.fields} for change in changed]
        return {
            "add": len(list(self.difference.of_kind(Kind.ADDED))),
            "change": sum(bool(of_one - {"name"}) for of_one in fields),
            "rename": sum("name" in of_one for of_one in fields),
            "move": sum(change.moved_from is not None for change in changed),
            "remove": len(list(self.difference.of_kind(Kind.REMOVED))),
        }

    def to_json(self) -> Document:
        """All of it, for programs; `same_as` compares it with a later plan."""
        found = self.difference
        return {
            "taxonomy_id": self.taxonomy_id,
            "name": self.name,
            "based_on": None if self.basis is None else asdict(self.basis),
            "wanted": fingerprint(self.wanted),
            "counts": dict(self.counts),
            "removals": list(self.removals),
            "changes": [_change(one) for one in found.changes],
            "fields": {one.field: {"old": _value(one.old), "new": _value(one.new)} for one in found.fields},
            "permissions": {"added": _ids(found.permitted), "removed": _ids(found.forbidden)},
        }

    def same_as(self, kept: Document) -> bool:
        """Whether `kept`, of `to_json`, was planned of the same file on the same state."""
        mine = self.to_json()
        return all(kept.get(key) == mine[key] for key in ("taxonomy_id", "based_on", "wanted"))


def planned(held: Held | None, file: Taxonomy, vendor_id: int) -> Plan:
    """The plan that makes the file's taxonomy of what the platform holds; None: of nothing."""
    if held is None:
        wanted = replace(file, vendor_id=vendor_id)
        return Plan(taxonomy_id=None, basis=None, wanted=wanted, difference=all_new(wanted), removals=())
    # What the platform does not tell cannot be compared: it is posted, and believed.
    before = held.taxonomy if held.tells_hash else replace(held.taxonomy, use_hash=file.use_hash)
    wanted = merged(before, file)
    found = difference(before, wanted)
    return Plan(
        taxonomy_id=held.id,
        basis=Basis.of(held),
        wanted=wanted,
        difference=found,
        removals=tuple(_removals(before, wanted, found)),
    )


def faults(held: Held | None, file: Taxonomy, vendor_id: int, granted: Permissions | None) -> Iterator[str]:
    """Why the file cannot be applied, a line each.

    Args:
        held: What the platform holds; None: nothing.
        file: What it should hold.
        vendor_id: The account's.
        granted: Whom it may be permitted to; None: nobody is to be permitted.
    """
    if file.vendor_id not in (None, vendor_id):
        yield f"vendor_id {file.vendor_id} is not the account's, {vendor_id}; correct one of them"
    if held is not None:
        yield from _strangers(held, file)
    elif any(node.id is not None for _, node in file.walk()):
        yield "has ids, and no taxonomy has its name; say which it is with --id, or leave all ids out"
    kept = None if held is None else held.taxonomy.permissions
    for one in _ungranted(kept if file.permissions is None else file.permissions, granted):
        what = f"{KINDS[one.kind]} {one.id} is not granted to vendor {vendor_id}"
        yield f"permissions: {what}; ask for the grant, or leave it out"


def disagreements(taxonomy: Taxonomy, streams: Mapping[int, Stream]) -> Iterator[str]:
    """Streams whose audience files would not fit the taxonomy (seed: Segment Codes), by their position."""
    for at, stream in streams.items():
        if stream.hash_segments is not taxonomy.use_hash:
            ours, theirs = (str(one).lower() for one in (taxonomy.use_hash, stream.hash_segments))
            yield (
                f"the taxonomy has use_hash: {ours}, streams[{at}] ({stream.name}) hash_segments: {theirs}: "
                f"segments that it sends would not be found; give both the same"
            )


def _strangers(held: Held, file: Taxonomy) -> Iterator[str]:
    """Ids that could not be posted."""
    there = f"of taxonomy {held.id}"
    for path, number in unknown_ids(held.taxonomy, file):
        where = quoted(names.written(path))
        yield f"{where}: id {number} is no node {there}, or not that one; leave it out, or pull the taxonomy"
    known = held.taxonomy.audience_vendor_id
    if known is None:
        yield f"audience_vendor_id {there} is not told, and an update must name it; ask support"
    elif file.audience_vendor_id not in (None, known):
        yield f"audience_vendor_id {file.audience_vendor_id} is not that {there}, {known}; correct it"
    if any(node.id is None for _, node in held.taxonomy.walk()):
        yield f"not all ids {there} are told: those nodes would be added once more; ask support"


def _ungranted(wanted: Permissions | None, granted: Permissions | None) -> Iterator[Permission]:
    there = asdict(granted or Permissions())
    for kind, ids in asdict(wanted or Permissions()).items():
        yield from (Permission(kind=kind, id=one) for one in ids if one not in there[kind])


def _removals(before: Taxonomy, wanted: Taxonomy, found: Difference) -> Iterator[str]:
    """What is worth a second look before it is gone."""
    gone = _sold(before) - _sold(wanted)
    if gone:
        yield f"{plural(len(gone), 'segment')} of {len(_sold(before)):,} can no more be bought"
    given = _given(before, wanted)
    if given:
        to = "goes to another segment, audience" if given == 1 else "go to other segments, audiences"
        yield f"{plural(given, 'code')} {to} and all"
    removed = len(list(found.of_kind(Kind.REMOVED)))
    if removed > before.nodes * MOST_REMOVED:
        yield f"{removed:,} of {plural(before.nodes, 'node')} are removed"
    for one in found.fields:
        if one.field == "use_hash":
            yield f"use_hash becomes {str(one.new).lower()}: every code is read in another way"
    if found.forbidden and not any(asdict(wanted.permissions or Permissions()).values()):
        yield "nobody is permitted to see it any more"


def _sold(taxonomy: Taxonomy) -> frozenset[object]:
    """Segments by their codes, or where they have none, by their ids."""
    return frozenset(node.code or node.id for _, node in taxonomy.walk() if node.buyable)


def _given(before: Taxonomy, wanted: Taxonomy) -> int:
    """How many codes another node gets: who is in a segment goes by its code, whatever its id."""
    had, has = ({node.code: node.id for _, node in one.walk()} for one in (before, wanted))
    return sum(had[code] != has[code] for code in before.codes & wanted.codes)


def _change(change: Change) -> Document:
    node = change.node
    return {
        "kind": change.kind.value,
        "path": list(change.path),
        "id": node.id,
        "code": node.code,
        "fields": {one.field: {"old": _value(one.old), "new": _value(one.new)} for one in change.fields},
        "moved_from": None if change.moved_from is None else list(change.moved_from),
    }


def _value(value: Value) -> str | int | bool | None:
    return str(value) if isinstance(value, Decimal) else value


def _ids(permissions: tuple[Permission, ...]) -> Document:
    return {kind: [one.id for one in permissions if one.kind == kind] for kind in KINDS}
