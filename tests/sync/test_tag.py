"""The sync tag: what is made can be read again, and what is wrong with another is told."""

from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import main
from bridge.sync.tag import Kind, Tag, render, with_macros
from bridge.sync.tag_check import check

ENDPOINT = "https://sync.partner.com/sync"
GOOD = "https://sync.partner.com/sync?mmuuid=[MM_UUID]&dc=[MT_DC]"
HOST = "sync.mathtag.com"

names = st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z]{2,5}){1,2}", fullmatch=True)
words = st.text([chr(code) for code in range(0x21, 0x7F) if chr(code) not in "#&=?[]{}%+"], max_size=12)
pairs = st.lists(st.tuples(words.map(lambda word: "k" + word), words | st.just("100%25")), max_size=3)


@st.composite
def tags(draw):
    kind = draw(st.sampled_from(Kind))
    query = "&".join(f"{key}={value}" for key, value in draw(pairs))
    path = quote(draw(words), safe="/")
    return Tag(
        kind=kind,
        host=draw(names) + ".mathtag.com",
        endpoint=with_macros(f"https://{draw(names)}/{path}{'?' if query else ''}{query}"),
        exid=draw(words.filter(bool)) if kind is Kind.IMAGE else None,
        hidden=draw(st.booleans()),
    )


@given(tags())
def test_a_tag_that_is_made_is_read_as_what_it_says(tag):
    """There and back, without a fault, whatever the endpoint holds."""
    found = check(render(tag))
    assert found.faults == ()
    assert found.tag == tag


@given(tags())
def test_the_macros_can_be_used_before_and_after_decoding(tag):
    """They stand in the tag as the platform looks for them, and so they do in the decoded endpoint."""
    text = unescape(render(tag))
    assert text.count("[MM_UUID]") == text.count("[MT_DC]") == 1
    filled = text.replace("[MM_UUID]", "5f11538c-fcb6-4600-88e0-6e51bff72bbc").replace("[MT_DC]", "ewr")
    source = filled.partition('src="')[2].partition('"')[0]
    sent = dict(parse_qsl(urlsplit(source).query))[{Kind.JS: "exsync", Kind.IMAGE: "redir"}[tag.kind]]
    expected = tag.endpoint.replace("[MM_UUID]", "5f11538c-fcb6-4600-88e0-6e51bff72bbc")
    assert sent == expected.replace("[MT_DC]", "ewr")


def test_the_tags_look_as_documented():
    """A script, and an image that is hidden; its ampersand is HTML's."""
    assert render(Tag(kind=Kind.JS, host=HOST, endpoint=GOOD)) == (
        f'<script type="text/javascript" src="https://{HOST}/sync/js?exsync='
        'https%3A%2F%2Fsync.partner.com%2Fsync%3Fmmuuid%3D[MM_UUID]%26dc%3D[MT_DC]"></script>'
    )
    assert render(Tag(kind=Kind.IMAGE, host=HOST, endpoint=GOOD, exid="10", hidden=True)) == (
        f'<div style="display:none"><img width="1" height="1" alt="" src="https://{HOST}/sync/img?mt_exid=10'
        '&amp;redir=https%3A%2F%2Fsync.partner.com%2Fsync%3Fmmuuid%3D[MM_UUID]%26dc%3D[MT_DC]"></div>'
    )


@pytest.mark.parametrize(
    ("endpoint", "whole"),
    [
        (ENDPOINT, GOOD),
        (GOOD, GOOD),
        (f"{ENDPOINT}?a=b", f"{ENDPOINT}?a=b&mmuuid=[MM_UUID]&dc=[MT_DC]"),
        (f"{ENDPOINT}?", GOOD),
        (f"{ENDPOINT}?u=[MM_UUID]", f"{ENDPOINT}?u=[MM_UUID]&dc=[MT_DC]"),
    ],
)
def test_an_endpoint_gets_the_macros_that_it_lacks(endpoint, whole):
    """Where a partner has its own names for them, those stay."""
    assert with_macros(endpoint) == whole


def script(exsync, host=HOST, path="/sync/js", scheme="https:"):
    return f'<script src="{scheme}//{host}{path}?exsync={exsync}"></script>'


