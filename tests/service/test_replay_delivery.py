"""A replay that is delivered where no bridge runs: an account may wait for its processing log meanwhile."""

import threading

import yaml

from bridge.clock import SystemClock
from bridge.config import load
from bridge.service.outside import Outside
from bridge.service.replays.delivery import ReplayDelivery
from bridge.spool.replays import ReplayState
from tests.parts.answering import Answering, said
from tests.parts.audiences import DISPLAY, frame
from tests.parts.delivering import EVENT_TIME, Site, Write
from tests.parts.waiting import until


def configured(site, url):
    sftp = {"host": "h", "username": "u", "password_file": "password", "host_key": "ssh-ed25519 AAAA"}
    account = {"name": "a", "agency": "Agency", "partner": "Partner", "sftp": sftp}
    account |= {
        "quota": {"guard": "0s"},
        "platform": {"processing_log": {"url": url}},
        "wait_for_confirmation": True,
    }
    stream = {"name": "t", "topics": ["t"], "format": "json", "segment_namespace": "ep", "account": "a"}
    written = {
        "kafka": {"bootstrap_servers": "k:9092"},
        "spool": {"directory": str(site.spool.directory)},
        "accounts": [account],
        "streams": [stream],
    }
    (site.directory / "password").write_text("secret")
    path = site.directory / "bridge.yaml"
    path.write_text(yaml.safe_dump(written))
    return load(path, {})


def test_an_account_that_waits_for_confirmation_is_not_waited_for_in_vain(tmp_path):
    """The log is asked by who delivers: once it confirms the earlier file, the replay's goes."""
    site = Site(tmp_path, wait_for_confirmation=True)
    site.give(Write(1, 7))
    site.arrives()
    (earlier,) = site.ledger.names()
    replay = site.spool.replays.create(
        name="r", now=site.clock.now(), until=None, past_horizon=False, parameters={}
    )
    rows = frame(DISPLAY, [(2, 8, 0, EVENT_TIME, 1 << 63, 0, 0)])
    replay.store.seal(
        shards={DISPLAY: rows}, oldest_read_at={DISPLAY: site.clock.now()}, positions=(), now=site.clock.now()
    )
    site.spool.replays.move_on(replay, ReplayState.READ)
    site.ledger.set_skew("a", 0)
    site.ledger.close()
    done = []
    with Answering(said({"data": [{"file": earlier, "status": "loaded"}]})) as log:
        outside = Outside(clock=SystemClock(), remote=lambda _: site.remote)
        delivery = ReplayDelivery(
            config=configured(site, log.url), outside=outside, spool=site.spool, replay=replay
        )
        stop = threading.Event()
        thread = threading.Thread(target=lambda: done.append(delivery.run(stop, lambda _: None)), daemon=True)
        thread.start()
        try:
            until(lambda: done == [True], "the replay to be delivered")
        finally:
            stop.set()
            thread.join()
    assert len(site.remote.arrived) == 2
