"""Whether two taxonomies are the same, told without a copy of either."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.taxonomy import Node, Permissions, Taxonomy, fingerprint
from tests.taxonomy.test_round_trip import taxonomies


def shuffled(draw, node: Node) -> Node:
    children = [shuffled(draw, child) for child in node.children]
    return replace(node, children=tuple(draw(st.permutations(children))))


@given(data=st.data(), taxonomy=taxonomies(bare=False))
def test_the_order_of_nodes_is_nothing(data, taxonomy: Taxonomy):
    """Nodes and permissions in another order are the same taxonomy."""
    root = shuffled(data.draw, taxonomy.root)
    permissions = taxonomy.permissions
    if permissions is not None:
        permissions = replace(permissions, agencies=permissions.agencies[::-1])
    assert fingerprint(replace(taxonomy, root=root, permissions=permissions)) == fingerprint(taxonomy)


def test_all_else_is_something():
    """A name, an id, a place, a permission, a description: each makes it another."""
    leaf = Node(name="B", id=3)
    taxonomy = Taxonomy(root=Node(name="A", id=1, children=(Node(name="C", id=2), leaf)), taxonomy_id=9)
    root = taxonomy.root
    others = [
        replace(taxonomy, root=replace(root, children=(root.children[0], replace(leaf, id=4)))),
        replace(taxonomy, root=replace(root, children=(root.children[0], replace(leaf, name="D")))),
        replace(taxonomy, root=replace(root, children=(replace(root.children[0], children=(leaf,)),))),
        replace(taxonomy, permissions=Permissions()),
        replace(taxonomy, permissions=Permissions(agencies=(1,))),
        replace(taxonomy, description="x"),
        replace(taxonomy, use_hash=True),
    ]
    assert len({fingerprint(one) for one in (taxonomy, *others)}) == 1 + len(others)
