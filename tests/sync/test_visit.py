"""What a visit comes to: ids, cookies, signatures."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sync.consent import ConsentRule
from bridge.sync.cookie import CookieRule, cookies
from bridge.sync.mapping import Consent, UserSync
from bridge.sync.outcome import Outcome, Refused
from bridge.sync.query import MOST, again, parameters
from bridge.sync.signature import sign
from bridge.sync.visit import GiveCookie, Rules, Visit, decide, opt_out

MM_UUID = "5f11538c-fcb6-4600-88e0-6e51bff72bbc"
NOW = 1_790_000_000_000
SOON = NOW // 1000 + 60
OLD, NEW = b"o" * 32, b"n" * 32
ALL = ConsentRule(vendor_id=None, purposes=frozenset({1}), required=False)
RULES = Rules(namespace="acme", consent=ALL, keys=(NEW, OLD))


def visit(parameters=None, cookie="p1", *, opted_out=False, gpc=False):
    given_parameters = {"mmuuid": MM_UUID, "dc": "ewr"} if parameters is None else parameters
    return Visit(parameters=given_parameters, cookie=cookie, opted_out=opted_out, gpc=gpc)


def decided(*arguments, now=NOW, rules=RULES, **more):
    try:
        return decide(visit(*arguments, **more), rules, now, lambda: "made")
    except Refused as refused:
        return refused.outcome


def signed(partner_id="p9", expires=SOON, key=NEW, namespace="acme"):
    signature = sign(namespace, partner_id, expires, key)
    return {"mmuuid": MM_UUID, "id": partner_id, "expires": str(expires), "signature": signature}


def mapping(partner_id="p1", data_centre="ewr"):
    return UserSync(
        namespace="acme",
        partner_id=partner_id,
        mm_uuid=MM_UUID,
        data_centre=data_centre,
        synced_at=NOW,
        consent=Consent.NO_SIGNAL,
    )


def test_a_browser_with_a_cookie_is_a_mapping():
    """Its own id, the platform's, the data centre, and when."""
    assert decided() == mapping()


def test_a_browser_without_a_cookie_gets_one_and_is_asked_to_show_it():
    """Only one that keeps cookies is stored: else each visit would add a mapping that nobody meets again."""
    assert decided(cookie=None) == GiveCookie("made")
    assert decided({"mmuuid": MM_UUID, "returned": "1"}, cookie=None) == Outcome.COOKIE_REFUSED
    assert decided({"mmuuid": MM_UUID, "dc": "ewr", "returned": "1"}) == mapping()


@pytest.mark.parametrize(
    ("mm_uuid", "outcome"),
    [
        ("", Outcome.NO_MM_UUID),
        ("[MM_UUID]", Outcome.UNREPLACED_MACRO),
        ("%5BMM_UUID%5D", Outcome.UNREPLACED_MACRO),
        ("[mm_uuid]", Outcome.UNREPLACED_MACRO),
        ("00000000-0000-0000-0000-000000000000", Outcome.ZERO_MM_UUID),
        (MM_UUID[:-1], Outcome.INVALID_MM_UUID),
        (MM_UUID + "0", Outcome.INVALID_MM_UUID),
        (MM_UUID.replace("-", ""), Outcome.INVALID_MM_UUID),
        (f"{{{MM_UUID}}}", Outcome.INVALID_MM_UUID),
        (MM_UUID.replace("5", "\u0665"), Outcome.INVALID_MM_UUID),
        (MM_UUID + "\n", Outcome.INVALID_MM_UUID),
        ("null", Outcome.INVALID_MM_UUID),
    ],
)
def test_what_is_no_mm_uuid_is_refused_with_its_reason(mm_uuid, outcome):
    """8-4-4-4-12 hex and not all zeros, before anything else is looked at."""
    assert decided({"mmuuid": mm_uuid}, cookie=None) == outcome


def test_an_mm_uuid_is_taken_in_any_case():
    """And kept in lower case, as event ids are."""
    assert decided({"mmuuid": MM_UUID.upper(), "dc": "EWR"}) == mapping()


@pytest.mark.parametrize("dc", ["", "[MT_DC]", "ew", "ewrr", "e1r", "éwr", "<b>"])
def test_a_mapping_is_kept_without_its_data_centre(dc):
    """Only three letters are one."""
    assert decided({"mmuuid": MM_UUID, "dc": dc}) == mapping(data_centre="")


@pytest.mark.parametrize("cookie", ["", "with space", "é", "a" * 257, "\x7f", "a\tb"])
def test_a_cookie_that_is_no_id_is_refused(cookie):
    """It is somebody else's, and is left alone."""
    assert decided(cookie=cookie) == Outcome.INVALID_PARTNER_ID


def test_who_has_opted_out_is_not_synced():
    """Whatever else it brings; and it gets no new id."""
    assert decided(opted_out=True) == Outcome.OPTED_OUT
    assert decided(cookie=None, opted_out=True) == Outcome.OPTED_OUT
    assert decided(signed(), opted_out=True) == Outcome.OPTED_OUT


def test_without_consent_no_cookie_is_given():
    """Consent is asked for before any id."""
    assert decided({"mmuuid": MM_UUID, "gdpr": "1"}, cookie=None) == Outcome.NO_CONSENT
    assert decided(cookie=None, gpc=True) == Outcome.GPC


