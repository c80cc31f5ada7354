"""What a replay may be asked for, and what tells one request from another."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Config, Stream
from bridge.config.model import IdentifySettings
from bridge.errors import UsageError
from bridge.ingest.partition import Partition
from bridge.replay.request import (
    Bounds,
    Request,
    checked_name,
    chosen,
    complete,
    default_name,
    is_relative,
    parse_places,
)
from bridge.units import iso
from tests.parts.audiences import DISPLAY, HASHED, frame

T0 = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""
SECOND = 1_000
HOUR = 3_600 * SECOND


parse = partial(Bounds.parse, now=T0)


def refusal(ask, *arguments):
    """The one line that it is refused with."""
    with pytest.raises(UsageError) as caught:
        ask(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-01T00:00:00Z", T0),
        ("2026-11-01T02:00:00+02:00", T0),
        ("2026-10-31T19:00:00-05:00", T0),
        ("2026-11-01T00:00:00", T0),
        ("2026-11-01 00:00", T0),
        ("2026-11-01", T0),
        ("2026-11-01T00:00:00.250Z", T0 + 250),
        ("2026-11-01T00:00:00.0009Z", T0),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999),
    ],
)
def test_times_as_people_write_them(text, instant):
    """Without an offset it is UTC; parts of a millisecond are cut off; what is taken can be told again."""
    assert parse(text, None) == Bounds(since=instant, until=None)
    assert parse(None, text) == Bounds(since=None, until=instant)
    assert iso(instant).endswith("Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1793491200",
        "2026-13-01",
        "2026-11-01T25:00:00Z",
        "2026-11-01T00:00:00 UTC",
        "10000-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "-",
        "-30",
        "-1.5d",
        "--30d",
        "+30d",
        "-99999999999d",
        "NOW",
    ],
)
@pytest.mark.parametrize("option", ["--from", "--to"])
def test_what_is_no_time(option, text):
    """Neither a text that is none nor a year that UTC does not have; the line names option, text and form."""
    given_times = (text, None) if option == "--from" else (None, text)
    assert refusal(parse, *given_times) == (
        f"{option} {text}: is no time; write it as 2026-11-01T00:00:00Z, as -30d, or now"
    )


def test_times_by_the_moment_of_asking():
    """A duration before it, or now; beside a plain time too."""
    assert parse("-30d", "now") == Bounds(since=T0 - 30 * 24 * HOUR, until=T0)
    assert parse("-90m", "-500ms") == Bounds(since=T0 - HOUR * 3 // 2, until=T0 - 500)
    assert parse("2026-10-31", "now") == Bounds(since=T0 - 24 * HOUR, until=T0)
    assert "--from now is not before --to -1h" in refusal(parse, "now", "-1h")
    assert [is_relative(text) for text in ("-1d", "now", "2026-11-01", None)] == [True, True, False, False]


def test_one_that_goes_on_keeps_its_times():
    """Asked for again an hour later by the same words it is the one of before; by plain times another."""
    first = request(bounds=parse("-1d", "now"), relative=True)
    again = request(bounds=Bounds.parse("-1d", "now", now=T0 + HOUR), relative=True)
    assert again.begun(first.parameters()).parameters() == first.parameters()
    plain = replace(again, relative=False)
    assert plain.begun(first.parameters()) == plain


@pytest.mark.parametrize(
    "until", ["2026-11-01T00:00:00Z", "2026-10-31T23:59:59Z", "2026-11-01T01:00:00+02:00"]
)
def test_the_first_time_lies_before_the_last(until):
    """The first belongs to it and the last does not: of two that are the same there is nothing between."""
    line = refusal(parse, "2026-11-01T00:00:00Z", until)
    assert line.startswith(f"--from 2026-11-01T00:00:00Z is not before --to {until}: ")


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001  # they have to be naive
def test_what_is_told_is_what_was_meant(moment):
    """A time to the second, told and read again, is the same instant."""
    written = moment.replace(microsecond=0).isoformat()
    instant = parse(written, None).since
    assert parse(iso(instant), None).since == instant


@pytest.mark.parametrize("audience", [DISPLAY, HASHED])
def test_what_of_the_rows_matters(audience):
    """Nothing before the first instant; all from the last one on, to decide; a 0 is its event's second."""
    times = [T0 - 1, T0, T0 + 999, T0 + HOUR - 1, T0 + HOUR, T0 + 2 * HOUR]
    rows = frame(audience, [(1, number + 1, 0, time, 0, 0, number) for number, time in enumerate(times)])
    kept = Bounds(since=T0, until=T0 + HOUR).revise(rows)
    assert kept["event_time"].to_list() == times[1:]
    assert kept["timestamp"].to_list() == [time // SECOND for time in times[1:]]
    assert kept.schema == rows.schema
    assert Bounds(since=None, until=T0).revise(rows).height == len(times)


def test_removals_and_given_timestamps_stay():
    """Only a 0 means the moment of the event."""
    rows = frame(
        DISPLAY, [(1, 5, -1, T0, 0, 0, 1), (1, 6, 1_500_000_000, T0, 0, 0, 2), (1, 0, 0, T0, 0, 0, 3)]
    )
    kept = Bounds(since=None, until=None).revise(rows)
    assert kept["timestamp"].to_list() == [-1, 1_500_000_000, -1]


def test_places():
    """A place is a topic, a partition and an offset; topics have dots, hyphens and underscores."""
    assert parse_places(()) == {}
    assert parse_places(("acme.segments:0:1500", "a_b-c:12:0", "acme.segments:1:7")) == {
        Partition("acme.segments", 0): 1500,
        Partition("a_b-c", 12): 0,
        Partition("acme.segments", 1): 7,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "acme:0",
        "acme:0:",
        "acme:a:1",
        "acme:0:-1",
        "acme:0:1:2",
        ":0:1",
        "acme:0:1 ",
        "acme:0:+1",
    ],
)
def test_what_is_no_place(text):
    """The line names the text and shows how to write one."""
    line = refusal(parse_places, (text,))
    assert line == f"--from-offset {text}: write TOPIC:PARTITION:OFFSET, as in acme.segments:0:1500"


