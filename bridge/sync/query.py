"""The parameters of a query, from bytes that anybody may have sent."""

from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes, urlencode

from bridge.sync.outcome import Outcome, Refused

MOST = 100
"""Parameters in a query, foreign ones among them."""

RETURNED = "returned"
"""A mark of our own: the browser was given a cookie and sent back."""

_NAMES = {
    name.encode(): name
    for name in (
        *("mmuuid", "dc"),
        *("gdpr", "gdpr_consent", "us_privacy"),
        *("id", "expires", "signature"),
        *("kind", RETURNED),
    )
}
"""Those that are looked at."""


def parameters(query: bytes) -> Mapping[str, str]:
    """Ours, decoded once; a plus is a plus, as none of them can hold a space.

    Raises:
        Refused: The query is malformed.
    """
    if query.count(b"&") >= MOST:
        raise Refused(Outcome.MALFORMED_QUERY)
    found: dict[str, str] = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        ours = _NAMES.get(name)
        if ours is None:
            continue
        if ours in found:  # which of the two is meant?
            raise Refused(Outcome.MALFORMED_QUERY)
        found[ours] = _text(value)
    return found


def _text(value: bytes) -> str:
    try:
        return (unquote_to_bytes(value) if b"%" in value else value).decode()
    except UnicodeDecodeError:
        raise Refused(Outcome.MALFORMED_QUERY) from None


def again(parameters: Mapping[str, str]) -> str:
    """The same query with the mark, as a relative reference: to wherever the browser has asked."""
    return "?" + urlencode({**parameters, RETURNED: "1"}, quote_via=quote)
