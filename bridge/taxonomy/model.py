"""The frozen taxonomy (seed audience_segments_api, Taxonomies): a root, nodes, and who may see them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

Path = tuple[str, ...]
"""Names from the root down to a node; the root's own path has one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A category or a segment. Nodes of equal values are equal, whatever file they came from."""

    name: str
    """As people read it: never with HTML entities."""
    code: str | None = None
    """The segment's code in audience files; digits without leading zeros, or a text where hashed."""
    uniques: int | None = None
    """Users, estimated."""
    wholesale_cpm: Decimal | None = None
    """US dollars a thousand impressions, paid to the provider."""
    retail_cpm: Decimal | None = None
    """US dollars a thousand impressions, paid by buyers."""
    buyable: bool = False
    """A segment; else a category."""
    id: int | None = None
    """The platform's; None where it is not known yet: posted so, the node is an addition."""
    children: tuple["Node", ...] = ()
    """In the file's order."""

    def walk(self, above: Path = ()) -> Iterator[tuple[Path, "Node"]]:
        """This node and all below it, each with its path, parents first."""
        path = (*above, self.name)
        yield path, self
        for child in self.children:
            yield from child.walk(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Permissions:
    """Ids of those that see a permissioned taxonomy."""

    organizations: tuple[int, ...] = ()
    agencies: tuple[int, ...] = ()
    advertisers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Taxonomy:
    """A whole taxonomy, as far as its file knows it."""

    root: Node
    """Its name is the taxonomy's; it has no code and no price."""
    description: str | None = None
    """Of the taxonomy (update's `taxonomy.description`)."""
    permissions: Permissions | None = None
    """None: not said, so an update leaves them as they are."""
    vendor_id: int | None = None
    """The data vendor; a creation names it."""
    audience_vendor_id: int | None = None
    """What the answer to a creation names; an update does too."""
    taxonomy_id: int | None = None
    """The platform's; None: not created yet, or not known."""
    use_hash: bool = False
    """Codes are texts; audience files say `HashSegments: 1`."""
    revenue_share_pct: Decimal | None = None
    """As the platform tells it; set by its support alone."""
    visibility: str | None = None
    """GLOBAL or RESTRICTED, as the platform tells it."""
    _paths: dict[Path, Node] = field(init=False, repr=False, compare=False)
    _codes: dict[str, Path] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        paths = dict(self.root.walk())
        object.__setattr__(self, "_paths", paths)
        object.__setattr__(
            self, "_codes", {node.code: path for path, node in paths.items() if node.code is not None}
        )

    def walk(self) -> Iterator[tuple[Path, Node]]:
        """Every node with its path, parents first, in the file's order."""
        return iter(self._paths.items())

    def at(self, path: Path) -> Node | None:
        """The node at a path."""
        return self._paths.get(path)

    def path_of(self, code: str) -> Path | None:
        """Where a code stands."""
        return self._codes.get(code)

    @property
    def codes(self) -> frozenset[str]:
        """Every code."""
        return frozenset(self._codes)

    @property
    def segments(self) -> int:
        """Nodes that can be bought."""
        return sum(node.buyable for node in self._paths.values())

    @property
    def nodes(self) -> int:
        """Segments and categories, the root among them."""
        return len(self._paths)
