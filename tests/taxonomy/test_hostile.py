"""Nothing that a file holds brings more than records of faults."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.taxonomy import Faults, Form, Rules, read, read_bytes, rules, table
from bridge.taxonomy.fault import MOST_KEPT, Unreadable

RULES = Rules()
HEADER = b"full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\n"
PIECES = [
    HEADER,
    *[
        b"|",
        b",",
        b"\n",
        b"\r",
        b'"',
        b"\\",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"1",
        b"0.5",
        b"|A|B,1,1,1,1,1\n",
        b";",
    ],
    *[
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b": ",
        b"- ",
        b"  ",
        b"\t",
        b"&a ",
        b"*a",
        b"!!int ",
        b"<<",
        b"---\n",
        b"#",
    ],
    *[b'"taxonomy":', b'"name":', b'"children":', b'"\\ud800"', b"taxonomy:\n  name: ", b"null", b"1e999"],
    *[b"|", b">", b"%YAML 9\n", b"? ", b"'", b"\xef\xbb\xbf", b"\xfe\xff", "Ж".encode(), b"&#1052;", b"&#0;"],
]


@example(content=b'full_path\tcode\n"a"b\tc\n')
@given(content=st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=30).map(b"".join))
@pytest.mark.parametrize("form", list(Form))
def test_any_bytes_are_read_or_told(content, form):
    """Any bytes at all: a taxonomy, or faults with a line, a column and a remedy, each in one line."""
    reading = read_bytes(content, "file", form, RULES)
    assert reading.taxonomy is not None or not reading.good
    for fault in reading.faults:
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.remedy
        assert str(fault).isprintable()


BOMB = "\n".join(
    ["a0: &a0 [x]"]
    + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
)
DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "form", "words"),
    [
        (BOMB, Form.YAML, "is an alias"),
        ("taxonomy: &a {name: A, children: [*a]}", Form.YAML, "is an alias"),
        ("[" * DEEP, Form.JSON, "nested too deeply"),
        ('{"a":' * DEEP, Form.JSON, "nested too deeply"),
        ("[" * DEEP, Form.YAML, "nested too deeply"),
        ("- " * DEEP, Form.YAML, "nested too deeply"),
        ("? " * DEEP, Form.YAML, "nested too deeply"),
        ('"' + "\\" * DEEP, Form.JSON, "no valid JSON"),
        ("1" * 1_000_000, Form.JSON, "holds no taxonomy"),
        ('{"taxonomy": {"name": "A", "id": ' + "1" * 100_000 + "}}", Form.JSON, "is no such number"),
        ("x" * 65_537, Form.CSV, "more than 65,536 bytes"),
    ],
)
def test_bombs(content, form, words):
    """Aliases, depth and length are each left with one line, at once, which quotes little of them."""
    told = [str(fault) for fault in read_bytes(content.encode(), "file", form, RULES).faults]
    assert any(words in line for line in told)
    assert all(len(line) < 200 for line in told)


@pytest.mark.parametrize("form", [Form.YAML, Form.JSON])
def test_values_without_end(form, monkeypatch):
    """Of more values than a taxonomy has, the rest is not read: it need not even be closed."""
    monkeypatch.setattr("bridge.taxonomy.value.MOST_VALUES", 1_000)
    (fault,) = read_bytes(b"[" + b"0," * 1_001, "file", form, RULES).faults
    assert fault.what == "holds more than 1,000 values"


def test_a_table_without_end_is_left(monkeypatch):
    """A CSV is read a line at a time, up to the bound of nodes: of what is behind it, nothing is read."""
    monkeypatch.setattr("bridge.taxonomy.tree.MOST_NODES", 1_000)
    taken = itertools.count()
    rows = (b"|A|%d,%d,1,1,1,1\n" % (row, row + 1) for row in taken)
    with pytest.raises(Unreadable) as end:
        table.read(itertools.chain([HEADER], rows), Faults("file"), RULES)
    assert "more than 1,000 nodes" in str(end.value)
    assert next(taken) == 1_000


def test_a_file_without_end_is_left(tmp_path):
    """A device under the name of a file is left after its first piece."""
    for suffix in (".csv", ".json", ".yaml"):
        path = tmp_path / f"zero{suffix}"
        path.symlink_to("/dev/zero")
        assert "is it a taxonomy?" in str(read(path, RULES).faults[0])


def test_faults_are_kept_in_bounds():
    """Of ten thousand faults the first thousand are kept, and the others counted."""
    reading = read_bytes(HEADER + b"x,,,,,0\n" * 10_000, "file", Form.CSV, RULES)
    assert (len(reading.faults), reading.further) == (MOST_KEPT, 10_000 - MOST_KEPT)


@pytest.mark.parametrize("line", [b"\n", b"x,,,,,0\n"])
def test_lines_without_end_are_left(line, monkeypatch):
    """Lines that are blank or wrong make no nodes, and are counted too: nobody reads 100 MB of them."""
    monkeypatch.setattr(table, "MOST_LINES", 1_000)
    taken = itertools.count(2)
    lines = (line for _ in taken)
    with pytest.raises(Unreadable) as end:
        table.read(itertools.chain([HEADER], lines), Faults("file"), RULES)
    assert "more than 1,000 lines" in str(end.value)
    assert next(taken) == 1_002


def test_as_many_nodes_as_are_allowed():
    """The largest taxonomy goes through every form."""
    count = 20_000
    lines = [b"|A|%d|%d,%d,1,1,1,1\n" % (row % 100, row, row + 1) for row in range(count)]
    assert count < rules.MOST_NODES
    reading = read_bytes(HEADER + b"".join(lines), "file", Form.CSV, RULES)
    assert reading.taxonomy.segments == count
