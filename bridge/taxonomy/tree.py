"""Rows become a tree, whatever file they came from; what the rules say of nodes together is judged here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeVar

from bridge.taxonomy import fields, names
from bridge.taxonomy.fault import Faults, Place, Severity, Unreadable, Wrong, quoted
from bridge.taxonomy.model import Node, Path
from bridge.taxonomy.rules import MOST_LEVELS, MOST_NODES, Rules

T = TypeVar("T")

VALUES = ("code", "uniques", "wholesale_cpm", "retail_cpm")


class Shape(NamedTuple):
    """What differs between a CSV and a document."""

    path: str
    """The field that says where a node stands."""
    needs: tuple[str, ...]
    """What a segment that can be bought must have."""
    flag: Callable[[str], bool]
    """What buyable says."""


TABLE = Shape("full_path", ("code", "uniques", "wholesale_cpm", "retail_cpm"), fields.flag)
DOCUMENT = Shape("name", ("code", "uniques", "retail_cpm"), fields.truth)
"""The seed's example to be created has no wholesale_cpm."""
ANSWER = Shape("name", (), fields.truth)
"""What the platform holds is as it is: where something is missing, an update may bring it."""


class Cell(NamedTuple):
    """A field's text and where it stands; an empty one has no value."""

    text: str
    place: Place


@dataclass(slots=True)
class _Draft:
    """A node that may still get its row and children."""

    name: str
    row: Place | None = None
    """Where its row stands; None: only children of it were seen so far."""
    child: Place | None = None
    """The first row below it, where that came before its own."""
    code: str | None = None
    uniques: int | None = None
    wholesale_cpm: Decimal | None = None
    retail_cpm: Decimal | None = None
    buyable: bool = False
    id: int | None = None
    children: dict[str, "_Draft"] = field(default_factory=dict)

    def frozen(self) -> Node:
        return Node(
            name=self.name,
            code=self.code,
            uniques=self.uniques,
            wholesale_cpm=self.wholesale_cpm,
            retail_cpm=self.retail_cpm,
            buyable=self.buyable,
            id=self.id,
            children=tuple(child.frozen() for child in self.children.values()),
        )


