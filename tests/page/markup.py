"""A page's HTML as a tree, to ask about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "line", "polygon", "polyline"}


@dataclass
class Element:
    """One element."""

    name: str
    attributes: dict[str, str | None]
    content: list["Element | str"] = field(default_factory=list)

    @property
    def children(self) -> list["Element"]:
        """The elements right below it."""
        return [one for one in self.content if isinstance(one, Element)]

    def all(self, *names: str) -> list["Element"]:
        """It and all below it that have one of these names; without names: all."""
        return [one for one in self._walk() if not names or one.name in names]

    def having(self, attribute: str) -> list["Element"]:
        """It and all below it with this attribute."""
        return [one for one in self._walk() if attribute in one.attributes]

    def text(self) -> str:
        """All words in it."""
        return re.sub(r"\s+", " ", " ".join(self._words())).strip()

    def _words(self) -> Iterator[str]:
        for one in self.content:
            if isinstance(one, str):
                yield one
            else:
                yield from one._words()

    def _walk(self) -> Iterator["Element"]:
        yield self
        for child in self.children:
            yield from child._walk()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        one = Element(tag, dict(attrs))
        self.open[-1].content.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop().name == tag, f"<{tag}> is closed where it is not open"

    def handle_startendtag(self, tag, attrs):
        self.open[-1].content.append(Element(tag, dict(attrs)))

    def handle_data(self, data):
        self.open[-1].content.append(data)


def parsed(html: str) -> Element:
    """The tree; AssertionError where elements are not closed in order."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    (root,) = parser.open
    return root
