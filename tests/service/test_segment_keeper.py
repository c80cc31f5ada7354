"""Taxonomies are read again while the bridge runs, and what was seen outlives it."""

import errno
import os
import threading

import polars as pl
import pytest

from bridge.calls import ThreadedCalls
from bridge.clock import DAY, HOUR, MINUTE
from bridge.config import Config
from bridge.errors import BridgeError, UsageError
from bridge.platform.api import CallFailed, Outcome
from bridge.platform.segments import Held
from bridge.segments import stored
from bridge.service.outside import Outside
from bridge.service.segment_keeper import ASK, ASK_AGAIN, LOOK, WRITE, SegmentKeeper
from bridge.service.taxonomies import judged_beside, taxonomy_faults
from bridge.service.telling.segments import unused_codes
from bridge.spool.disk import Disk
from bridge.taxonomy import Node, Taxonomy
from tests.parts.clocks import HandClock
from tests.parts.spools import new_spool

NOW = 20_000 * DAY + 9 * HOUR
TODAY = 20_000
HEADER = "full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\n"


class AtOnce:
    """Calls that are made, and over, when they are begun."""

    def begin(self, name, call):
        result = ThreadedCalls().begin(name, call)
        ThreadedCalls().wait(result)
        return result


class RefusingDisk(Disk):
    """A disk that refuses to open files while it is told to."""

    refusal = None

    def open(self, path):
        if self.refusal is not None:
            raise OSError(self.refusal, os.strerror(self.refusal))
        return super().open(path)


def write(path, *codes, categories=()):
    """A taxonomy of these codes, in one step."""
    rows = ["|Acme,,,,,0\n"]
    rows += [f"|Acme|Segment {code},{code},1000,0.50,1.00,1\n" for code in codes]
    rows += [f"|Acme|Category {code},{code},,,,0\n" for code in categories]
    fresh = path.with_suffix(".new")
    fresh.write_text(HEADER + "".join(rows))
    fresh.replace(path)


class Site:
    """A spool, a taxonomy, and a keeper that looks when it is told to."""

    def __init__(self, directory, taxonomy=None, *, hashed=False, ask=None):
        self.path = directory / "acme.csv"
        self.spool = new_spool(directory / "spool")
        self.clock = HandClock(NOW)
        self.disk = RefusingDisk()
        self.beats = []
        self.outside = Outside(
            clock=self.clock, remote=None, disk=self.disk, calls=AtOnce(), taxonomy=ask and ask.answer
        )
        stream = {
            "topics": ("a",),
            "format": "json",
            "segment_namespace": "ep",
            "taxonomy": taxonomy or str(self.path),
            "hash_segments": hashed,
        }
        self.config = Config.model_validate(
            {
                "kafka": {"bootstrap_servers": "kafka:9092"},
                "spool": {"directory": str(self.spool.directory)},
                "accounts": [
                    {
                        "name": "default",
                        "agency": "A",
                        "partner": "P",
                        "sftp": {"host": "h", "username": "u"},
                    }
                ],
                "streams": [stream | {"name": "one"}, stream | {"name": "two", "topics": ("b",)}],
                "dead_letters": {},
            }
        )

    def keeper(self):
        return SegmentKeeper(self.config, self.spool, self.outside, self.beats.append)

    def look(self, keeper, times=1, later=LOOK):
        for _ in range(times):
            self.clock.move(later)
            keeper.step()

    def record(self, stream="one"):
        return stored.load(stored.path_of(self.spool.directory, stream))


class Platform:
    """What the platform has under an id, and who asked."""

    def __init__(self):
        self.asked = []
        self.codes = ("1",)
        self.failure = None
        self.use_hash = False
        self.tells_hash = True

    def answer(self, account, taxonomy):
        self.asked.append((account, taxonomy))
        if isinstance(self.failure, Exception):
            raise self.failure
        if self.failure:
            raise BridgeError(self.failure)
        children = tuple(Node(name=code, code=code, buyable=True) for code in self.codes)
        taxonomy = Taxonomy(root=Node(name="Acme", children=children), use_hash=self.use_hash)
        return Held(taxonomy=taxonomy, id=77, updated_on="", tells_hash=self.tells_hash)


def see(keeper, *segments, stream="one", day=TODAY):
    watch = keeper.watches[stream]
    watch.see(watch.codes().sight(pl.Series(segments, dtype=pl.Int64)), day)


def texts(keeper, stream="one"):
    return keeper.watches[stream].codes().texts


