"""The HTML of the page: nothing gets in unescaped, nothing comes from elsewhere, and it can be read aloud."""

import re
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import pytest

from bridge.observe.http import HEADERS, SCRIPT
from bridge.service.page.records import Tone
from bridge.service.page.rendering import rendered, script_hash
from bridge.service.page.view import view
from tests.page.lively import NOW
from tests.page.markup import parsed
from tests.parts.delivering import user_id

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}&amp;"


@pytest.fixture(scope="module")
def page(scene):
    """The records of a lively page."""
    return view(scene.front.seen(), scene.config, NOW)


@pytest.fixture(scope="module")
def html(page):
    return rendered(page).decode()


@pytest.fixture(scope="module")
def tree(html):
    return parsed(html)


def with_texts(record, text):
    """The record with every text of it replaced, but those that a reader of its words relies on."""
    if isinstance(record, tuple):
        return tuple(with_texts(one, text) for one in record)
    if is_dataclass(record):
        return replace(
            record, **{one.name: with_texts(getattr(record, one.name), text) for one in fields(record)}
        )
    return text if isinstance(record, str) and not isinstance(record, Tone) else record


def test_hostile_names_are_text(page):
    """Whatever a name or a server's answer holds, it is shown, and makes no element or attribute."""
    harmless, hostile = (parsed(rendered(with_texts(page, text)).decode()) for text in ("harmless", HOSTILE))
    assert [one.name for one in hostile.all()] == [one.name for one in harmless.all()]
    assert [list(one.attributes) for one in hostile.all()] == [list(one.attributes) for one in harmless.all()]
    assert HOSTILE in hostile.all("main")[0].text()


def test_the_header_allows_its_script_and_no_other():
    """The policy names the script by its hash; nothing else may run."""
    assert script_hash() == SCRIPT, "page.js has changed: observe.http.SCRIPT is to be the new hash"
    policy = HEADERS["Content-Security-Policy"]
    assert f"script-src {SCRIPT};" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")


def test_nothing_comes_from_elsewhere(tree, html):
    """No address of another host; the icon is in the page itself."""
    addresses = [one.attributes[name] for name in ("src", "href", "action") for one in tree.having(name)]
    assert all(
        address.startswith(("#", "/metrics", "/healthz", "/readyz", "data:image/svg"))
        for address in addresses
    )
    assert re.findall(r"https?://", html) == []
    assert [name for one in tree.all() for name in one.attributes if name.startswith("on")] == []


def test_no_user_id(html):
    """The runs hold thousands; the page none."""
    ids = [user_id(user) for user in range(0, 9_000, 7)]
    assert not [one for one in ids if one in html or one.replace("-", "") in html]


def test_headings_tell_the_parts(tree):
    """One h1, no level left out, and every part has a heading for its name."""
    levels = [int(one.name[1]) for one in tree.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = {one.attributes["id"] for one in tree.having("id")}
    for part in tree.all("section", "article"):
        assert part.attributes["aria-labelledby"] in ids
    titles = [one.text() for one in tree.all("h2")]
    assert titles == [
        "What to look at",
        "Quotas",
        "Audiences waiting",
        "Files not uploaded yet",
        "Last deliveries",
        "Replays",
        "Streams",
        "Partner ids",
        "Dead letters",
        "Spool",
    ]


def test_landmarks_and_ids(tree):
    """A header, one main and a footer; an id stands once; what is referred to is there."""
    assert [len(tree.all(name)) for name in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    ids = [one.attributes["id"] for one in tree.having("id")]
    assert len(ids) == len(set(ids))
    for one in tree.having("aria-labelledby"):
        assert set(one.attributes["aria-labelledby"].split()) <= set(ids)
    for link in tree.all("a"):
        if link.attributes["href"].startswith("#"):
            assert link.attributes["href"][1:] in ids
    assert tree.all("html")[0].attributes["lang"] == "en"


def test_tables_name_their_columns_and_rows(tree):
    """Each cell has its column's name by it, for phones, and the role that a change of layout takes."""
    assert len(tree.all("table")) >= 6
    for table in tree.all("table"):
        heads = table.all("thead")[0].all("th")
        assert all(one.attributes["scope"] == "col" for one in heads)
        for row in table.all("tbody")[0].all("tr"):
            first, *cells = [one for one in row.children if one.name in ("th", "td")]
            assert (first.name, first.attributes["scope"]) == ("th", "row")
            assert [one.attributes["data-label"] for one in cells] == [one.text() for one in heads[1:]]
            assert all(one.attributes["role"] == "cell" for one in cells)
        roles = [one.attributes.get("role") for one in table.all("table", "thead", "tbody", "tr", "th", "td")]
        assert None not in roles


def test_bars_and_drawings_have_words(tree, page):
    """A bar is a meter with a name and a value in words; a drawing has a title and says what it shows."""
    meters = [one for one in tree.having("role") if one.attributes["role"] == "meter"]
    assert len(meters) == 2 * len(page.accounts) + 1
    for one in meters:
        assert one.attributes["aria-label"]
        assert re.fullmatch(r".+ of .+, \d+ %", one.attributes["aria-valuetext"])
        assert int(one.attributes["aria-valuenow"]) <= int(one.attributes["aria-valuemax"])
    for drawing in tree.all("svg"):
        assert drawing.attributes["role"] == "img"
        assert drawing.all("title")[0].text().startswith("Bytes of the day")
        assert "used by 14:17 UTC" in drawing.all("desc")[0].text()


def test_no_meaning_by_colour_alone(tree):
    """Marks are hidden from who listens; beside each stands its word, and each tone has a mark of its own."""
    marks = [one for one in tree.all("span") if (one.attributes.get("class") or "").startswith("mark ")]
    assert len({one.text() for one in marks}) >= 3
    assert all(one.attributes["aria-hidden"] == "true" for one in marks)
    for remark in tree.all("ul")[0].all("li"):
        assert re.match(r"\S (Fault|To look at): ", remark.text())


@pytest.mark.parametrize("seconds", [30])
def test_without_scripts_it_still_refreshes(html, seconds):
    """A browser that runs none asks again by itself."""
    assert f'<noscript><meta http-equiv="refresh" content="{seconds}"></noscript>' in html


COLOURS = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")

READ = ("text", "aside", "well", "look", "ill", "link")
"""Colours of words."""

SEEN = ("used", "ahead", "ill", "look", "aside")
"""Colours of lines and of the edge of a button."""


def palettes(html):
    """The colours of the light scheme and of the dark one."""
    style = html[html.index("<style>") : html.index("</style>")]
    light, dark = (dict(COLOURS.findall(part)) for part in style.split("(prefers-color-scheme: dark)"))
    assert set(light) == set(dark)
    return {"light": light, "dark": dark}


def contrast(one, other):
    """As WCAG has it."""

    def luminance(colour):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(html, scheme):
    """Words stand out from their ground by 4.5, lines and edges by 3, in both schemes."""
    colours = palettes(html)[scheme]
    pairs = [(one, ground) for one in READ for ground in ("ground", "panel")]
    pairs += [(tone, f"{tone}-ground") for tone in ("well", "look", "ill")]
    pairs += [(one, ground) for one in ("text", "link") for ground in ("look-ground", "ill-ground")]
    weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: found for pair, found in weak.items() if found < 4.5} == {}
    lines = {one: contrast(colours[one], colours["panel"]) for one in SEEN}
    assert {one: found for one, found in lines.items() if found < 3} == {}
