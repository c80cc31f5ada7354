"""Whether a visit may be kept: the table of docs/user-sync.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sync.consent import ConsentRule, granted
from bridge.sync.mapping import Consent
from bridge.sync.outcome import Outcome, Refused
from tests.sync.tc_strings import tc_string

RULE = ConsentRule(vendor_id=7, purposes=frozenset({1, 3}), required=False)
NOBODY = ConsentRule(vendor_id=None, purposes=frozenset({1}), required=True)
YES = tc_string({1, 3}, {7})


# Some words are a consent's and an outcome's: they are told apart by `is`.


def said(parameters, rule=RULE, *, gpc=False):
    try:
        return granted(parameters, rule, gpc=gpc)
    except Refused as refused:
        return refused.outcome


@pytest.mark.parametrize(
    ("parameters", "outcome"),
    [
        ({}, Consent.NO_SIGNAL),
        ({"gdpr": "", "gdpr_consent": "", "us_privacy": ""}, Consent.NO_SIGNAL),
        ({"gdpr": "0"}, Consent.OUTSIDE_GDPR),
        ({"gdpr": "0", "gdpr_consent": "broken"}, Consent.OUTSIDE_GDPR),
        ({"gdpr": "1"}, Outcome.NO_CONSENT),
        ({"gdpr": "1", "gdpr_consent": "broken"}, Outcome.CONSENT_UNREADABLE),
        ({"gdpr": "1", "gdpr_consent": YES}, Consent.TC_STRING),
        ({"gdpr_consent": YES}, Consent.TC_STRING),
        ({"gdpr": "[GDPR]", "gdpr_consent": YES}, Consent.TC_STRING),
        ({"gdpr": "yes"}, Outcome.NO_CONSENT),
        ({"gdpr": "1", "gdpr_consent": tc_string({1}, {7})}, Outcome.NO_CONSENT),
        ({"gdpr": "1", "gdpr_consent": tc_string({1, 3}, {8})}, Outcome.NO_CONSENT),
        ({"gdpr": "1", "gdpr_consent": tc_string({1, 3}, (), interests={7})}, Outcome.NO_CONSENT),
        (
            {"gdpr": "1", "gdpr_consent": tc_string({1, 3}, {7}, restrictions=[(3, 0, [(7, 7)])])},
            Outcome.NO_CONSENT,
        ),
        (
            {"gdpr": "1", "gdpr_consent": tc_string({1, 3}, {7}, restrictions=[(3, 0, [(8, 9)])])},
            Consent.TC_STRING,
        ),
        ({"us_privacy": "1YNN"}, Consent.US_PRIVACY),
        ({"us_privacy": "1---"}, Consent.US_PRIVACY),
        ({"us_privacy": "1YYN"}, Outcome.US_PRIVACY),
        ({"us_privacy": "1yyn"}, Outcome.US_PRIVACY),
        ({"us_privacy": "2YNN"}, Outcome.CONSENT_UNREADABLE),
        ({"us_privacy": "[US_PRIVACY]"}, Outcome.CONSENT_UNREADABLE),
        ({"us_privacy": "1YYN", "gdpr": "1", "gdpr_consent": YES}, Outcome.US_PRIVACY),
        ({"us_privacy": "1YNN", "gdpr": "1", "gdpr_consent": YES}, Consent.TC_STRING),
        ({"us_privacy": "1YNN", "gdpr": "1"}, Outcome.NO_CONSENT),
    ],
)
def test_what_is_said_decides(parameters, outcome):
    """A no wins over a yes, and what cannot be read is a no."""
    assert said(parameters) is outcome


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("gdpr", "gdpr_consent", "us_privacy"), st.text())))
def test_the_browsers_own_no_wins_over_everything(parameters):
    """Sec-GPC: 1 stands above what a page says."""
    assert said(parameters | {"gdpr": "1", "gdpr_consent": YES}, gpc=True) is Outcome.GPC


@given(
    st.fixed_dictionaries(
        {}, optional={"gdpr": st.text() | st.just("0"), "gdpr_consent": st.text(), "us_privacy": st.text()}
    )
)
def test_any_words_are_a_consent_or_a_reason(parameters):
    """Nothing a browser says is an error, and without a whole TC string the GDPR's yes is never given."""
    found = said(parameters)
    assert isinstance(found, Outcome) or found not in {Consent.TC_STRING, Consent.WITHDRAWN}


def test_a_partner_may_demand_a_word():
    """Who says nothing is refused then; who says anything is judged by that."""
    assert said({}, NOBODY) is Outcome.NO_SIGNAL
    assert said({"gdpr": "0"}, NOBODY) is Consent.OUTSIDE_GDPR


def test_a_partner_that_is_no_vendor_needs_the_purposes_alone():
    """What a publisher forbids other vendors is not about it."""
    forbidding = [(1, 0, [(1, 65_535)])]
    text = tc_string({1}, (), restrictions=forbidding)
    assert said({"gdpr_consent": text}, NOBODY) is Consent.TC_STRING
    assert said({"gdpr_consent": tc_string({2})}, NOBODY) is Outcome.NO_CONSENT
