"""Reading JSON (RFC 8259) with the place of each value, which the standard library does not tell."""

import json
import re

from bridge.taxonomy.fault import Faults, Place, Unreadable, quoted
from bridge.taxonomy.value import Bounds, Kind, Pair, Value

_TOKEN = re.compile(
    r"""(?P<punctuation>[\[\]{},:])
    |(?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+")
    |(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
    |(?P<word>true|false|null)""",
    re.VERBOSE | re.ASCII,
)
_SPACE = re.compile(r"[ \t\r\n]*+")
_WORDS = {"true": Kind.BOOLEAN, "false": Kind.BOOLEAN, "null": Kind.NULL}


def read(text: str, faults: Faults) -> Value:
    """The document.

    Raises:
        Unreadable: It is no JSON, or beyond the bounds.
    """
    reader = _Reader(text, faults)
    value = reader.value(1)
    if reader.lexeme:
        raise reader.wrong("goes on behind its end")
    return value


class _Reader:
    """One lexeme ahead of what was taken; an empty lexeme is the end."""

    def __init__(self, text: str, faults: Faults) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._bounds = Bounds(faults)
        self.lexeme = ""
        self._kind = ""
        self._place = Place(1, 1)
        self._advance()

    def wrong(self, what: str) -> Unreadable:
        """The refusal, where the lexeme stands."""
        return Unreadable(self._place, f"no valid JSON: {what}", "correct it there")

    def value(self, depth: int) -> Value:
        """The value that the lexeme begins."""
        place = self._place
        self._bounds.take(place, depth)
        lexeme, kind = self.lexeme, self._kind
        if not lexeme:
            raise self.wrong("a value is missing at its end")
        self._advance()
        if lexeme == "{":
            return Value(place, Kind.MAPPING, pairs=self._pairs(depth))
        if lexeme == "[":
            return Value(place, Kind.LIST, elements=self._elements(depth))
        if kind == "text":
            return Value(place, Kind.TEXT, json.loads(lexeme))
        if kind == "number":
            return Value(place, Kind.NUMBER, lexeme)
        if kind == "word":
            return Value(place, _WORDS[lexeme], lexeme)
        raise Unreadable(place, f"no valid JSON: {lexeme} stands where a value must", "correct it there")

    def _pairs(self, depth: int) -> dict[str, Pair]:
        pairs: dict[str, Pair] = {}
        while self.lexeme != "}" or pairs:
            if self._kind != "text":
                raise self.wrong("a key in double quotes is missing")
            place, key = self._place, json.loads(self.lexeme)
            self._advance()
            if self.lexeme != ":":
                raise self.wrong("a colon is missing")
            self._advance()
            self._bounds.put(pairs, key, Pair(place, self.value(depth + 1)))
            if not self._goes_on("}"):
                return pairs
        self._advance()
        return pairs

    def _elements(self, depth: int) -> tuple[Value, ...]:
        elements: list[Value] = []
        while self.lexeme != "]" or elements:
            elements.append(self.value(depth + 1))
            if not self._goes_on("]"):
                return tuple(elements)
        self._advance()
        return ()

    def _goes_on(self, end: str) -> bool:
        """Behind an element stands a comma, or the end."""
        lexeme = self.lexeme
        if lexeme not in (",", end) or not lexeme:
            raise self.wrong(f"a comma or {end} is missing")
        self._advance()
        return lexeme == ","

    def _advance(self) -> None:
        space = _SPACE.match(self._text, self._at)
        start = self._at if space is None else space.end()
        lines = self._text.count("\n", self._at, start)
        if lines:
            self._line += lines
            self._line_start = self._text.rindex("\n", self._at, start) + 1
        self._place = Place(self._line, start - self._line_start + 1)
        found = _TOKEN.match(self._text, start)
        if found is None:
            if start < len(self._text):
                raise self.wrong(f"nothing of it begins with {quoted(self._text[start])}")
            self.lexeme, self._kind, self._at = "", "", start
        else:
            self.lexeme, self._kind, self._at = found[0], str(found.lastgroup), found.end()
