"""Names, and the HTML entities that stand for them (seed: Segment Name).

A name that is not in Latin letters is sent as ASCII, each other character as an entity, and the platform
shows the text. In the model a name is always the text. So an entity means its character in every file, and
an ampersand that only looks like the beginning of one is written `&amp;`.
"""

import re
import unicodedata
from html.entities import html5

from bridge.taxonomy.fault import Wrong
from bridge.taxonomy.rules import LONGEST_NAME

PIPE = "|"

_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));", re.ASCII)
_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def decoded(text: str) -> str:
    """The name that a text of a file stands for."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def encoded(name: str, *, pipes: bool) -> str:
    """A name as it is sent; `decoded` gives it back.

    Args:
        name: The text.
        pipes: Pipes become entities too, as between names they would begin another.
    """
    text = plain(name)
    if pipes:
        text = text.replace(PIPE, f"&#{ord(PIPE)};")
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii") if needs_entities(name) else text


def plain(name: str) -> str:
    """A name as a YAML file has it: letters of any script; `decoded` gives it back."""
    return _ENTITY.sub(_protected, name) if "&" in name else name


def needs_entities(text: str) -> bool:
    """It has letters of another script than the Latin one, or more than ASCII and no Latin letter."""
    if text.isascii():
        return False
    letters = [character for character in text if character.isalpha()]
    latin = [unicodedata.name(letter, "").startswith("LATIN ") for letter in letters]
    return not latin or not all(latin)


def check(name: str) -> None:
    """Refuse a name that cannot be sent, or that people could not see as it is.

    Raises:
        Wrong: It is empty, too long, has spaces at its ends or characters that cannot be seen.
    """
    if not name:
        raise Wrong("a name is empty", "write one, with a single pipe before it")
    if unseen(name):
        raise Wrong("a name has characters that cannot be seen", "leave them out")
    if name != name.strip():
        raise Wrong("a name begins or ends with a space", "leave it out")
    length = len(encoded(name, pipes=False))
    if length > LONGEST_NAME:
        entities = ", its entities counted as they are sent" if length > len(name) else ""
        raise Wrong(f"a name has {length:,} characters{entities}", f"write {LONGEST_NAME} at most")


def unseen(text: str) -> bool:
    """It has characters that are not for seeing: controls, line ends, halves, turns of direction."""
    return any(unicodedata.category(c) in _UNSEEN or c in _TURNING for c in text)


def written(path: tuple[str, ...]) -> str:
    """A path as a CSV has it: `|Data.com|Age|30-35`."""
    return "".join(PIPE + encoded(name, pipes=True) for name in path)


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, named = found.groups()
    if named is not None:
        return html5.get(f"{named};", found[0])
    number = int(decimal) if decimal is not None else int(hexadecimal, 16)
    return found[0] if number > _LAST or number in _SURROGATES else chr(number)


def _protected(found: re.Match[str]) -> str:
    return found[0] if _character(found) == found[0] else "&amp;" + found[0][1:]
