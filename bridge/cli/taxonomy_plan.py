"""A plan as people see it: the part of the tree in which something becomes another.

+ is added, - removed, ~ changed, → moved (and perhaps changed).
"""

from collections.abc import Iterator
from decimal import Decimal

from rich.console import RenderableType
from rich.text import Text

from bridge.platform.plan import KINDS, Plan
from bridge.taxonomy import Change, Difference, Kind, Node, Path, names, price_text
from bridge.taxonomy.difference import Value
from bridge.taxonomy.fault import quoted
from bridge.units import plural

ADD, REMOVE, CHANGE, MOVE, SAME = "+", "-", "~", "→", " "

STYLES = {ADD: "green", REMOVE: "red", CHANGE: "yellow", MOVE: "cyan", SAME: "dim"}

_MARKS = {Kind.ADDED: ADD, Kind.REMOVED: REMOVE}


def drawn(plan: Plan) -> Iterator[RenderableType]:
    """The whole plan; its counts in the last line but for what is to be allowed."""
    where = "a new taxonomy" if plan.taxonomy_id is None else f"taxonomy {plan.taxonomy_id}"
    if not plan.difference:
        yield Text(f"No changes: {where} is as it should be.")
        return
    yield Text(f"{plan.name}: {where}", style="bold")
    yield from tree(plan.difference)
    yield Text()
    yield Text(_counts(plan))
    for removal in plan.removals:
        yield Text(f"{REMOVE} {removal}", style=STYLES[REMOVE])


def tree(found: Difference) -> Iterator[RenderableType]:
    """What is changed, a line each, under what it belongs to."""
    for one in found.fields:
        yield _line(CHANGE, "", one.field, f"{_text(one.old)} → {_text(one.new)}")
    for mark, permissions in ((ADD, found.permitted), (REMOVE, found.forbidden)):
        for permission in permissions:
            yield _line(mark, "", f"{KINDS[permission.kind]} {permission.id}", "")
    yield from _Tree(found.changes).lines((), "")


class _Tree:
    """The changed nodes and what stands above them."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._below: dict[Path, dict[str, None]] = {}
        self._at: dict[Path, list[Change]] = {}
        for change in changes:
            self._at.setdefault(change.path, []).append(change)
            for depth in range(len(change.path)):
                self._below.setdefault(change.path[:depth], {})[change.path[depth]] = None

    def lines(self, above: Path, before: str) -> Iterator[Text]:
        """What stands below a path, each line behind what leads to it."""
        children = list(self._below.get(above, {}))
        for name in children:
            path = (*above, name)
            last = name == children[-1]
            branch = "" if not above else "└── " if last else "├── "
            further = "" if not above else "    " if last else "│   "
            for change in self._at.get(path, []):
                yield _line(_mark(change), before + branch, name, ", ".join(_details(change)))
            if path not in self._at:
                yield _line(SAME, before + branch, name, "")
            yield from self.lines(path, before + further)


def _line(mark: str, before: str, name: str, details: str) -> Text:
    line = Text.assemble((f"{mark} ", STYLES[mark]), (before, "dim"), (name, STYLES[mark]))
    return line.append(f"  {details}") if details else line


def _mark(change: Change) -> str:
    return _MARKS.get(change.kind, CHANGE if change.moved_from is None else MOVE)


def _details(change: Change) -> Iterator[str]:
    if change.kind is not Kind.CHANGED:
        yield from _values(change.node)
        return
    if change.moved_from is not None:
        yield f"from {names.written(change.moved_from[:-1])}"
    for one in change.fields:
        yield f"{one.field} {_text(one.old)} → {_text(one.new)}"


def _values(node: Node) -> Iterator[str]:
    if node.code is not None:
        yield f"code {node.code}"
    if node.uniques is not None:
        yield plural(node.uniques, "user")
    if node.wholesale_cpm is not None:
        yield f"wholesale {price_text(node.wholesale_cpm)}"
    if node.retail_cpm is not None:
        yield f"retail {price_text(node.retail_cpm)}"
    if node.code is not None and not node.buyable:
        yield "not to be bought"


def _text(value: Value) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case Decimal():
            return price_text(value)
        case _:
            return quoted(value)


def _counts(plan: Plan) -> str:
    """As it is told in the last line: each kind of nodes, whether there are such or not; and what else is."""
    nodes = ", ".join(f"{number:,} to {what}" for what, number in plan.counts.items())
    found = plan.difference
    permissions = f"; permissions: {len(found.permitted):,} to add, {len(found.forbidden):,} to remove"
    fields = f"; {' and '.join(one.field for one in found.fields)} of the taxonomy to change"
    further = (fields if found.fields else "") + (permissions if found.permitted or found.forbidden else "")
    return f"Plan: {nodes}{further}."