def test_a_file_that_changes_is_read_again_once_it_stays_as_it_is(tmp_path):
    """All streams of it have its new codes; while it changes at each look, the old ones judge."""
    site = Site(tmp_path)
    write(site.path, 1, 2)
    keeper = site.keeper()
    assert texts(keeper) == texts(keeper, "two") == ["1", "2"]
    for code in (3, 4, 5):
        write(site.path, 1, code)
        site.look(keeper)
        assert texts(keeper) == ["1", "2"]
    site.look(keeper, 2)
    assert texts(keeper) == texts(keeper, "two") == ["1", "5"]


@pytest.mark.failure(65)
@pytest.mark.parametrize(
    "broken", ["", "full_path\n", HEADER, HEADER + "|A,,,,,0\n|A|B,1,x,1.00,1.00,1\n", None]
)
def test_a_broken_new_version_keeps_the_old_one(tmp_path, broken):
    """Half a file, none, or one without a segment for sale: the old codes judge on; mended, it is read."""
    site = Site(tmp_path)
    write(site.path, 1, 2)
    keeper = site.keeper()
    if broken is None:
        site.path.unlink()
    else:
        site.path.write_text(broken)
    site.look(keeper, 4)
    assert texts(keeper) == ["1", "2"]
    write(site.path, 7)
    site.look(keeper, 4)
    assert texts(keeper) == ["7"]


@pytest.mark.failure(65)
def test_a_start_with_a_broken_file_needs_what_was_known_before(tmp_path):
    """A first start refuses it by name; a later one goes on with the codes that the spool has kept."""
    site = Site(tmp_path)
    site.path.write_text(HEADER)
    with pytest.raises(UsageError, match=r"acme\.csv"):
        site.keeper()
    write(site.path, 1)
    site.keeper().write()
    site.path.write_text(HEADER)
    assert texts(site.keeper()) == ["1"]


def test_what_was_seen_outlives_the_process(tmp_path):
    """Stopped in order, all is there at the next start; killed, what was written at the last time."""
    site = Site(tmp_path)
    write(site.path, 1, 2)
    keeper = site.keeper()
    site.look(keeper)
    see(keeper, 1, 9, 9)
    site.look(keeper)
    see(keeper, 8)
    site.look(keeper)  # killed before the next writing
    keeper = site.keeper()
    assert keeper.watches["one"].seen.unknown.select("code", "memberships").rows() == [("9", 2)]
    see(keeper, 8)
    stop = threading.Event()
    stop.set()
    keeper.run(stop)
    assert site.record().unknown.select("code", "memberships").rows() == [("9", 2), ("8", 1)]
    assert site.record("two").unknown.is_empty()
    assert not list(site.spool.temporary_directory.iterdir())


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_disk_that_refuses_stops_nothing(tmp_path, refusal):
    """What could not be written is written once the disk takes it again; others may write meanwhile."""
    site = Site(tmp_path)
    write(site.path, 1)
    keeper = site.keeper()
    site.look(keeper)
    see(keeper, 9)
    site.disk.refusal = refusal
    site.look(keeper, later=WRITE)
    assert site.record().unknown.is_empty()
    site.spool.write_file("segments/other.json", b"{}")
    site.disk.refusal = None
    site.look(keeper, later=WRITE)
    assert site.record().unknown["code"].to_list() == ["9"]


def test_a_record_is_written_when_it_changes_and_once_a_day(tmp_path):
    """The same codes again and again are no reason to write; a new day is."""
    site = Site(tmp_path)
    write(site.path, 1)
    keeper = site.keeper()
    see(keeper, 1)
    site.look(keeper)
    path = stored.path_of(site.spool.directory, "one")
    first = path.stat().st_ino
    see(keeper, 1, 1)
    site.look(keeper, later=WRITE)
    assert path.stat().st_ino == first
    site.look(keeper, later=DAY)
    assert path.stat().st_ino != first
    assert site.record().until == TODAY + 1


def test_the_first_segment_that_nobody_can_buy_is_told_at_once(tmp_path):
    """A record of before says that there is none; the next ones wait for their time."""
    site = Site(tmp_path)
    write(site.path, 1)
    keeper = site.keeper()
    site.look(keeper)
    assert site.record().unknown.is_empty()
    see(keeper, 99)
    site.look(keeper)
    assert site.record().unknown["code"].to_list() == ["99"]
    see(keeper, 98)
    site.look(keeper)
    assert len(site.record().unknown) == 1
    site.look(keeper, later=WRITE)
    assert len(site.record().unknown) == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"format":7}'])
def test_a_damaged_record_is_begun_anew(tmp_path, content):
    """Nobody needs it to go on."""
    site = Site(tmp_path)
    write(site.path, 1)
    stored.path_of(site.spool.directory, "one").write_bytes(content)
    keeper = site.keeper()
    site.look(keeper)
    assert texts(keeper) == ["1"]
    assert site.record().since == TODAY


