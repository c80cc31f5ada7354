"""The configuration file as a tree of texts: YAML read, `${NAME}` filled in.

Every scalar but null stays the text that was written, and the key's own type says what it means. So a
literal and an environment variable read alike, a table id `007` keeps its zeros, and a client `No` its name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from bridge.config.fault import Fault, Location

Value = None | str | list["Value"] | dict[str, "Value"]

_YAML = "tag:yaml.org,2002:"
_NULL = _YAML + "null"
_MERGE = _YAML + "merge"
_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE_NAME = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)
_NULLS = ("", "~", "null", "Null", "NULL")

MOST_VALUES = 100_000
"""Values of a document, those counted again that aliases repeat: a few lines can stand for billions."""

_TOO_MANY = f"stands for more than {MOST_VALUES:,} values; it has aliases of aliases: write out what is meant"


class _TooMany(Exception):  # noqa: N818  # it names a state, which becomes a fault
    """The document is not read any further."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the document and where it stands; what is not there is a place too, with the value None."""

    value: Value
    path: Location = ()

    def __getitem__(self, key: str) -> "Place":
        """What stands under a key, if this is a mapping that has it."""
        return Place(self.value.get(key) if isinstance(self.value, dict) else None, (*self.path, key))

    def __iter__(self) -> Iterator["Place"]:
        """The elements of a list; of a mapping, the values."""
        match self.value:
            case list(elements):
                return (Place(element, (*self.path, at)) for at, element in enumerate(elements))
            case dict(pairs):
                return (Place(value, (*self.path, key)) for key, value in pairs.items())
            case _:
                return iter(())

    @property
    def given(self) -> bool:
        """There is a value, of whatever kind."""
        return self.value is not None

    @property
    def text(self) -> str:
        """The value where it is a text, else empty."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def key(self) -> str:
        """The last step of the path."""
        return str(self.path[-1])

    def fault(self, what: str) -> Fault:
        """A fault of this place."""
        return Fault(self.path, what)


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read, as far as it could be."""

    root: dict[str, Value]
    """The top mapping; where a variable is not set stands None."""
    faults: list[Fault] = field(default_factory=list)
    """What is wrong with the file itself."""
    lines: dict[Location, tuple[int, int]] = field(default_factory=dict)
    """Line and column (from 0) of each key and element."""

    def position(self, path: Location) -> tuple[int, int]:
        """Where a path stands in the file, or the nearest thing above it that does."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return (0, 0)


def read(text: str, environ: Mapping[str, str]) -> Document:
    """The document, with the faults of its keys and variables; broken YAML is the only fault then."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        return Document({}, [Fault((), _syntax(error))])
    except RecursionError:
        return Document({}, [Fault((), "nested too deeply to be read; flatten it")])
    if not isinstance(node, yaml.MappingNode):
        return Document(
            {}, [Fault((), "holds no keys; write a YAML mapping with kafka, accounts and streams")]
        )
    reader = _Reader(environ)
    try:
        root = reader.mapping(node, ())
    except _TooMany:
        return Document({}, [Fault((), _TOO_MANY)])
    return Document(root, reader.faults, reader.lines)


def _syntax(error: yaml.YAMLError) -> str:
    """One line for a syntax error: where, and the parser's own words."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, problem = error.problem_mark, " ".join(str(error.problem).split())
        return f"no valid YAML at line {mark.line + 1}, column {mark.column + 1}: {problem}; correct it there"
    return "no valid YAML: it holds characters that YAML does not allow; save it as plain UTF-8 text"


class _Reader:
    """Walks the nodes; `faults` and `lines` grow as it goes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.faults: list[Fault] = []
        self.lines: dict[Location, tuple[int, int]] = {}
        self._environ = environ
        self._open: set[int] = set()  # the nodes around this one: an anchor may hold itself
        self._values = 0

    def value(self, node: yaml.Node, path: Location) -> Value:
        """A node's value; None, with a fault, where it has none."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooMany
        if not node.tag.startswith(_YAML) or node.tag.startswith(_YAML + "python"):
            self.faults.append(Fault(path, "has a YAML tag that is not known here; leave the tag out"))
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self.faults.append(Fault(path, "is an alias of what it stands in; write the value out"))
            return None
        self._open.add(id(node))
        try:
            return self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        finally:
            self._open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: Location) -> dict[str, Value]:
        """A mapping's pairs; what `<<` merges in stands behind its own keys."""
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(
                    Fault(path, f"line {key.start_mark.line + 1}: a key must be a text; write it so")
                )
            elif key.tag == _MERGE:
                merged |= self._merged(child, path)
            elif key.value in own:
                self._twice(key, (*path, key.value))
            else:
                self.lines[*path, key.value] = (key.start_mark.line, key.start_mark.column)
                own[key.value] = self.value(child, (*path, key.value))
        return merged | own

    def _list(self, node: yaml.Node, path: Location) -> list[Value]:
        values: list[Value] = []
        for at, child in enumerate(node.value):
            self.lines[*path, at] = (child.start_mark.line, child.start_mark.column)
            values.append(self.value(child, (*path, at)))
        return values

    def _twice(self, key: yaml.ScalarNode, path: Location) -> None:
        first, again = self.lines[path][0] + 1, key.start_mark.line + 1
        self.faults.append(Fault(path, f"stands twice, in lines {first} and {again}; keep one"))

    def _merged(self, node: yaml.Node, path: Location) -> dict[str, Value]:
        """What `<<: *one` or `<<: [*one, *two]` brings; the first of a list wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Value] = {}
        for source in sources:
            value = self.value(source, path)
            if not isinstance(value, dict):
                self.faults.append(Fault((*path, "<<"), "must name a mapping; point it at one"))
            else:
                merged = value | merged
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: Location) -> Value:
        if node.tag == _NULL:
            return None
        text = str(node.value)
        if "${" not in text:
            return text
        names = [found[1] for found in _VARIABLE.finditer(text)]
        if _VARIABLE_NAME.sub("", text).count("${"):
            self.faults.append(Fault(path, "has a ${ that begins no variable; write ${NAME}"))
            return None
        unset = [name for name in names if name not in self._environ]
        self.faults += [
            Fault(path, f"environment variable {name} is not set; set it, or write the value")
            for name in unset
        ]
        if unset:
            return None
        filled = _VARIABLE.sub(lambda found: self._environ[found[1]], text)
        whole = node.style is None and _VARIABLE_NAME.fullmatch(text) is not None
        return self._unquoted(filled, path) if whole else filled

    def _unquoted(self, text: str, path: Location) -> Value:
        """What a variable stands for that is a whole value, unquoted: null, a list or a mapping too."""
        if text in _NULLS:
            return None
        if text.startswith(("[", "{")):
            try:
                node = yaml.compose(text, Loader=yaml.SafeLoader)
                return text if node is None else _Reader({}).value(node, path)
            except (yaml.YAMLError, RecursionError, _TooMany):
                return text  # such as [::1]:8080
        return text