@pytest.mark.parametrize("key", [NEW, OLD])
def test_a_signed_id_is_stronger_than_the_cookie(key):
    """It was made for this visit; each key of a rotation is good."""
    assert decided(signed(key=key)) == mapping("p9", "")
    assert decided(signed(key=key), cookie=None) == mapping("p9", "")


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"id": "p8"}, Outcome.BAD_SIGNATURE),
        ({"expires": str(SOON + 1)}, Outcome.BAD_SIGNATURE),
        ({"signature": "0" * 64}, Outcome.BAD_SIGNATURE),
        ({"signature": ""}, Outcome.BAD_SIGNATURE),
        ({"signature": "é" * 64}, Outcome.BAD_SIGNATURE),
        ({"signature": signed()["signature"].upper()}, Outcome.BAD_SIGNATURE),
        ({"signature": signed(key=b"x" * 32)["signature"]}, Outcome.BAD_SIGNATURE),
        ({"signature": signed(namespace="other")["signature"]}, Outcome.BAD_SIGNATURE),
        ({"expires": "soon"}, Outcome.BAD_SIGNATURE),
        ({"expires": "-1"}, Outcome.BAD_SIGNATURE),
        ({"expires": "\u0663"}, Outcome.BAD_SIGNATURE),
        ({"id": "with space"}, Outcome.INVALID_PARTNER_ID),
        (signed(expires=NOW // 1000), Outcome.SIGNATURE_EXPIRED),
        (signed(expires=0), Outcome.SIGNATURE_EXPIRED),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(changes, outcome):
    """The cookie does not stand in for it: whoever signs wants that id, and no other."""
    assert decided(signed() | changes) == outcome


@pytest.mark.parametrize("missing", ["id", "expires", "signature"])
def test_a_signed_id_needs_all_its_parts(missing):
    """What is left out is not made up."""
    assert decided({key: value for key, value in signed().items() if key != missing}) == Outcome.BAD_SIGNATURE


def test_a_signed_id_is_refused_after_its_time():
    """A replay is good until it expires, and never after."""
    query = signed()
    assert decided(query, now=SOON * 1000 - 1) != Outcome.SIGNATURE_EXPIRED
    assert decided(query, now=SOON * 1000) == Outcome.SIGNATURE_EXPIRED


def test_without_keys_nothing_is_signed():
    """The parameters are no way around a cookie."""
    assert decided(signed(), rules=Rules(namespace="acme", consent=ALL, keys=())) == Outcome.BAD_SIGNATURE


@pytest.mark.parametrize("whose", ["cookie", "signed"])
def test_an_opt_out_is_of_the_partners_id(whose):
    """It has no MM UUID: all browsers of that id are meant; consent and mmuuid are not asked for."""
    brought = visit({}, "p9") if whose == "cookie" else visit(signed(), None, gpc=True)
    found = opt_out(brought, RULES, NOW)
    assert (found.partner_id, found.mm_uuid, found.consent) == ("p9", None, Consent.WITHDRAWN)
    assert opt_out(visit({}, None), RULES, NOW) is None


queries = st.dictionaries(st.sampled_from(["mmuuid", "dc", "id", "gdpr_consent"]), st.text(max_size=30))


@given(queries)
def test_the_query_that_a_browser_is_sent_back_with_says_the_same(asked):
    """But for the mark; it is a relative reference, whatever was asked, and one line of ASCII."""
    reference = again(asked)
    assert reference.startswith("?")
    assert all("!" <= character <= "~" for character in reference)
    assert parameters(reference[1:].encode()) == asked | {"returned": "1"}


@given(st.binary(max_size=300))
def test_any_query_is_parameters_or_malformed(query):
    """Bytes that anybody may send raise one thing alone."""
    with suppress(Refused):
        assert all(value.encode() for value in parameters(query).values() if value)


@pytest.mark.parametrize(
    "query", [b"mmuuid=a&mmuuid=a", b"dc=%ff", b"dc=\xff", b"&" * MOST, b"a=b&" * 10_000, b"id=%C3%28"]
)
def test_a_malformed_query_is_refused_as_a_whole(query):
    """Twice the same parameter, no UTF-8, or too many."""
    with pytest.raises(Refused, match="malformed_query"):
        parameters(query)


def test_a_plus_is_a_plus():
    """None of our parameters can hold a space, and a partner's id may hold a plus."""
    assert parameters(b"id=a+b&dc=%65wr&other=1&kind") == {"id": "a+b", "dc": "ewr", "kind": ""}


def test_cookies_are_found_among_others():
    """Of two with a name the first is the more special one; in any number of headers."""
    headers = [(b"accept", b"x=1"), (b"cookie", b"a=b; x=1;y=2"), (b"cookie", b"x=3; z=\xff; q")]
    assert cookies(headers, ("x", "z", "q", "gone")) == {"x": "1", "z": "\ufffd", "q": ""}


def test_a_cookie_has_the_attributes_that_third_party_use_needs():
    """Secure and SameSite=None, HttpOnly, and a domain only where one is named."""
    rule = CookieRule(name="s2s_id", max_age=86_400_000, domain=None, path="/")
    assert rule.keep("p1") == "s2s_id=p1; Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=None"
    assert rule.forget() == "s2s_id=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None"
    named = CookieRule(name="x", max_age=1000, domain="partner.com", path="/a")
    assert named.mark_opt_out() == (
        "x_opt_out=1; Max-Age=1; Path=/a; Domain=partner.com; Secure; HttpOnly; SameSite=None"
    )