class Tree:
    """Takes rows in any order, and notes what is wrong with them."""

    def __init__(self, faults: Faults, rules: Rules, shape: Shape) -> None:
        self._faults = faults
        self._rules = rules
        self._shape = shape
        self._root: _Draft | None = None
        self._nodes = 0
        self._codes: dict[str, Place] = {}
        self._ids: dict[int, Place] = {}

    def add(self, path: Path, at: Cell, cells: Mapping[str, Cell]) -> None:
        """Take a row.

        Args:
            path: Names from the root, at least one.
            at: What says so, and where.
            cells: The texts of VALUES, buyable and id; what is missing has no value.

        Raises:
            Unreadable: There are more than MOST_NODES.
        """
        draft = self._place(path, at)
        if draft is None:
            return
        draft.row = at.place
        self._values(draft, at, cells)
        if len(path) == 1:
            self._check_root(draft, at, cells)
        elif draft.buyable:
            self._check_segment(at, cells)
        self._check_prices(draft, at, cells)

    def root(self) -> Node | None:
        """The whole tree; None where no row has a root. Rows that are missing are noted now."""
        if self._root is None:
            return None
        self._note_missing(self._root, ())
        root = self._root.frozen()
        if not any(node.buyable for _, node in root.walk()):
            place = self._root.row or self._root.child or Place(1, 1)
            self._faults.add(
                place, "", "nothing in it can be bought", "say buyable of segments", Severity.WARNING
            )
        return root

    def _place(self, path: Path, at: Cell) -> _Draft | None:
        """The node of a row; None, with a fault, where there can be none."""
        if len(path) > MOST_LEVELS:
            what = f"has more than {MOST_LEVELS} levels"
            self._faults.add(at.place, self._shape.path, what, "take some out")
            return None
        if self._root is None:
            self._root = self._new(path[0], at.place)
        if self._root.name != path[0]:
            what = f"{quoted(path[0])} is a second root beside {quoted(self._root.name)}"
            self._faults.add(
                at.place, self._shape.path, what, "put it below that root, or in a file of its own"
            )
            return None
        draft = self._root
        for name in path[1:]:
            if draft.row is None and draft.child is None:
                draft.child = at.place
            if name not in draft.children:
                draft.children[name] = self._new(name, at.place)
            draft = draft.children[name]
        if draft.row is not None:
            what = f"{quoted(names.written(path))} stands in line {draft.row.line} too"
            self._faults.add(at.place, self._shape.path, what, "keep one, or name it otherwise")
            return None
        if draft.child is not None:
            what = f"stands below its child in line {draft.child.line}"
            remedy = "put parents first; convert does"
            self._faults.add(at.place, self._shape.path, what, remedy, Severity.WARNING)
        return draft

    def _new(self, name: str, place: Place) -> _Draft:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise Unreadable(
                place, f"has more than {MOST_NODES:,} nodes", "divide it into several taxonomies"
            )
        return _Draft(name)

    def _values(self, draft: _Draft, at: Cell, cells: Mapping[str, Cell]) -> None:
        rules = self._rules
        draft.code = self._unique(
            "code", cells, lambda text: fields.code(text, hashed=rules.hashed), self._codes
        )
        draft.uniques = self._value("uniques", cells, fields.count)
        draft.wholesale_cpm = self._value("wholesale_cpm", cells, self._price)
        draft.retail_cpm = self._value("retail_cpm", cells, self._price)
        draft.id = self._unique("id", cells, fields.identity, self._ids)
        draft.buyable = self._value("buyable", cells, self._shape.flag) or False
        buyable = cells.get("buyable", Cell("", at.place))
        if not buyable.text:
            self._faults.add(buyable.place, "buyable", "is empty", "write 1 for a segment, 0 for a category")

    def _price(self, text: str) -> Decimal:
        return fields.price(text, any_places=self._rules.any_places)

    def _value(self, name: str, cells: Mapping[str, Cell], parse: Callable[[str], T]) -> T | None:
        cell = cells.get(name)
        if cell is None or not cell.text:
            return None
        try:
            return parse(cell.text)
        except Wrong as wrong:
            self._faults.add(cell.place, name, wrong.what, wrong.remedy)
            return None

    def _unique(
        self, name: str, cells: Mapping[str, Cell], parse: Callable[[str], T], seen: dict[T, Place]
    ) -> T | None:
        value = self._value(name, cells, parse)
        if value is None:
            return None
        place = cells[name].place
        first = seen.setdefault(value, place)
        if first is not place:
            what = f"{quoted(str(value))} stands in line {first.line} too"
            self._faults.add(place, name, what, f"give each its own {name}")
        return value

    def _check_root(self, draft: _Draft, at: Cell, cells: Mapping[str, Cell]) -> None:
        """The root is the provider's or the taxonomy's name, and the API has no place for more."""
        for name in VALUES:
            cell = cells.get(name)
            if cell is not None and cell.text:
                self._faults.add(cell.place, name, "stands at the root, which has none", "leave it out")
        if draft.buyable:
            place = cells.get("buyable", at).place
            self._faults.add(place, "buyable", "the root cannot be bought", "put the segment below it")

    def _check_segment(self, at: Cell, cells: Mapping[str, Cell]) -> None:
        for name in self._shape.needs:
            cell = cells.get(name, Cell("", at.place))
            if not cell.text:
                remedy = "write it, or say that the row cannot be bought (buyable)"
                self._faults.add(cell.place, name, "is missing of a segment that can be bought", remedy)

    def _check_prices(self, draft: _Draft, at: Cell, cells: Mapping[str, Cell]) -> None:
        wholesale, retail = draft.wholesale_cpm, draft.retail_cpm
        if wholesale is None or retail is None or self._rules.below_wholesale:
            return
        if retail < wholesale:
            what = f"{retail} is below the wholesale price {wholesale}"
            place = cells.get("retail_cpm", at).place
            self._faults.add(place, "retail_cpm", what, "raise it, or allow it (--below-wholesale)")

    def _note_missing(self, draft: _Draft, above: Path) -> None:
        path = (*above, draft.name)
        if draft.row is None and draft.child is not None:
            what = f"its parent {quoted(names.written(path))} has no row"
            self._faults.add(
                draft.child, self._shape.path, what, "write one above it; convert does", Severity.WARNING
            )
        for child in draft.children.values():
            self._note_missing(child, path)
