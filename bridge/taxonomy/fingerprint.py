"""Whether two taxonomies are the same, for those who keep no copy."""

import hashlib
import json

from bridge.taxonomy.model import Taxonomy
from bridge.taxonomy.render import document


def fingerprint(taxonomy: Taxonomy) -> str:
    """SHA-256, hexadecimal, of all that it holds, ids too, whatever the order of nodes and permissions."""
    return hashlib.sha256(json.dumps(_ordered(document(taxonomy))).encode()).hexdigest()


def _ordered(value: object) -> object:
    """The same with its lists in an order of their own."""
    if isinstance(value, dict):
        return {key: _ordered(one) for key, one in value.items()}
    return sorted(map(_ordered, value), key=_rank) if isinstance(value, list) else value


def _rank(element: object) -> str:
    """Lists are of nodes, whose names differ, or of numbers."""
    return str(element["name"] if isinstance(element, dict) else element)
