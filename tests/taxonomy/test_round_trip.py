"""What is written is read back."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.taxonomy import Form, Node, Permissions, Rules, Taxonomy, read_bytes, update, written
from bridge.taxonomy import names as entities

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
ENTITY_LIKE = st.sampled_from(
    ["&amp;", "&#1043;", "&lt", "&#x26;", "&foo;", "&&", "|", "#1;", '"', ",", ": ", "null"]
)


def sendable(name: str) -> bool:
    try:
        entities.check(name)
    except Exception:  # noqa: BLE001  # whatever it has, it is no name
        return False
    return True


NAMES = (
    st.lists(st.text(CHARACTERS, max_size=6) | ENTITY_LIKE, min_size=1, max_size=4)
    .map("".join)
    .map(str.strip)
    .filter(sendable)
)
IDS = st.integers(1, 2**63 - 1)
PRICES = st.decimals(0, 999_999, places=2)
HASHED = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), min_size=1, max_size=12
)


@st.composite
def nodes(draw, codes, ids, depth: int = 3):
    """A node whose codes and ids come from what is left of those."""
    buyable = draw(st.booleans()) and bool(codes)
    low, high = sorted((draw(PRICES), draw(PRICES)))
    below = draw(st.lists(NAMES, max_size=3, unique=True)) if depth else []
    return Node(
        name="",
        code=codes.pop() if buyable else None,
        uniques=draw(st.integers(0, 10**12)) if buyable else None,
        wholesale_cpm=low if buyable else None,
        retail_cpm=high if buyable else None,
        buyable=buyable,
        id=ids.pop() if ids and draw(st.booleans()) else None,
        children=tuple(renamed(draw(nodes(codes, ids, depth - 1)), name) for name in below),
    )


def renamed(node: Node, name: str) -> Node:
    return Node(**{**{field: getattr(node, field) for field in Node.__slots__}, "name": name})


@st.composite
def taxonomies(draw, *, bare: bool):
    """A taxonomy that breaks no rule; bare: of what a CSV has a place for."""
    use_hash = draw(st.booleans())
    code = HASHED if use_hash else st.integers(1, 2**31 - 1).map(str)
    codes = draw(st.lists(code, max_size=12, unique=True))
    ids = [] if bare else draw(st.lists(IDS, max_size=12, unique=True))
    children = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    root = Node(
        name=draw(NAMES),
        id=ids.pop() if ids else None,
        children=tuple(renamed(draw(nodes(codes, ids)), name) for name in children),
    )
    if bare:
        return Taxonomy(root=root, use_hash=use_hash)
    listed = st.lists(IDS, max_size=3, unique=True).map(tuple)
    return Taxonomy(
        root=root,
        use_hash=use_hash,
        description=draw(st.none() | NAMES),
        permissions=draw(st.builds(Permissions, organizations=listed, agencies=listed, advertisers=listed)),
        vendor_id=draw(st.none() | IDS),
        audience_vendor_id=draw(st.none() | IDS),
        taxonomy_id=draw(st.none() | IDS),
        revenue_share_pct=draw(st.none() | st.decimals(0, 100, places=2)),
        visibility=draw(st.none() | st.sampled_from(["GLOBAL", "RESTRICTED"])),
    )


def read(text: str, form: Form, taxonomy: Taxonomy) -> Taxonomy:
    reading = read_bytes(text.encode(), "file", form, Rules(hashed=taxonomy.use_hash and form is Form.CSV))
    assert [str(fault) for fault in reading.faults if "nothing in it can be bought" not in str(fault)] == []
    return reading.taxonomy


@given(taxonomy=taxonomies(bare=True))
def test_csv_by_way_of_the_api_is_the_same_csv(taxonomy):
    """CSV, JSON and CSV again; CSV, YAML and CSV again: byte for byte the same, and no fault."""
    text = written(taxonomy, Form.CSV)
    first = read(text, Form.CSV, taxonomy)
    assert first == taxonomy
    for form in (Form.JSON, Form.YAML):
        between = read(written(first, form), form, taxonomy)
        assert written(between, Form.CSV) == text


@given(taxonomy=taxonomies(bare=False))
def test_a_document_keeps_everything(taxonomy):
    """YAML and JSON hold all that is known: ids, permissions, description; one is made of the other."""
    for form in (Form.YAML, Form.JSON):
        assert read(written(taxonomy, form), form, taxonomy) == taxonomy
    assert json.loads(written(taxonomy, Form.JSON))["taxonomy"] == update(taxonomy)["taxonomy"]


@given(name=NAMES, pipes=st.booleans())
def test_a_name_comes_back_from_its_entities(name, pipes):
    """Whatever a name looks like, what is sent stands for it; as ASCII where it is of another script."""
    sent = entities.encoded(name, pipes=pipes)
    assert entities.decoded(sent) == name
    assert sent.isascii() or not entities.needs_entities(name)
    assert not pipes or "|" not in sent
    assert entities.decoded(entities.plain(name)) == name


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Мода", "&#1052;&#1086;&#1076;&#1072;"),
        ("Mode \u2013 Café", "Mode \u2013 Café"),
        ("R&D", "R&D"),
        ("&lt;", "&amp;lt;"),
        ("日本 A", "&#26085;&#26412; A"),
        ("★", "&#9733;"),
    ],
)
def test_names_are_sent_as_the_seed_has_them(name, sent):
    """Letters that are not Latin are entities; a dash or accent beside Latin ones is none, as in the seed."""
    assert entities.encoded(name, pipes=False) == sent


def test_what_was_written_otherwise_is_one_taxonomy():
    """Thousands, rows that are missing or late, entities in hex: all are the canonical file's taxonomy."""
    wild = (
        "full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\r\n"
        '|A|B|&#x41c;,7,"1,000",0.5,1,1\r\n'
        "|A,,,,,0\r\n"
    )
    reading = read_bytes(wild.encode(), "wild", Form.CSV, Rules())
    assert reading.good
    assert written(reading.taxonomy, Form.CSV) == (
        "full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\n"
        "|A,,,,,0\n|A|B,,,,,0\n|A|B|&#1052;,7,1000,0.50,1.00,1\n"
    )
    assert reading.taxonomy.at(("A", "B", "\u041c")).wholesale_cpm == Decimal("0.50")


@pytest.mark.parametrize("code", ["007", "1e3", "null", "~", "0x10", "1_000", "-1", "&amp;", "#1", "yes"])
@pytest.mark.parametrize("form", list(Form))
def test_a_hashed_code_stays_the_text_that_it_is(code, form):
    """A code that looks like a number or a word of YAML comes back as it was."""
    segment = Node(
        name="B", code=code, uniques=1, wholesale_cpm=Decimal(0), retail_cpm=Decimal(0), buyable=True
    )
    taxonomy = Taxonomy(root=Node(name="A", children=(segment,)), use_hash=True)
    assert read(written(taxonomy, form), form, taxonomy).path_of(code) == ("A", "B")
