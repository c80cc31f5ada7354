"""Which node of a taxonomy is which of another: what an update must tell by ids (seed: API Response).

By its id; then by its code; then by its place below a parent that is known by then. A category whose name is
not found is the one under which its segments stood: so a renamed one keeps its id, and they do not move.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from bridge.taxonomy.model import Path, Taxonomy

Matches: TypeAlias = Mapping[Path, Path]
"""Path of a node to the path of the one that it was; what is not in it is new."""


def matches(before: Taxonomy, after: Taxonomy) -> Matches:
    """For nodes of `after`, where they stood in `before`; no node was two. Roots are each other's."""
    pairs = _Pairs(before, after)
    for rule in (pairs.by_id, pairs.by_code, pairs.by_place, pairs.by_children, pairs.by_place):
        for path, was in rule():
            pairs.take(path, was)
    return pairs.found


class _Pairs:
    """What was found so far. The rules yield as they go, so that each sees what came of the last one."""

    def __init__(self, before: Taxonomy, after: Taxonomy) -> None:
        self._before = before
        self._after = after
        self.found: dict[Path, Path] = {}
        self._taken: set[Path] = set()
        self.take((after.root.name,), (before.root.name,))

    def take(self, path: Path, was: Path) -> None:
        """Note a pair, where both are still alone."""
        if path not in self.found and was not in self._taken:
            self.found[path] = was
            self._taken.add(was)

    def by_id(self) -> Iterator[tuple[Path, Path]]:
        ids = {node.id: path for path, node in self._before.walk() if node.id is not None}
        for path, node in self._after.walk():
            if node.id in ids:
                yield path, ids[node.id]

    def by_code(self) -> Iterator[tuple[Path, Path]]:
        for path, node in self._after.walk():
            was = None if node.code is None else self._before.path_of(node.code)
            if was is not None:
                yield path, was

    def by_place(self) -> Iterator[tuple[Path, Path]]:
        for path, _ in self._after.walk():
            above = self.found.get(path[:-1])
            if above is not None and self._before.at((*above, path[-1])) is not None:
                yield path, (*above, path[-1])

    def by_children(self) -> Iterator[tuple[Path, Path]]:
        """From below, as what a category was may tell what its parent was."""
        for path, node in reversed(list(self._after.walk())):
            if node.code is not None or path in self.found:
                continue
            stood = {self.found[child][:-1] for child in self._below(path) if child in self.found}
            if len(stood) == 1:
                was = stood.pop()
                known = self._before.at(was)
                if known is not None and known.code is None:
                    yield path, was

    def _below(self, path: Path) -> Iterator[Path]:
        node = self._after.at(path)
        for child in node.children if node is not None else ():
            yield (*path, child.name)
