"""Mail addresses: one plain ASCII address, that no header can be smuggled in with (RFC 5322, addr-spec)."""

import re

PIXEL_MAPPING = "pixelmapping@mediamath.com"
"""Where the automated process reads (seed: External Data Segments)."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})*)")
_LONGEST, _LONGEST_LOCAL = 254, 64


def checked(address: str) -> str:
    """The address itself.

    Raises:
        ValueError: It is none, has a name beside it, or is of other letters than ASCII; without the text.
    """
    match = _ADDRESS.fullmatch(address) if len(address) <= _LONGEST else None
    if match is None or len(match["local"]) > _LONGEST_LOCAL:
        raise ValueError("is no plain mail address; write one alone, without a name, as in data@example.com")
    return address


def domain(address: str) -> str:
    """Behind the @."""
    return address.rpartition("@")[2]