ONCE = quote(GOOD, safe="[]")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (script(ONCE), []),
        (script(ONCE, scheme=""), []),
        (script(quote(GOOD, safe="")), []),
        (script("//partner.com/u%3Fmmuuid=[MM_UUID]%26dc=[MT_DC]"), []),
        (script(ONCE + "&gdpr=1&gdpr_consent=C"), []),
        (script(quote(ONCE, safe="")), ["exsync is encoded twice"]),
        (script(quote(ONCE, safe="[]")), ["exsync is encoded twice"]),
        (script(GOOD), ["exsync is not encoded: dc would not reach the endpoint"]),
        (script(ONCE, scheme="http:"), ["its src is http, which an https page blocks"]),
        (script(ONCE, scheme="ftp:"), ["its src is ftp"]),
        (script(ONCE, host="example.com"), ["its host is example.com, not one of mathtag.com"]),
        (script(ONCE, host="mathtag.com.evil.com"), ["its host is mathtag.com.evil.com, not one of"]),
        (script(ONCE, path="/sync/img"), ["its path is /sync/img; write /sync/js"]),
        (script(ONCE.replace("https", "http")), ["the endpoint is http"]),
        (script(ONCE.replace("[MM_UUID]", "5f11538c")), ["[MM_UUID] is missing"]),
        (script(ONCE.replace("[MT_DC]", "")), ["[MT_DC] is missing"]),
        (
            script(ONCE.replace("[MM_UUID]", "{MM_UUID}")),
            ["[MM_UUID] is missing", "{MM_UUID} is no macro; there are"],
        ),
        (script(ONCE + "%23end"), ["the endpoint has a fragment"]),
        (script("nowhere"), ["the endpoint names no host", "[MM_UUID] is missing", "[MT_DC] is missing"]),
        (script(""), ["it has no exsync"]),
        (f'<script src="/sync/js?exsync={ONCE}"></script>', ["its src names no host"]),
        (f'<img src="https://{HOST}/sync/img?redir={ONCE}">', ["it has no mt_exid"]),
        (f'<img src="https://{HOST}/sync/img?mt_exid=1&exsync={ONCE}">', ["it has no redir"]),
        ('<script src="https://[::bad/sync/js?exsync=a"></script>', ["its src is no URL"]),
        ("", ["the text holds no script or image"]),
        ("<script>alert(1)</script>", ["the text holds no script or image"]),
        (script(ONCE) * 2, ["the text holds more than one"]),
    ],
)
def test_what_is_wrong_with_a_tag_is_told(text, faults):
    """Every fault, with its remedy; each of a kind that somebody has made."""
    found = check(text).faults
    assert len(found) == len(faults), found
    assert all(line.startswith(fault) and "; " in line for line, fault in zip(found, faults, strict=True))


@pytest.mark.parametrize(
    "here", ["localhost:8081", "pixel.LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:80"]
)
def test_on_this_machine_http_is_good(here):
    """Of both ends: browsers take it for as safe as https; but not for a name that only looks so."""
    tag = Tag(kind=Kind.JS, host=here, endpoint=f"http://{here}/sync?u=[MM_UUID]&dc=[MT_DC]")
    assert f'src="http://{here}/sync/js?exsync=http%3A%2F%2F' in render(tag)
    assert check(render(tag), here).faults == ()
    for there in (f"{here}.com", "notlocalhost", "127.0.0.1.example:80", "127.0.0.1@example.com"):
        other = replace(tag, host=there, endpoint=tag.endpoint.replace(here, there))
        assert f'src="https://{there}/' in render(other)
        (fault,) = check(render(other), there).faults
        assert fault.startswith("the endpoint is http, which an https page blocks")


def test_the_platforms_host_may_be_named():
    """As it has told the partner."""
    assert check(script(ONCE, host="p.example"), "p.example").faults == ()
    assert check(script(ONCE), "p.example").faults == (f"its host is {HOST}, not p.example; write that one",)


@given(st.text() | st.text("<>\"'/=srcimgpt%[]&?: \n"))
def test_any_text_is_a_tag_or_told(text):
    """Nothing that somebody pastes is an error of ours."""
    found = check(text)
    assert found.faults or found.tag


def test_the_commands_print_a_tag_and_judge_one(capsys):
    """What `sync tag` prints, `sync tag check` finds good; a bad one is exit 1, wrong usage is exit 2."""
    assert main(["sync", "tag", "--endpoint", ENDPOINT, "--hidden"]) == 0
    tag = capsys.readouterr().out.strip()
    assert main(["sync", "tag", "check", tag]) == 0
    assert capsys.readouterr().out == f"the tag is good: browsers come to {GOOD}\n"
    assert main(["sync", "tag", "check", tag.replace("https:", "http:")]) == 1
    assert capsys.readouterr().err == "its src is http, which an https page blocks; write https://\n"
    for wrong in (
        [],
        ["--endpoint", "http://a.com/sync"],
        ["--endpoint", "http://localhost.com/sync"],
        ["--endpoint", "https://[a/sync"],
        ["--endpoint", ENDPOINT + "#end"],
        ["--endpoint", ENDPOINT, "--kind", "image"],
        ["--endpoint", ENDPOINT, "--exid", "1"],
    ):
        assert main(["sync", "tag", *wrong]) == 2
        assert capsys.readouterr().err.startswith("s2s-bridge: ")
