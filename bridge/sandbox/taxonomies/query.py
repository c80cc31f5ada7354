"""The list's `q`: a field, `==` (equal to) or `=:` (like), and a value (seed, List Permission Taxonomies)."""

import re
from collections.abc import Callable
from dataclasses import replace

from bridge.sandbox.refused import bad
from bridge.taxonomy import Node
from bridge.taxonomy.names import decoded

_QUERY = re.compile(r"(name|buyable)(==|=:)(.+)", re.DOTALL)
_TRUTH = {"true": True, "false": False}

Fits = Callable[[Node], bool]


def parsed(text: str) -> Fits:
    """Whether a node is asked for.

    Raises:
        Refused: It is no such query.
    """
    match = _QUERY.fullmatch(text)
    if match is None:
        bad("q is name==..., name=:... or buyable==true")
    field, operator, value = match.groups()
    if field == "buyable":
        wanted = _TRUTH.get(value.lower())
        if operator != "==" or wanted is None:
            bad("buyable is asked for as buyable==true or buyable==false")
        return lambda node: node.buyable is wanted
    name = decoded(value)
    if operator == "==":
        return lambda node: node.name == name
    return lambda node: name.casefold() in node.name.casefold()


def pruned(node: Node, fits: Fits) -> Node | None:
    """What fits of a tree, and what stands above that; None: nothing does."""
    children = tuple(child for child in (pruned(one, fits) for one in node.children) if child is not None)
    return replace(node, children=children) if children or fits(node) else None
