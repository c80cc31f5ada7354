"""A configuration file cannot do more than be a configuration: no objects, no bombs, no new keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import ConfigurationError
from bridge.config.document import MOST_VALUES, read
from bridge.config.load import LARGEST, load

TENFOLD = "\n".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12))
MERGED = "\n".join(
    f"m{level}: &m{level} {{x{level}: {{<<: [*m{level - 1}, *m{level - 1}]}}, <<: *m{level - 1}, "
    f"y{level}: *m{level - 1}}}"
    for level in range(1, 30)
)


@pytest.mark.parametrize("bomb", ["a0: &a0 [x]\n" + TENFOLD, "m0: &m0 {k: v}\n" + MERGED])
def test_a_bomb_of_aliases_is_one_fault(bomb):
    """A hundred lines that stand for billions of values are left after some thousands, with one line."""
    (fault,) = read(bomb, {}).faults
    assert str(fault) == (
        f"configuration: stands for more than {MOST_VALUES:,} values; it has aliases of aliases: "
        "write out what is meant"
    )


def test_a_bomb_in_a_variable_is_a_text():
    """What cannot be a value of a variable is the text that it is."""
    levels = (f"&b{level} [{', '.join([f'*b{level - 1}'] * 10)}]" for level in range(1, 12))
    bomb = f"[&b0 [x], {', '.join(levels)}]"
    assert read("a: ${BOMB}", {"BOMB": bomb}).root == {"a": bomb}


@pytest.mark.parametrize("content", ["x" * (LARGEST + 1), None])
def test_a_file_without_end_is_not_read(tmp_path, content):
    """Something that is no configuration, such as a device, is left at once with one line."""
    path = tmp_path / "bridge.yaml"
    if content is None:
        path.symlink_to("/dev/zero")
    else:
        path.write_text(content)
    with pytest.raises(ConfigurationError) as refusal:
        load(path, {})
    (line,) = refusal.value.faults
    assert line == (
        f"configuration: {path} is larger than {LARGEST:,} bytes, which no configuration is; "
        "name the right file"
    )


@given(value=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60))
def test_a_variable_fills_its_place_and_no_other(value):
    """Within a text or quotes a variable is text, whatever it holds; no key beside it comes or changes."""
    text = 'a:\n  quoted: "${X}"\n  within: b${X}c\n  other: d\n'
    root = read(text, {"X": value}).root
    assert root == {"a": {"quoted": value, "within": f"b{value}c", "other": "d"}}


@given(value=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60))
def test_a_variable_that_is_a_whole_value_is_that_value_alone(value):
    """It may be a list or a mapping, written in one place; the keys around it stay, and none comes."""
    root = read("a:\n  whole: ${X}\n  other: d\n", {"X": value}).root
    assert set(root) == {"a"}
    assert set(root["a"]) == {"whole", "other"}
    assert root["a"]["other"] == "d"


@pytest.mark.parametrize(
    "value", ["x\nother: evil", "{}\nother: evil", "[x]\n--- {}", "!!python/name:os.system x"]
)
def test_lines_in_a_variable_are_no_lines_of_the_file(value):
    """A line break in a variable begins no key, no document, and no tag."""
    root = read("a:\n  whole: ${X}\n  other: d\n", {"X": value}).root
    assert root["a"] == {"whole": value, "other": "d"}
