"""Runs: what was sealed is read back, and what was damaged is never read."""

import json
import shutil
import tempfile
import threading
from pathlib import Path
from zlib import crc32

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.audience.rows import user_key
from bridge.spool.footer import MAGIC, TRAILER, AudienceStatistics, Block, Footer
from bridge.spool.run import Run, RunDamaged, file_name, number_of
from bridge.spool.run_writer import cuts
from tests.parts.audiences import DISPLAY, HASHED, frame
from tests.parts.spools import SMALL, new_spool, one, position, seal, windows

on_disk = settings(max_examples=60)  # an fsync takes as long as the disk likes

keys = st.one_of(
    st.just(""),
    st.builds(
        lambda user, more: f"{user // 2:016x}{user + more:016x}", st.integers(0, 13), st.integers(0, 1)
    ),
)
texts = st.one_of(
    st.just(""),
    st.builds(lambda user, more: f"u{user}{more}", st.integers(0, 13), st.text("\0~", max_size=1)),
)


@on_disk
@given(windows, keys, st.none() | keys, texts, st.none() | texts)
def test_what_was_sealed_is_read_back_for_any_range_of_users(window, low, high, first, last):
    """read(start, stop) is the merged window's rows of users from start up to but without stop, in order."""
    ranges = {DISPLAY: (low, high), HASHED: (first, last)}
    with tempfile.TemporaryDirectory() as folder:
        run = seal(new_spool(Path(folder)), window)
        for audience, (start, stop) in ranges.items():
            expected = [
                row
                for row in latest(audience, frame(audience, window[audience])).to_dicts()
                if user_key(audience, row) >= start and (stop is None or user_key(audience, row) < stop)
            ]
            assert run.read(audience, start, stop).to_dicts() == [row | {"run": 1} for row in expected]