@pytest.mark.failure(65)
def test_the_platform_is_asked_at_the_first_look_and_each_hour(tmp_path):
    """Once for all streams of a taxonomy; by the account of the stream."""
    platform = Platform()
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    assert platform.asked == []
    site.look(keeper, 3)
    assert platform.asked == [("default", 77)]
    assert texts(keeper) == texts(keeper, "two") == ["1"]
    platform.codes = ("1", "5")
    site.look(keeper, later=ASK - MINUTE)
    assert len(platform.asked) == 1
    site.look(keeper, 2, later=MINUTE)
    assert len(platform.asked) == 2
    assert texts(keeper) == ["1", "5"]


@pytest.mark.failure(65)
def test_what_a_short_run_was_told_is_there_for_the_next_one(tmp_path, capsys):
    """One that is over before the next look takes the codes in, or tells why it got none."""
    platform, stop = Platform(), threading.Event()
    stop.set()
    platform.failure = "no taxonomy 77"
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    keeper.step()
    keeper.run(stop)
    assert "no taxonomy 77" in capsys.readouterr().out
    platform.failure = None
    keeper = site.keeper()
    keeper.step()
    keeper.run(stop)
    assert texts(site.keeper()) == ["1"]


@pytest.mark.failure(65)
def test_a_platform_that_does_not_answer_is_asked_again_and_the_old_codes_judge(tmp_path):
    """Also after a start, with the codes that were last written; without any, nothing is unknown."""
    platform = Platform()
    platform.failure = "503"
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 3)
    assert (texts(keeper), len(platform.asked)) == ([], 1)
    platform.failure = None
    site.look(keeper, 2, later=ASK_AGAIN)
    assert texts(keeper) == ["1"]
    keeper.write()
    platform.failure = "503"
    keeper = site.keeper()
    site.look(keeper, 3)
    assert texts(keeper) == ["1"]
    assert judged_beside(site.config)["one"].codes().texts == ["1"]


@pytest.mark.failure(65)
def test_a_platform_that_lost_most_codes_is_believed_when_it_says_so_twice(tmp_path, capsys):
    """An answer that lacks a part refuses nothing; what is told again an hour later is taken."""
    platform = Platform()
    platform.codes = whole = ("1", "2", "3", "4")
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 2)
    for told, taken in (("12", "1234"), ("123", "123"), ("12", "12"), ("7", "12"), ("8", "12"), ("8", "8")):
        platform.codes = tuple(told)
        site.look(keeper, 2, later=ASK)
        assert texts(keeper) == texts(keeper, "two") == list(taken)
    assert "of 4 codes more than a third are gone at the platform" in capsys.readouterr().out
    platform.codes = whole
    site.look(keeper, 4, later=ASK)
    keeper.write()
    platform.codes = ("1",)
    keeper = site.keeper()
    site.look(keeper, 2)
    assert texts(keeper) == list(whole)
    site.look(keeper, 2, later=ASK)
    assert texts(keeper) == ["1"]


def test_a_file_that_lost_most_codes_is_believed(tmp_path):
    """A person laid it there."""
    site = Site(tmp_path)
    write(site.path, 1, 2, 3)
    keeper = site.keeper()
    write(site.path, 1)
    site.look(keeper, 4)
    assert texts(keeper) == ["1"]


def test_a_bug_in_a_reading_stops_nothing(tmp_path, capsys):
    """An answer that meets one is told by the error's kind, and no more; the old codes judge on."""
    platform = Platform()
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 2)
    platform.failure = ValueError("a secret")
    site.look(keeper, 2, later=ASK)
    assert texts(keeper) == ["1"]
    told = capsys.readouterr().out
    assert "reading taxonomy 77 ended with ValueError: please report it" in told
    assert "a secret" not in told
    platform.failure = None
    platform.codes = ("1", "2")
    site.look(keeper, 2, later=ASK_AGAIN)
    assert texts(keeper) == ["1", "2"]


@pytest.mark.failure(65)
def test_a_refused_log_in_is_asked_again_no_sooner_than_any_other(tmp_path):
    """It passes by a person's doing alone, and each asking is a log-in that may lock the account."""
    platform = Platform()
    platform.failure = CallFailed("a wrong password", outcome=Outcome.REFUSED)
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 3)
    site.look(keeper, 3, later=ASK_AGAIN)
    assert len(platform.asked) == 1
    site.look(keeper, 2, later=ASK)
    assert len(platform.asked) == 2


def test_the_codes_of_another_taxonomy_judge_nothing(tmp_path):
    """Until the one that a stream names now was read nothing is unknown; a broken file is no start."""
    platform = Platform()
    site = Site(tmp_path, 77, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 2)
    see(keeper, 1, 9)
    keeper.write()
    platform.failure = "503"
    site = Site(tmp_path, 78, ask=platform)
    assert judged_beside(site.config)["one"].codes().texts == []
    keeper = site.keeper()
    site.look(keeper, 3)
    assert texts(keeper) == []
    platform.failure = None
    platform.codes = ("9",)
    site.look(keeper, 2, later=ASK_AGAIN)
    assert texts(keeper) == judged_beside(site.config)["one"].codes().texts == ["9"]
    site = Site(tmp_path)
    site.path.write_text(HEADER)
    with pytest.raises(UsageError, match=r"acme\.csv"):
        site.keeper()


