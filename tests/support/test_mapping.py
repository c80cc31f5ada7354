"""Mappings as people write them, and what is wrong with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.support.mapping import NoMapping, PixelMapping, Placed, find, lines

NAMESPACES = st.from_regex(r"[a-z]{2}", fullmatch=True).filter(lambda name: name != "mm")
CODES = st.integers(1, 2_147_483_647).map(str)
HASHED = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",:"), min_size=1)
MT_IDS = st.integers(1, 10**18 - 1)
MAPPINGS = st.builds(PixelMapping, namespace=NAMESPACES, code=CODES, mt_id=MT_IDS)
HASHED_MAPPINGS = st.builds(PixelMapping, namespace=NAMESPACES, code=HASHED, mt_id=MT_IDS)


def found(*texts: str, hashed: bool = False):
    return find(lines("m", "\n".join(texts)), hashed=hashed)


@given(MAPPINGS | HASHED_MAPPINGS)
def test_both_forms_say_the_same(mapping: PixelMapping):
    """A mapping is read back from either form, whatever its code holds."""
    hashed = not mapping.code.isdigit() or int(mapping.code) > 2_147_483_647 or mapping.code[0] == "0"
    assert PixelMapping.parse(mapping.line, hashed=hashed) == mapping
    assert PixelMapping.parse(f"{mapping.source}={mapping.mt_id}", hashed=hashed) == mapping
    assert PixelMapping.parse(f" {mapping.source} , {mapping.target} ", hashed=hashed) == mapping


@given(st.text(), st.booleans())
def test_any_text_is_a_mapping_or_told(text: str, hashed: bool):  # noqa: FBT001  # drawn
    """No text does anything but give one line of plain ASCII, or a reason that does not quote it."""
    result = find([Placed(place="p", text=text)], hashed=hashed)
    assert len(result.mappings) + len(result.faults) == 1
    for mapping in result.mappings:
        assert mapping.line.isascii()
        assert mapping.line.isprintable()
        assert mapping.line.count(",") == 1
    for fault in result.faults:
        assert fault.reason.isascii()
        assert fault.reason.isprintable()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ep:8473", "is no mapping"),
        ("8473=679001", "has no namespace"),
        ("mm:8473=679001", "mm is MediaMath's namespace"),
        ("MM:8473=679001", "mm is MediaMath's namespace"),
        ("e p:8473=679001", "the namespace may hold"),
        (":8473=679001", "the namespace may hold"),
        ("ep:0=679001", "the code is not a whole number"),
        ("ep:-1=679001", "the code is not a whole number"),
        ("ep:007=679001", "the code is not a whole number"),
        ("ep:2147483648=679001", "the code is not a whole number"),
        ("ep:8_473=679001", "the code is not a whole number"),
        ("ep:٣=679001", "the code is not a whole number"),
        ("ep:sports=679001", "--hashed"),
        ("ep:1=0", "the MT_ID is not"),
        ("ep:1=-5", "the MT_ID is not"),
        ("ep:1=6.5", "the MT_ID is not"),
        ("ep:1=mm:5", "the MT_ID is not"),
        ("ep:1=", "the MT_ID is not"),
        ("ep:1,679001", "there is no mm:MT_ID"),
        ("ep:1,xx:679001", "there is no mm:MT_ID"),
        ("ep:1,2,mm:3", "the code has a comma"),
    ],
)
def test_what_is_no_mapping(text: str, reason: str):
    """Each part that cannot be right is told."""
    with pytest.raises(NoMapping, match=reason):
        PixelMapping.parse(text, hashed=False)


@pytest.mark.parametrize("code", ["a:b", "a b", "é", "a" * 257, "", "a\nb"])
def test_what_is_no_hashed_code(code: str):
    """A hashed code is what an event's may be."""
    with pytest.raises(NoMapping, match="the code"):
        PixelMapping.parse(f"ep:{code}=1", hashed=True)


def test_lines_keep_their_numbers():
    """Blank lines, remarks, a byte order mark and CR LF count as lines and change nothing."""
    texts = lines("m.csv", "\ufeff# ours\r\n\r\nep:1=2\r\n  \n ep:3,mm:4\n")
    assert texts == [Placed(place="m.csv:3", text="ep:1=2"), Placed(place="m.csv:5", text="ep:3,mm:4")]


def test_every_fault_is_told_at_its_line():
    """One faulty line hides neither the next faulty one nor the good ones."""
    result = found("ep:0=1", "ep:5=6", "nothing")
    assert [fault.at.place for fault in result.faults] == ["m:1", "m:3"]
    assert [one.line for one in result.mappings] == ["ep:5,mm:6"]


def test_twice_is_once():
    """The same mapping in two forms is asked once, and told."""
    result = found("ep:5=6", "ep:5,mm:6")
    assert [one.line for one in result.mappings] == ["ep:5,mm:6"]
    assert result.warnings == ("m:2: ep:5,mm:6 stands at m:1 already: asked once",)
    assert not result.faults


def test_one_pixel_for_two_codes():
    """An external data segment is a single segment: two codes for one is a fault, at the second."""
    (fault,) = found("ep:5=7", "ep:6=7").faults
    assert str(fault).startswith("m:2: mm:7 is mapped to ep:5 at m:1 already")


def test_one_code_for_two_pixels():
    """A code may fill the pixels of two agencies: both are asked, with a warning."""
    result = found("ep:5=7", "ep:5=8")
    assert len(result.mappings) == 2
    assert not result.faults
    assert result.warnings == ("m:2: ep:5 goes to mm:7, too (m:1): right if these are of two agencies",)


@pytest.mark.parametrize("namespace", ["EP", "eps", "e1", "ns"])
def test_unusual_namespaces(namespace: str):
    """A namespace that is not as the platform's are is told once, and asked: we do not know them all."""
    result = found(f"{namespace}:1=2", f"{namespace}:3=4")
    assert len(result.mappings) == 2
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith(f"m:1: namespace {namespace} ")


def test_two_namespaces():
    """A partner has one namespace, as a rule."""
    assert found("ep:1=2", "eq:3=4").warnings == ("the mappings are of 2 namespaces: ep, eq",)
