"""Requests as messages: exact bytes, and what Python's own parser makes of them."""

import re
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.support.address import checked
from bridge.support.mapping import PixelMapping
from bridge.support.message import Envelope, render
from bridge.support.request import (
    Attachment,
    PixelMappingRequest,
    RevenueShareRequest,
    TaxonomyRequest,
    percent,
)
from tests.support.test_mapping import HASHED_MAPPINGS, MAPPINGS

SEED = [("8473", 679001), ("8474", 679002), ("8675", 679003)]
ENVELOPE = Envelope(
    sender="data@example.com",
    recipient="pixelmapping@mediamath.com",
    date=1_793_491_200_123,
    message_id="1@example.com",
)
CSV = "full_path,code\r\n|Ü,1\r\n".encode("latin-1") + bytes(range(256))


def seed_request(namespace: str = "ns") -> PixelMappingRequest:
    return PixelMappingRequest(
        mappings=tuple(PixelMapping(namespace=namespace, code=code, mt_id=mt_id) for code, mt_id in SEED)
    )


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_the_whole_message():
    """Every byte of the seed's example."""
    assert render(seed_request("ep"), ENVELOPE) == (
        b"Date: Sun, 01 Nov 2026 00:00:00 +0000\r\n"
        b"From: data@example.com\r\n"
        b"To: pixelmapping@mediamath.com\r\n"
        b"Message-ID: <1@example.com>\r\n"
        b"Subject: Data Provider Pixel Mapping Request\r\n"
        b"X-Unsent: 1\r\n"
        b'Content-Type: text/plain; charset="us-ascii"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"MIME-Version: 1.0\r\n"
        b"\r\n"
        b"Please map the following\r\n"
        b"ep:8473,mm:679001\r\n"
        b"ep:8474,mm:679002\r\n"
        b"ep:8675,mm:679003\r\n"
    )


def test_subject_and_body_are_the_seeds():
    """The seed's own lines, with its own `ns`."""
    request = seed_request()
    assert request.subject == "Data Provider Pixel Mapping Request"
    assert request.body == (
        "Please map the following\nns:8473,mm:679001\nns:8474,mm:679002\nns:8675,mm:679003\n"
    )


@given(st.lists(MAPPINGS | HASHED_MAPPINGS, min_size=1, max_size=50))
def test_the_body_is_never_changed(mappings: list[PixelMapping]):
    """Whatever the codes, long or like headers and encodings: the lines stand as they are, in 7 bits."""
    content = render(PixelMappingRequest(mappings=tuple(mappings)), ENVELOPE)
    head, _, body = content.partition(b"\r\n\r\n")
    wanted = ["Please map the following", *(one.line for one in mappings)]
    assert body == "".join(f"{line}\r\n" for line in wanted).encode("ascii")
    assert b"Content-Transfer-Encoding: 7bit" in head
    assert parsed(content).get_content().splitlines() == wanted


def test_a_long_line_is_not_wrapped():
    """The longest hashed code stays on one line, below the 998 characters that mail carries."""
    mapping = PixelMapping(namespace="ep", code="=" * 256, mt_id=10**18 - 1)
    content = render(PixelMappingRequest(mappings=(mapping,)), ENVELOPE)
    assert f"\r\n{mapping.line}\r\n".encode() in content
    assert max(map(len, content.split(b"\r\n"))) < 998


def test_a_taxonomy_goes_byte_for_byte():
    """The CSV comes out as it went in, whatever its encoding and line ends; ids stand in subject and body."""
    request = TaxonomyRequest(
        vendor_id=1234, taxonomy_id=100123, attachment=Attachment(name="acme (2).csv", content=CSV)
    )
    content = render(request, ENVELOPE)
    message = parsed(content)
    assert message["Subject"] == "Update of taxonomy 100123 of vendor 1234"
    body = message.get_body()
    assert body is not None
    assert body.get_content().splitlines()[2:] == [
        "Vendor ID: 1234",
        "Taxonomy ID: 100123",
        "CSV file: acme (2).csv",
    ]
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("acme (2).csv", "text/csv")
    assert attached.get_payload(decode=True) == CSV
    assert content.isascii()
    assert render(request, ENVELOPE) == content


