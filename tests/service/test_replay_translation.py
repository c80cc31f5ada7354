"""Where a replay's identity table comes from, beside a process that has it; no Kafka is asked there."""

import shutil
import threading
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bridge.clock import SystemClock
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.service.identity import FOLDER
from bridge.service.outside import Outside
from bridge.service.replays.translation import ReplayTranslation
from bridge.translation.shelf import unresolved
from bridge.translation.turn import Tally
from tests.parts.audiences import frame
from tests.parts.identity import Told, opened, window
from tests.parts.spools import new_spool
from tests.parts.waiting import until
from tests.translation.test_converges import SOURCE

SFTP = {"host": "h", "username": "u", "password_file": "/p", "host_key": "ssh-ed25519 AAAA"}


def config(directory, **more):
    stream = {"name": "acme", "topics": ["acme"], "format": "json", "segment_namespace": "ep"}
    return Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "spool": {"directory": str(directory)},
            "accounts": [{"name": "a", "agency": "A", "partner": "P", "sftp": SFTP}],
            "streams": [stream | {"account": "a", "inventory": "display"} | more],
        },
        context={"folder": directory},
    )


class Site:
    """A replay of one known and one unknown user, and a bridge that has the table."""

    def __init__(self, directory, **more):
        self.spool = new_spool(directory)
        self.replay = self.spool.replays.create(
            name="r", now=1, until=None, past_horizon=False, parameters={}
        )
        rows = [(user, 5, 0, 10, 1 << 63, 0, user) for user in (1, 2)]
        self.replay.store.seal(
            shards={SOURCE: frame(SOURCE, rows)}, oldest_read_at={SOURCE: 1}, positions=(), now=1
        )
        self.table = opened(directory / FOLDER)
        self.table.append(window([Told("u1", 7, 1)]), {0: 1}, 1)
        self.stop = threading.Event()
        self.translation = ReplayTranslation(
            config=config(directory, **{"identify": {"from": "acme"}} | more),
            outside=Outside(clock=SystemClock(), remote=lambda _: None),
            spool=self.spool,
            see_room=lambda: None,
        )

    def run(self, *, dry=False):
        return self.translation.run(self.replay, self.stop, dry=dry)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    with made.table:
        yield made


@pytest.mark.parametrize("dry", [False, True])
def test_the_table_of_a_running_bridge_is_used_as_it_lies_there(site, dry):
    """And what is not known by it is parked, but in a dry run."""
    site.table.completed(1)
    assert site.run(dry=dry) == Tally(matched=1, unmatched=1)
    assert unresolved(site.replay.runs()) == []
    assert unresolved(site.spool.runs()) == ([] if dry else [SOURCE])


def test_a_table_that_is_read_still_is_waited_for_and_that_is_told(site):
    """Once: then it is used."""
    done = []
    with capture_logs() as lines:
        waiting = threading.Thread(target=lambda: done.append(site.run()))
        waiting.start()
        until(lambda: any(line["event"] == "replay_waits_for_table" for line in lines), "the line")
        site.table.completed(1)
        waiting.join()
    assert done == [Tally(matched=1, unmatched=1)]
    assert [line["event"] for line in lines].count("replay_waits_for_table") == 1


def test_a_stop_ends_the_waiting_and_changes_nothing(site):
    """The same call goes on."""
    site.stop.set()
    assert site.run() is None
    assert unresolved(site.replay.runs()) == [SOURCE]


def test_a_stop_while_it_is_translated_leaves_it_to_be_gone_on_with(site):
    """It says that it is translated, and what is translated has not left it yet; again, it does."""
    site.table.completed(1)
    site.translation = replace(site.translation, see_room=site.stop.set)
    assert site.run() is None
    assert unresolved(site.replay.runs()) == [SOURCE]
    site.stop.clear()
    assert site.run() == Tally()
    assert unresolved(site.replay.runs()) == []
    assert [run.footer.audiences[0].rows for run in site.spool.runs()] == [1]


def test_without_room_it_ends(site):
    """What the caller says of that is raised; nothing has left the replay."""
    site.table.completed(1)

    def see_room():
        raise BridgeError("no room")

    site.translation = replace(site.translation, see_room=see_room)
    with pytest.raises(BridgeError, match="no room"):
        site.run()
    assert unresolved(site.replay.runs()) == [SOURCE]


@pytest.mark.failure(67)
def test_a_damaged_table_says_what_to_do_about_it(site):
    """The bridge that writes it has not met the damage; once it is made anew the same call goes on."""
    site.table.completed(1)
    folder = site.spool.directory / FOLDER
    (slab,) = folder.glob("*.slab")
    with slab.open("r+b") as file:
        file.seek(40)
        file.write(bytes(8))
    with pytest.raises(BridgeError, match=f"{slab}: .* sooner, if you remove {folder} while no bridge runs"):
        site.run()
    assert unresolved(site.replay.runs()) == [SOURCE]
    site.table.__exit__(None, None, None)
    shutil.rmtree(folder)
    with opened(folder) as table:
        table.append(window([Told("u1", 7, 1)]), {0: 1}, 1)
        table.completed(1)
        assert site.run() == Tally(matched=1, unmatched=1)


def test_without_a_stream_that_translates_the_remedy_is_told(tmp_path):
    """The configuration was changed since it was read."""
    site = Site(tmp_path, identify=None)
    with site.table, pytest.raises(BridgeError, match="give the stream its identify again"):
        site.run()
    assert unresolved(site.replay.runs()) == [SOURCE]


def test_what_has_no_unresolved_users_needs_no_table(tmp_path):
    """Other streams' replays do not wait for it."""
    site = Site(tmp_path, identify=None)
    with site.table:
        (run,) = site.replay.runs()
        site.replay.store.rewrite(run, frozenset({SOURCE}))
        assert site.run() == Tally()
