"""The log's actions are a closed list: what is declared, what is written, what the documents say."""

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.actions import ROOMS, declared
from bridge.actions.fields import FIELDS, IDS, OTHERS
from tests.logging_document import DOCUMENT, compared, document

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error"}
FORBIDDEN = {"bind", "new", "unbind", "exception", "critical", "warn", "fatal", "log", "msg"}
COMMON = {"timestamp", "level", "action", "event"}

EXCEPTION = {"kinds", "places"}
"""What `exc_info` becomes (observe/log.py)."""


@dataclass(frozen=True)
class Call:
    """A call that writes a log line."""

    place: str
    level: str
    name: str
    fields: frozenset[str]


def loggers(tree: ast.AST) -> set[str]:
    """Names that stand for `structlog.get_logger()`."""
    assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign) and is_getter(node.value))
    return {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def is_getter(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "structlog.get_logger"


def calls_in(path: Path) -> Iterator[Call]:
    """Every call of a logger in a module; what cannot be read off the source fails."""
    tree = ast.parse(path.read_text())
    names = loggers(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        if not (is_getter(owner) or (isinstance(owner, ast.Name) and owner.id in names)):
            continue
        place = f"{path.relative_to(ROOT)}: {ast.unparse(node)[:60]}"
        assert node.func.attr not in FORBIDDEN, f"{place}: only {sorted(LEVELS)} are used"
        assert node.func.attr in LEVELS, place
        (name,) = node.args
        assert isinstance(name, ast.Constant), f"{place}: the action is a literal"
        fields = [keyword.arg for keyword in node.keywords]
        assert None not in fields, f"{place}: fields are written out"
        found = {str(field) for field in fields}
        if "exc_info" in found:
            found = found - {"exc_info"} | EXCEPTION
        yield Call(place, node.func.attr, name.value, frozenset(found))


def all_calls() -> list[Call]:
    return [call for path in sorted((ROOT / "bridge").rglob("*.py")) for call in calls_in(path)]


def test_every_log_line_is_of_a_declared_action():
    """Its level and its fields are those that are declared, no more and no fewer."""
    known = declared()
    calls = all_calls()
    assert len(calls) > 60
    assert [call.place for call in calls if call.name not in known] == []
    assert {call.place: call.level for call in calls if call.level != known[call.name].level} == {}
    assert {
        call.place: sorted(call.fields ^ set(known[call.name].fields))
        for call in calls
        if call.fields != set(known[call.name].fields)
    } == {}


def test_every_declared_action_is_written_somewhere():
    """Nobody waits for a line that never comes; each is declared once, and so is each field."""
    assert declared().keys() - {call.name for call in all_calls()} == set()
    assert len(declared()) == sum(len(actions) for actions in ROOMS.values())
    assert FIELDS.keys() - {field for action in declared().values() for field in action.fields} == set()
    assert {field for action in declared().values() for field in action.fields} - FIELDS.keys() == set()
    assert IDS.keys() & OTHERS.keys() == set()
    assert FIELDS.keys() & COMMON == set()


def test_the_list_of_actions_is_the_one_that_is_documented():
    """docs/logging.md is what `make docs-logging` writes, its examples too."""
    assert compared(document()) == compared(DOCUMENT.read_text())


def documents() -> list[Path]:
    """What people read."""
    found = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("helm/**/*.md")]
    return sorted(path for path in found if path != DOCUMENT)


def named(text: str) -> set[str]:
    """What a text calls an action, in a query or behind `log line`; tests/test_matrix.py sees failures.md."""
    found = set(re.findall(r"""action[`"']?\s*(?:==|=|:)\s*\\?["'`]([a-z_]+)""", text))
    found |= set(re.findall(r"log lines? `([a-z_]+)`", text))
    return found


def test_what_documents_call_an_action_is_one():
    """And no name there is nearly one: what was renamed here is renamed there."""
    names = declared().keys()
    assert any(named(path.read_text()) for path in documents())
    for path in documents():
        text, place = path.read_text(), path.relative_to(ROOT)
        assert named(text) - names == set(), place
        words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)) - names - FIELDS.keys()
        nearly = {word: difflib.get_close_matches(word, names, 1, 0.9) for word in sorted(words)}
        assert {word: near for word, near in nearly.items() if near} == {}, place
