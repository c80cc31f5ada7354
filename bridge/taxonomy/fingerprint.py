"""Whether two taxonomies are the same, for those who keep no copy."""

import hashlib
import json

from bridge.taxonomy.model import Taxonomy
from bridge.taxonomy.render import document


def fingerprint(taxonomy: Taxonomy) -> str:
    """SHA-256, hexadecimal, of all that it holds, ids too, whatever the order of nodes and permissions."""
    return hashlib.sha256(json.dumps(_ordered(document(taxonomy)), sort_keys=True).encode()).hexdigest()


def _ordered(value: object) -> object:
    """Lists are of nodes, whose names differ, or of numbers."""
    if isinstance(value, dict):
        return {key: _ordered(one) for key, one in value.items()}
    return (
        sorted(
            map(_ordered, value),
            key=lambda one: str(one["name"]).encode() if isinstance(one, dict) else json.dumps(one).encode(),
        )
        if isinstance(value, list)
        else value
    )
