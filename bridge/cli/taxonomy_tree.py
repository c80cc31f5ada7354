"""A taxonomy as people see it: its tree with codes, users and prices."""

from collections.abc import Iterator
from dataclasses import asdict

from rich.console import RenderableType
from rich.text import Text

from bridge.cli import tables
from bridge.taxonomy import Node, Taxonomy, price_text
from bridge.units import plural


def page(taxonomy: Taxonomy) -> Iterator[RenderableType]:
    """The tree, and what is known of the whole."""
    id_column = ["id+"] if any(node.id is not None for _, node in taxonomy.walk()) else []
    table = tables.table(None, "name", "code", "users+", "wholesale+", "retail+", *id_column)
    for drawn, node in _drawn(taxonomy.root, "", ""):
        uniques = "" if node.uniques is None else f"{node.uniques:,}"
        texts = (node.code or "", uniques, price_text(node.wholesale_cpm), price_text(node.retail_cpm))
        ids = [Text("" if node.id is None else str(node.id))] if id_column else []
        name = Text.assemble((drawn, "dim"), (node.name, "" if node.buyable else "bold"))
        table.add_row(name, *map(Text, texts), *ids)
    yield table
    yield Text()
    categories = taxonomy.nodes - taxonomy.segments
    kinds = plural(categories, "category").replace("categorys", "categories")
    yield Text(f"{plural(taxonomy.segments, 'segment')} to be bought, {kinds}")
    yield from map(Text, _facts(taxonomy))


def _drawn(node: Node, before: str, below: str) -> Iterator[tuple[str, Node]]:
    """Every node with the lines that lead to it."""
    yield before, node
    for child in node.children:
        last = child is node.children[-1]
        yield from _drawn(child, below + ("└── " if last else "├── "), below + ("    " if last else "│   "))


def _facts(taxonomy: Taxonomy) -> Iterator[str]:
    for name in ("taxonomy_id", "vendor_id", "audience_vendor_id", "revenue_share_pct", "visibility"):
        value = getattr(taxonomy, name)
        if value is not None:
            yield f"{name}: {value}"
    if taxonomy.use_hash:
        yield "use_hash: true"
    if taxonomy.permissions is not None:
        for kind, ids in asdict(taxonomy.permissions).items():
            yield f"{kind}: {', '.join(map(str, ids)) or 'none'}"
