"""What was asked is known again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.support.memory import Memory, MemoryDamaged, appended
from bridge.support.request import Ask, Attachment, RevenueShareRequest, TaxonomyRequest

NOW = 1_793_491_200_000
ASKS = st.builds(
    Ask,
    kind=st.sampled_from(["pixel_mapping", "revenue_share"]),
    about=st.sampled_from(["mm:1", "mm:2", "mm:3"]),
    what=st.sampled_from(["ep:1", "ep:2", 'ep:"\u2028']),
)
REQUEST = st.lists(ASKS, max_size=4, unique_by=lambda ask: (ask.kind, ask.about))
"""A request asks one thing about each: `find` sees to it."""
REQUESTS = st.lists(REQUEST, max_size=6)


def remembered(requests: list[list[Ask]]) -> str:
    text = ""
    for request in requests:
        known = Memory.parse(text)
        text = appended(text, [ask for ask in request if not known.holds(ask)], NOW, "1@example.com")
    return text


@given(REQUESTS)
def test_the_newest_counts(requests: list[list[Ask]]):
    """After any requests, exactly the last thing asked about each is held."""
    last = {(ask.kind, ask.about): ask.what for request in requests for ask in request}
    known = Memory.parse(remembered(requests))
    for (kind, about), newest in last.items():
        for what in ("ep:1", "ep:2", 'ep:"\u2028'):
            assert known.holds(Ask(kind=kind, about=about, what=what)) == (newest == what)


@given(REQUESTS, REQUEST)
def test_asking_twice_asks_nothing_new(requests: list[list[Ask]], request: list[Ask]):
    """What was just asked is not asked by the same request, and its text does not grow."""
    once = remembered([*requests, request])
    assert remembered([*requests, request, request]) == once


def test_lines_of_others_stay():
    """Blank lines and an end without LF, as an editor leaves them, are kept and harmless."""
    text = remembered([[Ask(kind="a", about="b", what="c")]])
    edited = "\n" + text.removesuffix("\n")
    more = appended(edited, [Ask(kind="a", about="d", what="e")], NOW, "1@example.com")
    assert more.startswith(edited + "\n")
    assert Memory.parse(more).holds(Ask(kind="a", about="b", what="c"))
    assert Memory.parse(more).holds(Ask(kind="a", about="d", what="e"))


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"kind": 1}', "nonsense"])
def test_a_damaged_line_is_told(line: str):
    """A line that cannot be read is named by its number, not skipped."""
    text = remembered([[Ask(kind="a", about="b", what="c")]]) + line + "\n"
    with pytest.raises(MemoryDamaged, match=r"^2: is no request"):
        Memory.parse(text)


def test_others():
    """Things of the kind that were asked to become the same are found, but for those that changed since."""
    known = Memory.parse(
        remembered(
            [
                [Ask(kind="a", about="1", what="x"), Ask(kind="a", about="2", what="x")],
                [Ask(kind="a", about="2", what="y"), Ask(kind="b", about="3", what="x")],
            ]
        )
    )
    assert [one.about for one in known.others(Ask(kind="a", about="4", what="x"))] == ["1"]
    assert known.others(Ask(kind="a", about="1", what="x")) == []


def taxonomy(content: bytes, taxonomy_id: int | None = None) -> Ask:
    attachment = Attachment(name="a.csv", content=content)
    (ask,) = TaxonomyRequest(vendor_id=1, taxonomy_id=taxonomy_id, attachment=attachment).asks
    return ask


def test_an_update_may_go_back():
    """A taxonomy that went from A to B and shall be A again is asked: the last one counts."""
    known = Memory.parse(remembered([[taxonomy(b"A", 7)], [taxonomy(b"B", 7)]]))
    assert not known.holds(taxonomy(b"A", 7))
    assert known.holds(taxonomy(b"B", 7))


def test_a_new_taxonomy_is_made_once():
    """A file that was handed in as a new taxonomy is known for ever: it would be made a second time."""
    known = Memory.parse(remembered([[taxonomy(b"A")], [taxonomy(b"B")]]))
    assert known.holds(taxonomy(b"A"))
    assert known.holds(taxonomy(b"B"))


def test_a_share_may_go_back():
    """A revenue share that went from 10 to 20 and shall be 10 again is asked."""
    shares = [RevenueShareRequest(taxonomy_id=7, percent=share).asks[0] for share in ("10", "20")]
    known = Memory.parse(remembered([[one] for one in shares]))
    assert [known.holds(one) for one in shares] == [False, True]
