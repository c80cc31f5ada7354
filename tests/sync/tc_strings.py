"""TC strings as a consent platform writes them."""

from base64 import urlsafe_b64encode


def tc_string(
    purposes=(), vendors=(), *, ranges=None, interests=(), restrictions=(), version=2, cut=0, more=""
):
    """The core segment; `ranges` writes vendors as ranges, `restrictions` are (purpose, kind, ranges)."""
    bits = f"{version:06b}" + "0" * 146
    bits += "".join("1" if number in purposes else "0" for number in range(1, 25))
    bits += "0" * (24 + 1 + 12)
    bits += _bitfield(vendors) if ranges is None else f"{_largest(ranges):016b}1" + _ranges(ranges)
    bits += _bitfield(interests)
    bits += f"{len(restrictions):012b}"
    for purpose, kind, restricted in restrictions:
        bits += f"{purpose:06b}{kind:02b}" + _ranges(restricted)
    bits = bits[: len(bits) - cut] if cut else bits
    bits += "0" * (-len(bits) % 8)
    content = int(bits, 2).to_bytes(len(bits) // 8)
    return urlsafe_b64encode(content).decode().rstrip("=") + more


def _bitfield(vendors):
    largest = max(vendors, default=0)
    return f"{largest:016b}0" + "".join("1" if one in vendors else "0" for one in range(1, largest + 1))


def _ranges(ranges):
    entries = (f"0{first:016b}" if first == last else f"1{first:016b}{last:016b}" for first, last in ranges)
    return f"{len(ranges):012b}" + "".join(entries)


def _largest(ranges):
    return max((last for _, last in ranges), default=0)