def test_a_new_taxonomy_has_no_id():
    """Without a taxonomy id nothing is said of one."""
    request = TaxonomyRequest(
        vendor_id=1, taxonomy_id=None, attachment=Attachment(name="a.csv", content=b"x")
    )
    assert request.subject == "New taxonomy of vendor 1"
    assert "Taxonomy ID" not in request.body


def test_a_revenue_share():
    """Both things that the seed asks for, under its names."""
    message = parsed(render(RevenueShareRequest(taxonomy_id=100123, percent="12.5"), ENVELOPE))
    assert message.get_content().splitlines()[2:] == [
        "Taxonomy_ID: 100123",
        "Desired taxonomy-level revenue share: 12.5%",
    ]


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("0", "0"),
        ("00", "0"),
        ("12.50", "12.5"),
        ("0.05", "0.05"),
        ("100", "100"),
        ("10", "10"),
        ("100.00", "100"),
    ],
)
def test_percentages(text: str, shortest: str):
    """The same share is the same text, so that it is known again."""
    assert percent(text) == shortest


@pytest.mark.parametrize(
    "text", ["", "-1", "100.01", "101", "12.345", "1e1", "12,5", "12%", "NaN", "٣", "1\n"]
)
def test_no_percentages(text: str):
    """What is none is refused."""
    with pytest.raises(ValueError, match="is no percentage"):
        percent(text)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "data",
        "@example.com",
        "data@",
        "data@example.com\nBcc: other@example.com",
        "data@example.com\r\nBcc: other@example.com",
        "data@example.com\n",
        "data@example.com, other@example.com",
        "Data <data@example.com>",
        "da ta@example.com",
        "data@exämple.com",
        "data@-example.com",
        "data..x@example.com",
        "a" * 65 + "@example.com",
        "a@" + ".".join(["a" * 60] * 5),
        '"da\nta"@example.com',
    ],
)
@pytest.mark.parametrize("field", ["sender", "recipient", "message_id"])
def test_no_addresses(address: str, field: str):
    """Nothing but one plain address comes into a header."""
    values = {
        "sender": ENVELOPE.sender,
        "recipient": ENVELOPE.recipient,
        "message_id": ENVELOPE.message_id,
    }
    with pytest.raises(ValueError, match="is no plain mail address"):
        render(seed_request(), Envelope(**(values | {field: address}), date=0))


@given(st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9.-]{1,180}", fullmatch=True))
def test_an_address_comes_back(text: str):
    """Each address that passes is read back as it is, from one unfolded line."""
    try:
        checked(text)
    except ValueError:
        return
    content = render(seed_request(), Envelope(sender=text, recipient=text, date=0, message_id=text))
    assert f"\r\nFrom: {text}\r\nTo: {text}\r\nMessage-ID: <{text}>\r\n".encode() in content
    assert parsed(content)["To"].addresses == (Address(addr_spec=text),)


def test_the_longest_address_stays_on_its_line():
    """No header is folded, whatever reads it."""
    text = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.com"
    content = render(seed_request(), Envelope(sender=text, recipient=text, date=0, message_id=text))
    assert f"\r\nFrom: {text}\r\nTo: {text}\r\nMessage-ID: <{text}>\r\n".encode() in content
    assert parsed(content)["To"].addresses == (Address(addr_spec=text),)


@pytest.mark.parametrize(
    "name", ["", ".csv", "a\nb.csv", 'a".csv', "a;b.csv", "ä.csv", "a/b.csv", "a" * 101, "\udcff.csv"]
)
def test_names_that_mail_may_change(name: str):
    """An attachment's name is plain, or refused."""
    with pytest.raises(ValueError, match="has a name"):
        Attachment(name=name, content=b"x")


def test_attachments_have_bounds():
    """Neither nothing nor more than mail takes is attached."""
    with pytest.raises(ValueError, match="is empty"):
        Attachment(name="a.csv", content=b"")
    with pytest.raises(ValueError, match="too large"):
        Attachment(name="a.csv", content=bytes(15_000_001))


def test_no_address_of_support_is_ours():
    """The one address in the product is the seed's automated process, a default that can be changed."""
    root = Path(__file__).parents[2] / "bridge"
    addresses = {
        found
        for path in root.rglob("*.py")
        for found in re.findall(r"[a-z]+@[a-z]*(?:mediamath|infillion)[a-z]*\.com", path.read_text())
    }
    assert addresses == {"pixelmapping@mediamath.com"}
