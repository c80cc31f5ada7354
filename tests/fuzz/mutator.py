"""Bytes made a little wrong, in ways that parsers have been known to mind; the same for the same seed."""

HUGE = (b"\xfe" + b"\xff" * 8 + b"\x7f", b"\xfe" + b"\xff" * 8 + b"\x01", b"\xff" * 9 + b"\x01")
"""Lengths and counts of Avro that nothing has: 2^62 and about, and the smallest number."""

TELLING = (
    *HUGE,
    b"\x01",  # -1
    b"\x80\x00",  # nothing, in two bytes
    b"\x80" * 12 + b"\x00",
    b"\0" * 8,
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\n",
    b"\r\n",
    b" -1",
    b":",
    b'"',
    b"\\",
    b"[" * 600,
    b'{"a":' * 600,
    b"9" * 5_000,
    b"1e999",
    b"NaN",
    b"null",
    b"9223372036854775808",
    b"2147483647",
)
"""What is set in somewhere."""


def mutated(rng, content, times=None):
    """The bytes with one to three faults."""
    for _ in range(times or rng.choice((1, 1, 2, 3))):
        content = _fault(rng, content)
    return content


def _fault(rng, content):  # noqa: PLR0911  # a case for each kind of fault
    at = rng.randrange(len(content) + 1)
    size = min(len(content) - at, rng.choice((1, 1, 2, 4, 9, 40)))
    before, here, after = content[:at], content[at : at + size], content[at + size :]
    match rng.randrange(10):
        case 0 if here:
            flipped = bytes([here[0] ^ 1 << rng.randrange(8)])
            return before + flipped + here[1:] + after
        case 1 if here:
            return before + rng.randbytes(1) + here[1:] + after
        case 2 if here:
            return before + bytes([rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xFE, 0xFF))]) + here[1:] + after
        case 3:
            return before
        case 4:
            return before + after
        case 5:
            return before + here + here + after
        case 6:
            return before + rng.randbytes(size) + after
        case 7:
            return before + rng.choice(TELLING) + here + after
        case 8:
            return before + rng.choice(TELLING) + after
        case _:
            other = rng.randrange(len(content) + 1)
            return before + content[other : other + size] + here + after
