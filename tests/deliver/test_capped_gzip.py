"""One gzip member under a limit."""

import gzip
import hashlib
import io
import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver.capped_gzip import CappedGzip


@settings(max_examples=60)
@given(st.integers(200, 60_000), st.integers(0, 2**32), st.sampled_from([1, 6, 9]), st.booleans())
def test_it_never_passes_its_limit_and_loses_nothing(limit, seed, level, compressible):
    """Filled as long as `room` allows, whatever the bytes: at most `limit`, and unpacked the same."""
    random.seed(seed)
    file, written = io.BytesIO(), []
    member = CappedGzip(file, limit=limit, level=level)
    while True:
        size = random.randrange(1, 5_000)
        text = b"ab12" * (size // 4 + 1) if compressible else random.randbytes(size)
        if len(text) > member.room(len(text)):
            break
        member.write(text)
        written.append(text)
    member.close()
    data = file.getvalue()
    assert len(data) == member.bytes <= limit
    assert gzip.decompress(data) == b"".join(written)
    assert member.sha256 == hashlib.sha256(data).hexdigest()


def test_what_compresses_well_fills_the_limit():
    """The limit is on the gzip size: far more text than that goes in, and little room is left."""
    file = io.BytesIO()
    member = CappedGzip(file, limit=20_000, level=6)
    random.seed(1)
    while len(text := f"{random.randrange(10**6)} ".encode() * 3) <= member.room(len(text)):
        member.write(text)
    member.close()
    assert 19_000 < member.bytes <= 20_000


def test_the_header_names_no_file_and_no_time():
    """The gzip header's flags and time are zero (facts.md: no local file name inside)."""
    file = io.BytesIO()
    member = CappedGzip(file, limit=1_000, level=6)
    member.write(b"x")
    member.close()
    assert file.getvalue()[3:8] == bytes(5)


def test_a_higher_level_is_no_larger():
    """For lines like those of our files no level is larger than the one below it, but for a little."""
    random.seed(3)
    lines = [
        f"{random.randbytes(16).hex()} "
        + " ".join(f"{random.randrange(10_000, 20_000)}:0" for _ in range(n % 7))
        for n in range(20_000)
    ]
    text = "\n".join(lines).encode()
    sizes = []
    for level in range(1, 10):
        member = CappedGzip(io.BytesIO(), limit=10**9, level=level)
        member.write(text)
        member.close()
        sizes.append(member.bytes)
    assert all(higher <= lower * 1.01 for lower, higher in pairwise(sizes))
    assert sizes[8] < 0.97 * sizes[5]
