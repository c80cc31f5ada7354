"""A model of the platform behind the port of `bridge.platform.segments`: bodies in, ids out, as JSON."""

import json
from itertools import count

from bridge.platform.segments import AS_HELD, Held, Listed, Listing
from bridge.taxonomy import Form, Taxonomy, creation, read_bytes, update

FIRST = 10**6
"""Of the ids that are given."""


class HoldingPlatform:
    """Holds what was posted last, and gives ids to what has none."""

    def __init__(self) -> None:
        self.bodies: dict[int, dict] = {}
        self.posts = 0
        self._ids = count(FIRST)

    def list(self, *, name: str | None = None) -> Listing:
        found = [Listed(id=one, name=self.get(one).taxonomy.root.name, updated_on="") for one in self.bodies]
        return Listing(taxonomies=tuple(one for one in found if name in (None, one.name)), whole=True)

    def get(self, taxonomy_id: int) -> Held:
        content = json.dumps({"data": self.bodies[taxonomy_id]}).encode()
        reading = read_bytes(content, "held", Form.JSON, AS_HELD)
        taxonomy = reading.taxonomy
        assert taxonomy is not None, reading.faults
        return Held(taxonomy=taxonomy, id=taxonomy_id, updated_on=str(self.posts), tells_hash=False)

    def create(self, taxonomy: Taxonomy) -> int:
        taxonomy_id = next(self._ids)
        self._put(taxonomy_id, creation(taxonomy) | {"audience_vendor_id": next(self._ids)}, set())
        return taxonomy_id

    def update(self, taxonomy: Taxonomy) -> None:
        held = self.bodies[taxonomy.taxonomy_id]
        body = json.loads(json.dumps(update(taxonomy)))
        known = {node["id"] for node in nodes(held["taxonomy"])}
        assert body["taxonomy"]["id"] == held["taxonomy"]["id"]
        assert body["audience_vendor_id"] == held["audience_vendor_id"]
        self._put(taxonomy.taxonomy_id, body, known)

    def _put(self, taxonomy_id: int, body: dict, known: set[int]) -> None:
        """The whole; a node without an id is an addition, one with an id must be there already."""
        self.posts += 1
        body = json.loads(json.dumps(body))
        given = [node["id"] for node in nodes(body["taxonomy"]) if "id" in node]
        assert len(given) == len(set(given)), "an id stands twice"
        assert set(given) <= known, "an id is not known"
        for node in nodes(body["taxonomy"]):
            node.setdefault("id", next(self._ids))
        self.bodies[taxonomy_id] = body | {"taxonomy_id": taxonomy_id}


def nodes(node: dict) -> list[dict]:
    """A node and all below it."""
    return [node, *(one for child in node["children"] for one in nodes(child))]