def test_the_codes_of_another_taxonomy_are_not_told_as_unused(tmp_path):
    """Before a bridge has read the one that a stream names now, nothing is known of it."""
    site = Site(tmp_path, 77, ask=Platform())
    keeper = site.keeper()
    site.look(keeper, 2)
    keeper.write()
    (use,) = unused_codes(site.config, site.config.streams, 1)
    assert (use.taxonomy, use.unused.segments) == ("77", 1)
    renamed = Site(tmp_path, 78).config
    (use,) = unused_codes(renamed, renamed.streams, 1)
    assert (use.taxonomy, use.unused) == ("78", None)


@pytest.mark.parametrize(
    ("hashed", "use_hash", "tells_hash", "taken"),
    [
        (False, True, True, []),
        (True, False, True, []),
        (True, True, True, ["1"]),
        (True, False, False, ["1"]),
        (False, False, False, ["1"]),
        (False, True, False, []),
    ],
)
def test_a_platform_taxonomy_that_does_not_fit_the_stream_is_not_taken(
    tmp_path, hashed, use_hash, tells_hash, taken
):
    """All would be unknown. Where use_hash is not told, only codes that are no numbers are known not to."""
    platform = Platform()
    platform.use_hash, platform.tells_hash = use_hash, tells_hash
    site = Site(tmp_path, 77, hashed=hashed, ask=platform)
    keeper = site.keeper()
    site.look(keeper, 3)
    assert texts(keeper) == taken


@pytest.mark.failure(65)
def test_a_platform_that_hangs_holds_nobody(tmp_path):
    """The thread looks on, and ends when it is told to."""
    asked, go = threading.Event(), threading.Event()

    def answer(_account, _taxonomy):
        asked.set()
        go.wait(60)
        raise BridgeError("too late")

    site = Site(tmp_path, 77)
    site.outside = Outside(clock=site.clock, remote=None, calls=ThreadedCalls(), taxonomy=answer)
    keeper = site.keeper()
    try:
        site.look(keeper, 3)
        assert asked.wait(60)
        site.look(keeper, 3)
        stop = threading.Event()
        stop.set()
        keeper.run(stop)
    finally:
        go.set()
    assert site.record().until == TODAY


def test_a_category_that_has_a_code_cannot_be_bought(tmp_path):
    """Its code counts as unknown."""
    site = Site(tmp_path)
    write(site.path, 1, categories=[2])
    assert texts(site.keeper()) == ["1"]


@pytest.mark.parametrize(
    ("name", "text", "hashed", "told"),
    [
        ("acme.csv", None, False, "cannot read"),
        ("acme.csv", HEADER + "|A,,,,,0\n|A|B,1,x,1.00,1.00,1\n", False, "acme.csv:3:3: uniques: "),
        ("acme.csv", HEADER + "|A,,,,,0\n|A|B,abc,1,1.00,1.00,1\n", False, "acme.csv:3:2: code: "),
        ("acme.csv", HEADER + "|A,,,,,0\n|A|B,abc,1,1.00,1.00,1\n", True, None),
        (
            "acme.yaml",
            "taxonomy: {name: A, children: [{name: B, code: 1, uniques: 1, retail_cpm: 0}]}",
            False,
            None,
        ),
        (
            "acme.yaml",
            "taxonomy: {name: A, children: [{name: B, code: 1, uniques: 1, retail_cpm: 0}]}",
            True,
            "has use_hash: false, the stream hash_segments: true; make them agree",
        ),
        (
            "acme.yaml",
            "use_hash: true\ntaxonomy: {name: A, children: [{name: B, code: x, uniques: 1, retail_cpm: 0}]}",
            False,
            "has use_hash: true, the stream hash_segments: false; make them agree",
        ),
        ("acme.csv", HEADER + "|A,,,,,0\n", False, "holds no segment that can be bought"),
    ],
)
def test_check_names_what_is_wrong_with_a_taxonomy(tmp_path, name, text, hashed, told):
    """By the stream's path, for each stream that names it: the first fault, and how to see them all."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    faults = taxonomy_faults(Site(tmp_path, str(path), hashed=hashed).config)
    if told is None:
        assert faults == []
    else:
        assert [line.split(": ")[0] for line in faults] == ["streams[0].taxonomy", "streams[1].taxonomy"]
        assert all(told in line for line in faults)
