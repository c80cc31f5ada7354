import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience import names

MINUTE = 60_000
PART = st.text("ABCxyz019-", min_size=1, max_size=12)
STAMP = st.integers(0, 253_402_300_740_000 // MINUTE).map(lambda minute: minute * MINUTE)


def test_a_private_name_reads_as_in_the_contract():
    """A client's file is Agency_Partner_Client_YYYYMMDDHHMM.log.gz in UTC; 1406761200 is the seed's 23:00."""
    name = names.file_name("AgencyName", "PartnerName", "Acme", 1_406_761_200_000)
    assert name == "AgencyName_PartnerName_Acme_201407302300.log.gz"


def test_a_global_name_leaves_the_client_out():
    """Global data has no client in its name."""
    assert names.file_name("Agency", "Partner", "", 0) == "Agency_Partner_197001010000.log.gz"


@given(agency=PART, partner=PART, client=st.just("") | PART, stamp=STAMP)
def test_parsing_inverts_naming(agency, partner, client, stamp):
    """Every name parses to the parts that it was made of, its series included."""
    name = names.parse(names.file_name(agency, partner, client, stamp))
    assert (name.agency, name.partner, name.client, name.stamp) == (agency, partner, client, stamp)
    assert name.series == names.series_of(agency, partner, client)
    assert str(name) == names.file_name(agency, partner, client, stamp)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Agency_Partner.log.gz",
        "Agency_201407302300.log.gz",
        "A_B_C_D_201407302300.log.gz",
        "A_B_20140730230.log.gz",
        "A_B_2014073023000.log.gz",
        "A_B_201413302300.log.gz",
        "A_B_201407302360.log.gz",
        "A_B_201407302300.log",
        "A_B_201407302300.log.gz.part",
        "A_B_201407302300.log.gz\n",
        "../A_B_201407302300.log.gz",
        "A B_C_201407302300.log.gz",
        "A__B_201407302300.log.gz",
        "A_B_٢٠١٤٠٧٣٠٢٣٠٠.log.gz",
    ],
)
def test_what_is_no_name_is_refused(text):
    """Anything but a whole, valid name raises ValueError."""
    with pytest.raises(ValueError, match=r"does not|time data|unconverted|month|minute"):
        names.parse(text)


def test_the_first_stamp_is_the_current_minute():
    """A new series starts at the minute that it is."""
    assert names.next_stamp(None, 10 * MINUTE + 59_999) == 10 * MINUTE


@given(st.lists(st.integers(0, 10 * MINUTE), min_size=1, max_size=50))
def test_stamps_rise_and_run_ahead_only_when_they_must(times):
    """Whatever the clock does, stamps of a series rise; each is the current minute or the last plus one."""
    last = None
    for now in times:
        stamp = names.next_stamp(last, now)
        current = now // MINUTE * MINUTE
        assert stamp >= current
        assert stamp == current or (last is not None and stamp == last + MINUTE)
        assert last is None or stamp > last
        last = stamp
