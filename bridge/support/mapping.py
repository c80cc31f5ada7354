"""Mappings of segment codes to external data segments, as people write them (seed: External Data Segments).

`ep:8473=679001`, or as the request has it, `ep:8473,mm:679001`; one a line in a file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

MM = "mm"
"""The namespace of MT_IDs; of no partner."""
EXAMPLE_NAMESPACE = "ns"
"""Stands in the seed's example for the partner's own."""

LARGEST_CODE = 2_147_483_647
"""Of 32 bits; other codes are hashed (seed: Segment Codes)."""

_FORM = "write NS:CODE=MT_ID or NS:CODE,mm:MT_ID"
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,32}")
_TWO_LETTERS = re.compile(r"[a-z]{2}")
_INTEGER = re.compile(r"[1-9][0-9]{0,17}")
# As contract.md, invalid_segment_id; a comma would end the code in the request's line.
_HASHED_CODE = re.compile(r"[!-+\--9;-~]{1,256}")


class NoMapping(ValueError):  # noqa: N818  # it names what the text is not
    """The text is no mapping; the message says why and what to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelMapping:
    """A partner's segment is to fill an external data segment."""

    namespace: str
    """The partner's segment namespace."""
    code: str
    """The partner's segment code, as it is sent in audience files."""
    mt_id: int
    """The MathTag id of the external data segment."""

    @property
    def source(self) -> str:
        """`ep:8473`."""
        return f"{self.namespace}:{self.code}"

    @property
    def target(self) -> str:
        """`mm:679001`."""
        return f"{MM}:{self.mt_id}"

    @property
    def line(self) -> str:
        """As the request has it."""
        return f"{self.source},{self.target}"

    @classmethod
    def parse(cls, text: str, *, hashed: bool) -> Self:
        """The mapping that is written so.

        Args:
            text: One of the two forms; spaces around its parts do not matter.
            hashed: Codes are texts (`hash_segments: true`), else integers of 32 bits.

        Raises:
            NoMapping: It is not written so, or a part of it cannot be right.
        """
        source, target = _sides(text)
        namespace, colon, code = (part.strip() for part in source.partition(":"))
        if not colon:
            raise NoMapping(f"has no namespace; {_FORM}")
        _check_namespace(namespace)
        _check_code(code, hashed=hashed)
        if _INTEGER.fullmatch(target) is None:
            raise NoMapping("the MT_ID is not a whole number from 1; write the pixel's id alone, no 0 before")
        return cls(namespace=namespace, code=code, mt_id=int(target))


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A text that somebody wrote, and where."""

    place: str
    """`mappings.csv:3`, or `argument 1`."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Why a text can be no part of a request."""

    at: Placed
    """Which text."""
    reason: str
    """What is wrong; what to do."""

    def __str__(self) -> str:
        return f"{self.at.place}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a request's texts come to."""

    mappings: tuple[PixelMapping, ...]
    """In the order in which they stand, each once."""
    faults: tuple[Fault, ...]
    """With one of them nothing should be asked."""
    warnings: tuple[str, ...]
    """What may be meant so: `PLACE: what`."""


def lines(name: str, text: str) -> list[Placed]:
    """The mappings' texts of a file: blank lines and those that begin with # are none."""
    numbered = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    stripped = ((number, line.strip()) for number, line in numbered)
    return [
        Placed(place=f"{name}:{number}", text=line)
        for number, line in stripped
        if line and not line.startswith("#")
    ]


def find(texts: Iterable[Placed], *, hashed: bool) -> Findings:
    """Every mapping, every fault and every warning of these texts."""
    places: dict[PixelMapping, str] = {}
    by_target: dict[str, PixelMapping] = {}
    by_source: dict[str, PixelMapping] = {}
    faults, warnings = list[Fault](), list[str]()
    for one in texts:
        try:
            mapping = PixelMapping.parse(one.text, hashed=hashed)
        except NoMapping as error:
            faults.append(Fault(at=one, reason=str(error)))
            continue
        if mapping in places:
            warnings.append(f"{one.place}: {mapping.line} stands at {places[mapping]} already: asked once")
            continue
        other = by_target.setdefault(mapping.target, mapping)
        if other is not mapping:
            reason = (
                f"{mapping.target} is mapped to {other.source} at {places[other]} already, and is a single "
                f"segment (external data segments are); leave one of them out"
            )
            faults.append(Fault(at=one, reason=reason))
            continue
        another = by_source.setdefault(mapping.source, mapping)
        if another is not mapping:
            warnings.append(
                f"{one.place}: {mapping.source} goes to {another.target}, too ({places[another]}): right if "
                f"these are of two agencies"
            )
        places[mapping] = one.place
    warnings.extend(_unusual(places))
    return Findings(mappings=tuple(places), faults=tuple(faults), warnings=tuple(warnings))


def _sides(text: str) -> tuple[str, str]:
    """What stands before and behind the comma or the last equals sign."""
    source, comma, target = (part.strip() for part in text.rpartition(","))
    if comma:
        namespace, _, mt_id = (part.strip() for part in target.partition(":"))
        if namespace != MM:
            raise NoMapping(f"behind the comma there is no {MM}:MT_ID; {_FORM}")
        return source, mt_id
    source, equals, target = (part.strip() for part in text.rpartition("="))
    if not equals:
        raise NoMapping(f"is no mapping; {_FORM}")
    return source, target


def _check_namespace(namespace: str) -> None:
    if namespace.lower() == MM:
        raise NoMapping(f"{MM} is MediaMath's namespace; write the partner's, the stream's segment_namespace")
    if _NAMESPACE.fullmatch(namespace) is None:
        raise NoMapping(
            "the namespace may hold letters, digits, dots, hyphens and underscores alone; correct it"
        )


def _check_code(code: str, *, hashed: bool) -> None:
    if "," in code:
        raise NoMapping("the code has a comma, which ends it in the request; ask support about this one")
    if hashed:
        if _HASHED_CODE.fullmatch(code) is None:
            raise NoMapping("the code is not 1 to 256 printable ASCII characters without a colon; correct it")
    elif _INTEGER.fullmatch(code) is None or int(code) > LARGEST_CODE:
        raise NoMapping(
            f"the code is not a whole number from 1 to {LARGEST_CODE}; correct it, or give --hashed "
            f"where the stream has hash_segments: true"
        )


def _unusual(places: dict[PixelMapping, str]) -> Iterable[str]:
    """A line for each namespace that is allowed but not as the seeds have them."""
    first: dict[str, str] = {}
    for mapping, place in places.items():
        first.setdefault(mapping.namespace, place)
    for namespace, place in first.items():
        if namespace == EXAMPLE_NAMESPACE:
            yield f"{place}: namespace {namespace} stands in the platform's example for the partner's own"
        elif _TWO_LETTERS.fullmatch(namespace) is None:
            yield f"{place}: namespace {namespace} is not two lower-case letters, as the platform's are"
    if len(first) > 1:
        yield f"the mappings are of {len(first)} namespaces: {', '.join(first)}"