def test_a_partition_begins_at_one_place():
    """Named twice, nobody knows where, even if both say the same."""
    line = refusal(parse_places, ("acme:0:1", "other:0:1", "acme:0:1"))
    assert line == "--from-offset acme:0:1: partition 0 of acme is named twice; keep one"


@pytest.mark.parametrize("name", ["a", "outage-2026-11-01", "Acme.1", "0", "x" * 64])
def test_names(name):
    """Letters, digits, hyphens and dots."""
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", ".a", "a/b", "../a", "a b", "a_b", "a\t", "x" * 65, "café"]
)
def test_what_is_no_name(name):
    """It is part of a folder's name and of a lock's: no slash, no way out, nothing hidden, not too long."""
    assert refusal(checked_name, name).startswith(f"--name {name}: is no name: ")


def test_the_same_request_without_a_name_has_the_same():
    """So that the same command goes on; any other request has another, and each is a name."""
    parts = [(Bounds(since=1, until=2), ["a"], []), (Bounds(since=1, until=3), ["a"], []), (None, [], ["x"])]
    names = [default_name(*one) for one in parts]
    assert names == [default_name(*one) for one in parts]
    assert len(set(names)) == len(names)
    assert [checked_name(name) for name in names] == names


def request(**more):
    plain = {"name": "a", "bounds": Bounds(since=T0, until=T0 + HOUR), "from_offsets": {}}
    return Request(**plain | more)


def test_what_tells_a_request_from_another():
    """Whatever changes what is sent; neither its name nor the order in which things were named."""
    places = {Partition("b", 1): 5, Partition("a", 10): 6, Partition("a", 2): 7}
    other = [
        request(),
        request(bounds=Bounds(since=T0 + 1, until=T0 + HOUR)),
        request(bounds=Bounds(since=T0, until=None)),
        request(streams=("x",)),
        request(streams=("x", "y")),
        request(from_offsets=places),
        request(from_offsets=places | {Partition("b", 1): 4}),
        request(force=True),
    ]
    told = [json.dumps(one.parameters()) for one in other]
    assert len(set(told)) == len(told)
    assert request(name="b").parameters() == request().parameters()
    assert request(streams=("y", "x")).parameters() == request(streams=("x", "y")).parameters()
    turned = dict(reversed(places.items()))
    assert request(from_offsets=turned).parameters() == request(from_offsets=places).parameters()


def test_what_is_written_down_is_read_as_it_was():
    """As JSON has it: else no replay would ever go on."""
    told = request(streams=("y", "x"), from_offsets={Partition("a", 2): 7}, force=True).parameters()
    assert json.loads(json.dumps(told)) == told


def stream(name, **more):
    return Stream(**{"name": name, "topics": [name], "format": "json", "segment_namespace": "ep"} | more)


@pytest.fixture
def config(tmp_path):
    """Display and mobile of a client in two streams, one more that feeds an audience of both, one apart."""
    account = {"name": "default", "agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}
    return Config(
        kafka={"bootstrap_servers": "localhost:9092"},
        spool={"directory": tmp_path / "spool"},
        accounts=[account],
        streams=[
            stream("display", client="Acme", inventory="display"),
            stream("mobile", client="Acme", inventory="mobile"),
            stream("late", clients=["Acme"], inventory="mobile"),
            stream("apart", client="Globex"),
        ],
        dead_letters={},
    )


def test_streams_are_chosen_by_name(config):
    """In the order of the configuration, once each; of none, all."""
    assert chosen(config, ()) == config.streams
    assert [one.name for one in chosen(config, ("apart", "display", "apart"))] == ["display", "apart"]


def test_an_unknown_stream_is_refused(config):
    """The line names it, and those that there are."""
    line = refusal(chosen, config, ("display", "Display"))
    assert line == (
        "--stream Display: there is no such stream; the configuration has display, mobile, late, apart"
    )


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        ((), True),
        (("display",), True),
        (("apart",), True),
        (("mobile",), False),
        (("late",), False),
        (("mobile", "late"), True),
        (("display", "mobile"), False),
        (("display", "late", "mobile"), True),
    ],
)
def test_whether_the_streams_tell_all_that_is_newer(config, names, whole):
    """They do, unless another stream feeds one of their audiences: then the horizon has to judge."""
    assert complete(config, chosen(config, names)) is whole


def test_the_horizon_judges_what_is_translated(config):
    """Opt-outs are in no topic of events: a stream with `identify` does not tell all that is newer."""
    identified = [
        stream.model_copy(update={"identify": IdentifySettings.model_validate({"from": "acme"})})
        if stream.name == "apart"
        else stream
        for stream in config.streams
    ]
    config = config.model_copy(update={"streams": tuple(identified)})
    assert not complete(config, chosen(config, ("apart",)))
    assert complete(config, chosen(config, ("display",)))
