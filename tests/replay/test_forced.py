"""What was set aside beyond the horizon is sent when the operator says so."""

import threading

from bridge.config import Config
from bridge.replay.request import Bounds, Request
from bridge.service.outside import Outside
from bridge.service.replays.replaying import replaying
from tests.parts.delivering import EVENT_TIME, Site, Write


def forced(site, paths, *, force):
    """`s2s-bridge replay --files PATHS`, up to its delivery."""
    account = site.account.model_dump() | {"sftp": {"host": "h", "username": "u"}}
    config = Config(
        kafka={"bootstrap_servers": "localhost:9092"},
        spool={"directory": site.spool.directory},
        accounts=[account],
        streams=[
            {"name": "s", "topics": ["t"], "account": "a", "format": "json", "segment_namespace": "ep"},
        ],
        dead_letters={},
    )
    request = Request(
        name=f"again-{force}", bounds=Bounds(since=None, until=None), from_offsets={}, force=force
    )
    outside = Outside(clock=site.clock, remote=lambda _: site.remote)
    stop = threading.Event()
    with replaying(config, outside, request, files=paths, dry=False, stop=stop) as work:
        assert work.read(stop)


def test_what_was_set_aside_is_sent_by_force_alone(tmp_path):
    """An add beyond the horizon is kept as an event; replayed it is set aside again, forced it is sent."""
    site = Site(tmp_path)
    site.give(Write(1, 7, event_time=EVENT_TIME + 1_000_000))
    site.deliver()
    (audience,) = site.ledger.audiences()
    site.ledger.raise_horizons({audience: EVENT_TIME + 500_000})
    site.give(Write(1, 8, event_time=EVENT_TIME + 400_000))
    site.deliver()
    assert site.of(1) == {7}
    aside = sorted((tmp_path / "spool" / "beyond-horizon").iterdir())
    forced(site, aside, force=False)
    site.until(lambda: len(list((tmp_path / "spool" / "beyond-horizon").iterdir())) == 2)
    assert site.of(1) == {7}
    forced(site, aside, force=True)
    site.arrives()
    assert site.of(1) == {7, 8}
