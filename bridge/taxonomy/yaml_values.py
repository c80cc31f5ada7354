"""Reading YAML with the place of each value.

The parser's events are taken one by one, so that depth and number are bounded before anything is made of
them. Aliases are not followed: a few lines of them can stand for billions.
"""

from collections.abc import Iterator

import yaml

from bridge.taxonomy.fault import Faults, Place, Unreadable
from bridge.taxonomy.value import Bounds, Kind, Pair, Value

_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str, faults: Faults) -> Value:
    """The document.

    Raises:
        Unreadable: It is no YAML, not one document, or beyond the bounds.
    """
    try:
        return _document(yaml.parse(text, Loader=_LOADER), faults)
    except yaml.YAMLError as error:
        raise _syntax(error) from None


def _document(events: Iterator[yaml.Event], faults: Faults) -> Value:
    reader = _Reader(events, faults)
    found = [event for event in (next(events), next(events)) if isinstance(event, yaml.DocumentStartEvent)]
    if not found:
        raise Unreadable(Place(1, 1), "is empty", "write a mapping with taxonomy")
    value = reader.value(next(events), 1)
    next(events)
    further = next(events)
    if isinstance(further, yaml.DocumentStartEvent):
        raise Unreadable(_place(further), "holds a second document", "put it into a file of its own")
    return value


class _Reader:
    """Makes values of events."""

    def __init__(self, events: Iterator[yaml.Event], faults: Faults) -> None:
        self._events = events
        self._bounds = Bounds(faults)

    def value(self, event: yaml.Event, depth: int) -> Value:
        """The value that an event begins."""
        place = _place(event)
        self._bounds.take(place, depth)
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(place, "is an alias", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise Unreadable(place, "has a tag", "leave it out")
        if isinstance(event, yaml.MappingStartEvent):
            return Value(place, Kind.MAPPING, pairs=self._pairs(depth))
        if isinstance(event, yaml.SequenceStartEvent):
            return Value(place, Kind.LIST, elements=tuple(self._elements(depth)))
        return _scalar(event, place)

    def _pairs(self, depth: int) -> dict[str, Pair]:
        pairs: dict[str, Pair] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self.value(event, depth + 1)
            if key.kind in (Kind.LIST, Kind.MAPPING):
                raise Unreadable(key.place, "a key must be a text", "write it so")
            self._bounds.put(pairs, key.text, Pair(key.place, self.value(next(self._events), depth + 1)))
        return pairs

    def _elements(self, depth: int) -> Iterator[Value]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self.value(event, depth + 1)


def _scalar(event: yaml.Event, place: Place) -> Value:
    assert isinstance(event, yaml.ScalarEvent)
    text = str(event.value)
    if event.style in (None, ""):
        return Value(place, Kind.NULL if text in _NULLS else Kind.PLAIN, text)
    return Value(place, Kind.TEXT, text)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    if mark is None:  # the parsers set it always; it is optional by its type alone
        return Place(1, 1)
    return Place(mark.line + 1, mark.column + 1)


def _syntax(error: yaml.YAMLError) -> Unreadable:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, problem = error.problem_mark, " ".join(str(error.problem).split())
        place = Place(mark.line + 1, mark.column + 1)
        return Unreadable(place, f"no valid YAML: {problem}", "correct it there")
    what = "holds characters that YAML does not allow"
    return Unreadable(Place(1, 1), what, "save it as plain UTF-8 text")
