"""What the translation of partner ids asks of the spool, by the configuration."""

from dataclasses import replace

import pytest

from bridge.clock import DAY
from bridge.config import Config
from bridge.deliver.records import AudienceState
from bridge.service.translating import feeding, kept_longer, progress_of
from bridge.translation.progress import Progress
from tests.parts.audiences import DISPLAY
from tests.parts.spools import new_spool, one, seal

TARGET = replace(DISPLAY, client="Acme")
SOURCE = replace(TARGET, user_namespace="acme", unresolved=True)


def configuration(*streams, retention="7d"):
    account = {"name": "a", "agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}
    plain = {"format": "json", "segment_namespace": "ep", "account": "a", "inventory": "display"}
    return Config(
        kafka={"bootstrap_servers": "localhost:9092"},
        spool={"retention": retention},
        accounts=[account],
        streams=[plain | {"name": f"s{n}", "topics": [f"t{n}"]} | more for n, more in enumerate(streams)],
        dead_letters={},
    )


def identified(park="30d", **more):
    return {"client": "Acme", "identify": {"from": "acme", "park": park}} | more


def test_both_sides_of_a_translation_are_kept_as_long_as_users_are_parked():
    """What is parked is joined again, and judged by what was sent as long ago."""
    assert kept_longer(configuration(identified())) == {TARGET: 30 * DAY, SOURCE: 30 * DAY}


def test_without_identify_nothing_is_kept_longer():
    """Nor is an audience of the same stream whose ids are sent as they are."""
    assert kept_longer(configuration({"client": "Acme"})) == {}
    other = identified(user_namespaces={"other": "8"})
    assert set(kept_longer(configuration(other))) == {TARGET, SOURCE}


@pytest.mark.parametrize(("parks", "kept"), [(("10d", "20d"), 20), (("20d", "10d"), 20), (("1d", "2d"), 7)])
def test_the_longest_counts(parks, kept):
    """Of several streams that collect the same; and never less than the retention."""
    config = configuration(*(identified(park) for park in parks))
    assert kept_longer(config) == {TARGET: kept * DAY, SOURCE: kept * DAY}


def test_an_audience_is_fed_by_the_first_stream_that_translates_into_it():
    """A stream of MM UUIDs feeds none, though its audience is the same."""
    config = configuration({"client": "Acme"}, identified(), identified(), identified(client="B"))
    assert feeding(config) == {TARGET: "s1", replace(TARGET, client="B"): "s3"}


def test_what_is_translated_counts_as_delivered(tmp_path):
    """Of unresolved audiences alone, up to the run that the last turn reached: the rest stays."""
    spool = new_spool(tmp_path)
    assert progress_of(spool.runs()) == {}
    seal(spool, {SOURCE: [(1, 1, 0, 5, 0, 0, 0)]} | one())
    seal(spool, {SOURCE: [(2, 1, 0, 5, 0, 0, 0)]})
    assert progress_of(spool.runs())[SOURCE].frontier.lowest == 0
    seal(spool, {}, positions=Progress(run=1, known_at=1).positions())
    (state,) = progress_of(spool.runs()).values()
    assert isinstance(state, AudienceState)
    assert state.frontier.lowest == 1