def test_every_pair_of_bounds_is_exact(tmp_path):
    """A bound on a user, or between two, in a block or at its edge: all of a user's rows are in, or none."""
    users = range(2, 30, 2)
    rows = [(user, segment, 0, 1, 0, 0, 0) for user in users for segment in range(1, 2 + user % 3)]
    run = seal(new_spool(tmp_path), {DISPLAY: rows})
    bounds = [user_key(DISPLAY, {"hi": user // 2, "lo": user + more}) for user in users for more in (0, 1)]
    every = run.read(DISPLAY).to_dicts()
    assert len(run.blocks(DISPLAY)) > 5
    for start in bounds:
        for stop in bounds:
            expected = [row for row in every if start <= user_key(DISPLAY, row) < stop]
            assert run.read(DISPLAY, start, stop).to_dicts() == expected


@on_disk
@given(windows, st.integers(1, 9))
def test_blocks_without_young_enough_rows_are_skipped_and_no_others(window, instant):
    """With min_event_time all rows of that instant or later are read, from blocks that reach it alone."""
    with tempfile.TemporaryDirectory() as folder:
        run = seal(new_spool(Path(folder)), window)
        for audience in run.audiences:
            young = pl.col("event_time") >= instant
            read = run.read(audience, min_event_time=instant)
            assert read.filter(young).equals(run.read(audience).filter(young))
            reaching = [block.rows for block in run.blocks(audience) if block.max_event_time >= instant]
            assert read.height == sum(reaching)


@on_disk
@given(windows)
def test_statistics_are_those_of_the_rows(window):
    """Rows, event times, bytes and fences in the footer say what reading finds."""
    with tempfile.TemporaryDirectory() as folder:
        run = seal(new_spool(Path(folder)), window, now=77)
        assert set(run.audiences) == {audience for audience, rows in window.items() if rows}
        for audience, statistics in run.audiences.items():
            rows, blocks = run.read(audience), run.blocks(audience)
            assert statistics == AudienceStatistics(
                audience=audience,
                rows=rows.height,
                removals=rows.filter(pl.col("timestamp") == -1).height,
                bytes=sum(block.length for block in blocks),
                oldest_read_at=77,
                min_event_time=rows["event_time"].min(),
                max_event_time=rows["event_time"].max(),
            )
            assert run.fences(audience) == [(block.first_user, block.rows) for block in blocks]


@given(st.lists(st.integers(1, 9), max_size=20), st.sampled_from([DISPLAY, HASHED]))
def test_blocks_are_cut_between_users_unless_one_user_is_larger(sizes, audience):
    """The cuts cover all rows once, none is above the limit, and only users above the limit are cut."""
    rows = frame(
        audience,
        [(user + 10, at + 1, 0, 1, 0, 0, 0) for user, size in enumerate(sizes) for at in range(size)],
    )
    pieces = list(cuts(audience, rows, SMALL.block_rows))
    assert [start for start, _ in pieces] == [
        sum(length for _, length in pieces[:at]) for at in range(len(pieces))
    ]
    assert sum(length for _, length in pieces) == rows.height
    assert all(0 < length <= SMALL.block_rows for _, length in pieces)
    ends = {sum(sizes[:at]) for at in range(len(sizes) + 1)}
    inside = [start for start, _ in pieces if start not in ends]
    large = [
        range(sum(sizes[:at]), sum(sizes[: at + 1]))
        for at, size in enumerate(sizes)
        if size > SMALL.block_rows
    ]
    assert all(any(start in user for user in large) for start in inside)


@pytest.mark.failure(36)
def test_a_user_larger_than_a_block_is_read_whole(tmp_path):
    """Where a user spans blocks, a range that begins or ends at it has all or none of its rows."""
    window = {DISPLAY: [(user, segment, 0, 1, 0, 0, 0) for user in (1, 2, 3) for segment in range(1, 11)]}
    run = seal(new_spool(tmp_path), window)
    second, third = f"{1:016x}{2:016x}", f"{1:016x}{3:016x}"
    assert [row["lo"] for row in run.read(DISPLAY, second, third).to_dicts()] == [2] * 10
    assert run.read(DISPLAY, "", second)["lo"].unique().to_list() == [1]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A run of several blocks and two audiences, with positions, and its rows."""
    spool = new_spool(tmp_path_factory.mktemp("spool"))
    rows = [(user, 1 + user % 3, 0, 1 + user % 9, 0, 0, user) for user in range(20)]
    run = seal(spool, {DISPLAY: rows, HASHED: rows}, positions=[position(0, 42), position(1, 7)])
    return run.path


def read_all(path):
    with Run(path) as run:
        for audience in (DISPLAY, HASHED):
            run.read(audience)


@pytest.mark.failure(12)
@on_disk
@given(st.data())
def test_a_flipped_bit_anywhere_is_found(sealed, data):
    """Whatever bit of a run flips, opening or reading it raises RunDamaged; no wrong row is ever returned."""
    content = bytearray(sealed.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / sealed.name
        path.write_bytes(content)
        with pytest.raises(RunDamaged, match=sealed.name):
            read_all(path)


@pytest.mark.failure(13)
@on_disk
@given(st.data())
def test_a_run_cut_anywhere_or_with_a_piece_missing_is_found(sealed, data):
    """A run with bytes missing at its end, its start or in the middle cannot be opened."""
    content = sealed.read_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.one_of(st.just(len(content)), st.integers(start + 1, len(content))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / sealed.name
        path.write_bytes(content[:start] + content[stop:])
        with pytest.raises(RunDamaged, match=sealed.name):
            Run(path)


@pytest.mark.failure(5, 12)
def test_every_byte_of_the_footer_is_vouched_for(sealed, tmp_path):
    """A changed digit in a footer is as valid JSON as before: the checksum finds it."""
    content = bytearray(sealed.read_bytes())
    with Run(sealed) as run:
        start = run.footer.end
    path = tmp_path / sealed.name
    for at in range(start, len(content)):
        content[at] ^= 1
        path.write_bytes(content)
        content[at] ^= 1
        with pytest.raises(RunDamaged):
            Run(path)


@pytest.mark.failure(12)
def test_damage_names_the_offsets_to_read_again(tmp_path):
    """Where the footer is whole, the error says from which offset of which partition to read again."""
    rows = {DISPLAY: [(user, 1, 0, 5, 7, 3, 40 - user) for user in range(9)] * 2}
    run = seal(new_spool(tmp_path), rows, positions=[position(3, 42, first_offset=32), position(4, 9)])
    with run.path.open("r+b") as file:
        file.seek(run.blocks(DISPLAY)[1].offset + 20)
        file.write(b"\xff\xff")
    first, second = run.blocks(DISPLAY)[0], run.blocks(DISPLAY)[1]
    assert run.read(DISPLAY, first.first_user, second.first_user).height == first.rows, (
        "untouched blocks are read"
    )
    with pytest.raises(RunDamaged, match=r"checksum of the block.*: acme partition 3 from 32 \(up to 42\)$"):
        run.read(DISPLAY)


@pytest.mark.failure(5, 13)
def test_an_unreadable_footer_names_the_time_to_go_back_to(sealed, tmp_path):
    """Where the positions are lost too, the error names the file, and a time for the group's offsets."""
    path = tmp_path / sealed.name
    path.write_bytes(sealed.read_bytes()[:-1])
    with pytest.raises(RunDamaged, match=rf"{path}.*its end is missing.*a time before \d{{4}}-\d\d-\d\dT"):
        Run(path)


@pytest.mark.failure(5)
@pytest.mark.parametrize(
    ("column", "value"),
    [("audience", 2), ("audience", -1), ("offset", 9), ("offset", -1), ("length", 10**30), ("length", -1)],
)
def test_a_footer_of_other_blocks_is_refused(sealed, tmp_path, column, value):
    """Blocks that overlap, lie elsewhere or are nobody's, under a checksum that holds, are not read."""
    content = sealed.read_bytes()
    with Run(sealed) as run:
        end = run.footer.end
    footer = json.loads(content[end : -TRAILER.size])
    footer["blocks"][column][1] = value
    text = json.dumps(footer).encode()
    path = tmp_path / sealed.name
    path.write_bytes(content[:end] + text + TRAILER.pack(crc32(text), len(text), MAGIC))
    with pytest.raises(RunDamaged, match="footer does not belong"):
        Run(path)


def test_a_run_under_another_number_is_refused(sealed, tmp_path):
    """A file that was renamed by hand would be delivered in the wrong place."""
    path = tmp_path / file_name(99)
    shutil.copy(sealed, path)
    with pytest.raises(RunDamaged, match="does not belong"):
        Run(path)


def test_a_removed_run_is_read_on(tmp_path):
    """Who has a run open reads it to its end, in as many threads as they like, after its file is gone."""
    spool = new_spool(tmp_path)
    run = seal(spool, {DISPLAY: [(user, 1, 0, 5, 0, 0, 0) for user in range(60)]})
    spool.retire(run)
    assert spool.runs() == ()
    heights = []
    threads = [threading.Thread(target=lambda: heights.append(run.read(DISPLAY).height)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heights == [60] * 8


def test_a_run_that_nobody_uses_gives_its_descriptor_back(tmp_path):
    """Descriptors do not grow with the runs that came and went."""
    spool = new_spool(tmp_path)
    spool.retire(seal(spool, one()))  # polars opens what its threads need, once
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        spool.retire(seal(spool, one()))
    assert spool.runs() == ()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_the_footer_of_500_audiences_is_small():
    """A column's name stands once in a footer: below 300 bytes an audience with its block."""
    audiences = [
        Audience(
            account="default",
            client=f"Client{at:03}",
            user_namespace="mm",
            user_table_id="",
            segment_namespace="ep",
            mobile=False,
            hashed=False,
        )
        for at in range(500)
    ]
    numbers = {
        "rows": 1000,
        "removals": 1000,
        "min_event_time": 1_790_000_000_000,
        "max_event_time": 1_790_000_000_000,
    }
    footer = Footer(
        number=42,
        low=42,
        sealed_at=1,
        oldest_sealed_at=1,
        positions=(position(0, 5, run=42, first_offset=3),),
        audiences=tuple(
            AudienceStatistics(audience=audience, bytes=14_000, oldest_read_at=1_790_000_000_000, **numbers)
            for audience in audiences
        ),
        blocks=tuple(
            Block(
                audience=at,
                first_user=f"{at:032x}",
                last_user=f"{at:032x}",
                offset=14_000 * at,
                length=14_000,
                crc32=2**32 - 1,
                **numbers,
            )
            for at in range(500)
        ),
    )
    encoded = footer.encode()
    assert len(encoded) < 500 * 300
    assert Footer.decode(encoded[:-20]) == footer


@given(st.integers(0, 10**12 - 1))
def test_names_are_numbers(number):
    """A run's file name gives its number back; other names give none."""
    assert number_of(file_name(number)) == number
    assert number_of(file_name(number) + ".tmp") is None
    assert number_of(f"{number}x.run") is None
