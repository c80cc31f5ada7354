"""No name, wherever it comes from, leaves the folder that it is for."""

import posixpath
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bridge.audience.names import file_name, parse
from bridge.config.kinds import HeaderValue, NamePart, StreamName, Suffix
from bridge.errors import UsageError
from bridge.replay.request import checked_name

NOW = 1_790_000_000_000
EVIL = [
    "..",
    ".",
    "/",
    "../x",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a\nb",
    "~",
    "-rf",
    "C:",
    "%2e%2e",
    "a b",
]
BITS = [*EVIL, "Acme", "a-1", "_", "é", "\uff0e\uff0e", "..%c0%af", "\u2028", "x" * 300]
NAMES = (
    st.lists(st.sampled_from([*BITS, *"aZ9-_./\\"]), min_size=1, max_size=4).map("".join)
    | st.text(max_size=12)
    | st.from_regex(r"[a-z0-9-]{1,70}", fullmatch=True)
)
LONGEST = 255
"""Bytes of a name on every file system that counts."""


def taken(kind, text):
    """Whether the configuration takes the text for this kind of value."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


def plain(name):
    """The name of something in a folder, and of nothing else."""
    return (
        Path(name).name == name
        and name not in {"", ".", ".."}
        and not re.search(r"[/\\\x00-\x1f\x7f]", name)
        and len(name.encode()) <= LONGEST
    )


@given(agency=NAMES, partner=NAMES, client=NAMES, suffix=NAMES)
@example(agency="x" * 64, partner="x" * 64, client="x" * 64, suffix="." + "x" * 31)
def test_the_name_of_an_audience_file(agency, partner, client, suffix):
    """Of whatever parts and suffix the configuration takes, both names are plain, and read back."""
    parts = [part for part in (agency, partner, client) if taken(NamePart, part)]
    parts = [*parts, "A", "B", "C"][:3]
    name = file_name(*parts, NOW)
    assert plain(name)
    assert (parse(name).agency, parse(name).partner, parse(name).client) == tuple(parts)
    ending = suffix if taken(Suffix, suffix) else ".part"
    assert plain(name + ending)
    for directory in (".", "in", "/home/agency", "a/../b"):
        assert posixpath.dirname(posixpath.normpath(posixpath.join(directory, name + ending))) == (
            posixpath.normpath(directory) if directory != "." else ""
        )


@pytest.mark.parametrize("suffix", ["/part", "..", "/../x", "a/b", "\n", "", "x" * 33])
def test_a_suffix_that_is_none(suffix):
    """A suffix with a slash, or too long for a file's name, is no suffix; one of dots changes no folder."""
    assert not taken(Suffix, suffix) or plain("a" + suffix)


@given(name=NAMES)
def test_the_name_of_a_replay(name):
    """What `--name` takes is the name of one folder in the spool, and not a hidden one."""
    try:
        checked = checked_name(name)
    except UsageError:
        return
    assert plain(checked)
    assert plain(f"dry_run-{checked}-0123456789")
    assert not checked.startswith(".")


@given(name=NAMES)
def test_names_that_become_locks_and_labels(name):
    """An account's name is that of a lock, a stream's and a namespace's stand in labels: all plain."""
    if taken(NamePart, name):
        assert plain(f"deliver-{name}.lock")
    for kind in (StreamName, HeaderValue):
        if taken(kind, name):
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)


@pytest.mark.parametrize("name", EVIL)
def test_evil_names_are_refused(name):
    """Each of the usual tricks, as any kind of name."""
    assert not taken(NamePart, name) or name == "-rf"  # what is a name, not an option, where it stands
    assert not taken(StreamName, name) or name == "-rf"
    with pytest.raises(UsageError):
        checked_name(name)
