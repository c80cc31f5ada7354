"""A taxonomy as codes: of a file, or of the platform's."""

from pathlib import Path

from bridge.errors import BridgeError, UsageError
from bridge.segments.codes import Codes
from bridge.taxonomy import Form, Reading, Rules, Severity, Taxonomy, form_of, read


def read_codes(path: Path, *, hashed: bool) -> Codes:
    """The codes of a file, as `taxonomy check` reads it; `hashed`: those of the stream are texts.

    Prices are not looked at, and what `taxonomy convert` mends does no harm here.

    Raises:
        UsageError: It cannot be read, has faults, or does not fit the stream.
    """
    reading = _reading(path, hashed=hashed)
    if reading.taxonomy is None:
        raise UsageError(_told(path, reading))
    try:
        return codes_of(reading.taxonomy, hashed=hashed)
    except BridgeError as error:
        raise UsageError(f"{path} {error}") from None


def read_taxonomy(path: Path, *, hashed: bool) -> Taxonomy | None:
    """The taxonomy of a file; None: it cannot be read any more."""
    try:
        return _reading(path, hashed=hashed).taxonomy
    except UsageError:
        return None


def codes_of(taxonomy: Taxonomy, *, hashed: bool) -> Codes:
    """The codes that can be bought; those of categories cannot.

    Raises:
        BridgeError: It does not fit the stream; the text goes on where a name of the taxonomy stands.
    """
    if taxonomy.use_hash != hashed:
        theirs, ours = str(taxonomy.use_hash).lower(), str(hashed).lower()
        raise BridgeError(f"has use_hash: {theirs}, the stream hash_segments: {ours}; make them agree")
    codes = Codes(
        (node.code for _, node in taxonomy.walk() if node.buyable and node.code is not None), hashed=hashed
    )
    if not len(codes):
        raise BridgeError("holds no segment that can be bought; name the taxonomy that buyers see")
    return codes


def _reading(path: Path, *, hashed: bool) -> Reading:
    """A CSV has no word on what its codes are; the other forms say it themselves."""
    return read(path, Rules(hashed=hashed and form_of(path) is Form.CSV, below_wholesale=True))


def _told(path: Path, reading: Reading) -> str:
    first = next((one for one in reading.faults if one.severity is Severity.FAULT), None)
    told = f"{path} holds no taxonomy" if first is None else str(first)
    return f"{told}; s2s-bridge taxonomy check {path} tells all"
