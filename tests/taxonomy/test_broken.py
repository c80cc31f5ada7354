"""Broken variants of good files: each is one fault, at its line and column."""

import re
from pathlib import Path

import pytest

from bridge.taxonomy import Form, Rules, Severity, read_bytes

SAMPLE = (Path(__file__).parent / "fixtures" / "seed_sample.csv").read_bytes()
FAULT, MENDED, WARNING = Severity

SEGMENT_3 = b'|BlueKai|Group 1|Segment 3,245244,"661,664",0.85,1,1\n'
SEGMENT_4 = b'|BlueKai|Group 1|Segment 4,245245,"3,585,118",0.85,1,1\n'
GROUP_2 = b"|BlueKai|Group 2,,,,,0\n"
CYRILLIC = "Группа".encode()


def separated(delimiter: bytes) -> bytes:
    """The sample with another delimiter; commas within quotes stay."""
    return re.sub(rb',(?=(?:[^"\n]*"[^"\n]*")*[^"\n]*$)', delimiter, SAMPLE, flags=re.MULTILINE)


VARIANTS = [
    # what is replaced, by what; line, column, severity, words of the reason
    ("no leading pipe", SEGMENT_3, SEGMENT_3[1:], 6, 1, FAULT, "does not start with a pipe"),
    ("an empty name", b"|Group 1|Segment 3", b"|Group 1||Segment 3", 6, 1, FAULT, "a name is empty"),
    ("a pipe at the end", b"|Segment 3,", b"|Segment 3|,", 6, 1, FAULT, "a name is empty"),
    ("a space at a name's end", b"|Segment 3,", b"|Segment 3 ,", 6, 1, FAULT, "begins or ends with a space"),
    ("a name too long", b"|Segment 3,", b"|" + b"x" * 256 + b",", 6, 1, FAULT, "a name has 256 characters"),
    (
        "a name too long as entities",
        b"|Segment 3,",
        b"|" + b"&#1043;" * 37 + b",",
        6,
        1,
        FAULT,
        "a name has 259 characters, its entities counted",
    ),
    ("a bell in a name", b"|Segment 3,", b"|Segment\x073,", 6, 1, FAULT, "cannot be seen"),
    ("a turned name", b"|Segment 3,", b"|Seg&#8238;ment,", 6, 1, FAULT, "cannot be seen"),
    ("no path", b"|BlueKai|Group 1|Segment 2,,,,,0", b",,,,,0", 5, 1, FAULT, "full_path: is empty"),
    ("a second root", b"|BlueKai|Group 1|Segment 2", b"|Other|Segment 2", 5, 1, FAULT, "a second root"),
    ("a path twice", b"Segment 4,", b"Segment 3,", 7, 1, FAULT, "stands in line 6 too"),
    ("33 levels", b"|Segment 3,", b"|x" * 31 + b",", 6, 1, FAULT, "more than 32 levels"),
    ("a code twice", b"245245", b"245244", 7, 2, FAULT, "code: '245244' stands in line 6 too"),
    ("no code", b"245245", b"", 7, 2, FAULT, "code: is missing"),
    ("a code beyond 32 bits", b"245245", b"2147483648", 7, 2, FAULT, "not a number from 1 to 2147483647"),
    ("code 0", b"245245", b"0", 7, 2, FAULT, "not a number from 1 to 2147483647"),
    ("a code that is a text", b"245245", b"shoes", 7, 2, FAULT, "--hashed"),
    ("a code of Arabic digits", b"245245", "٢٤".encode(), 7, 2, FAULT, "not a number"),
    ("a code with a zero before", b"245245", b"0245245", 7, 2, FAULT, "begins with a zero"),
    ("no uniques", b'"3,585,118"', b"", 7, 3, FAULT, "uniques: is missing"),
    ("uniques not whole", b'"3,585,118"', b"3585118.5", 7, 3, FAULT, "uniques: '3585118.5'"),
    ("thousands at wrong places", b'"3,585,118"', b'"35,85,118"', 7, 3, FAULT, "661,664"),
    ("thousands without quotes", b'"661,664"', b"661,664", 6, 6, FAULT, "quotes around what has commas"),
    (
        "a price in thirds of cents",
        b"0.85,1,1\n" + SEGMENT_4,
        b"0.853,1,1\n" + SEGMENT_4,
        6,
        4,
        FAULT,
        "two decimals",
    ),
    ("a decimal comma", b"0.85,1,1\n" + SEGMENT_4, b'"0,85",1,1\n' + SEGMENT_4, 6, 4, FAULT, "is no price"),
    ("a price in words", b"0.85,1,1\n" + SEGMENT_4, b"$0.85,1,1\n" + SEGMENT_4, 6, 4, FAULT, "is no price"),
    (
        "a price below nothing",
        b"0.85,1,1\n" + SEGMENT_4,
        b"-0.85,1,1\n" + SEGMENT_4,
        6,
        4,
        FAULT,
        "is no price",
    ),
    (
        "no wholesale price",
        b"0.85,1,1\n" + SEGMENT_4,
        b",1,1\n" + SEGMENT_4,
        6,
        4,
        FAULT,
        "wholesale_cpm: is missing",
    ),
    (
        "no retail price",
        b"0.85,1,1\n" + SEGMENT_4,
        b"0.85,,1\n" + SEGMENT_4,
        6,
        5,
        FAULT,
        "retail_cpm: is missing",
    ),
    (
        "sold at a loss",
        b"0.85,1,1\n" + SEGMENT_4,
        b"0.85,0.84,1\n" + SEGMENT_4,
        6,
        5,
        FAULT,
        "--below-wholesale",
    ),
    ("buyable 2", b"0.85,1,1\n" + SEGMENT_4, b"0.85,1,2\n" + SEGMENT_4, 6, 6, FAULT, "neither 1 nor 0"),
    ("buyable yes", b"0.85,1,1\n" + SEGMENT_4, b"0.85,1,true\n" + SEGMENT_4, 6, 6, FAULT, "neither 1 nor 0"),
    ("buyable empty", b"Group 2,,,,,0", b"Group 2,,,,,", 9, 6, FAULT, "buyable: is empty"),
    ("the root bought", b"|BlueKai,,,,,0", b"|BlueKai,,,,,1", 2, 6, FAULT, "the root cannot be bought"),
    ("a code of the root", b"|BlueKai,,,,,0", b"|BlueKai,7,,,,0", 2, 2, FAULT, "stands at the root"),
    ("a field too few", b"Segment 2,,,,,0", b"Segment 2,,,,0", 5, 5, FAULT, "has 5 fields, the header 6"),
    ("a quote not closed", b'"661,664"', b'"661,664', 6, 1, FAULT, "a quote is not closed"),
    ("text behind a quote", b'"661,664"', b'"661"664"', 6, 1, FAULT, "behind a closing quote"),
    (
        "a line end in quotes",
        SEGMENT_3,
        SEGMENT_3.replace(b"|B", b'"|B').replace(b" 3,", b'\n3",'),
        6,
        1,
        FAULT,
        None,
    ),
    ("Latin-1", b"|Segment 3,", b"|S\xe9gment,", 6, 1, FAULT, "is not UTF-8"),
    ("UTF-16", SAMPLE, SAMPLE.decode().encode("utf-16"), 1, 1, FAULT, "is UTF-16"),
    ("nothing", SAMPLE, b"", 1, 1, FAULT, "is empty"),
    ("blank lines", SAMPLE, b"\r\n\n", 1, 1, FAULT, "is empty"),
    ("a header alone", SAMPLE, SAMPLE.partition(b"\n")[0], 1, 1, FAULT, "holds no rows"),
    ("no header", SAMPLE.partition(b"\n")[0] + b"\n", b"", 1, 1, FAULT, "the header is missing"),
    ("a column missing", b",retail_cpm", b"", 1, 1, FAULT, "has no column retail_cpm"),
    ("a column twice", b"buyable\n", b"buyable,code\n", 1, 7, FAULT, None),
    ("a column misspelt", b"retail_cpm", b"retail_cpn", 1, 1, FAULT, None),
    ("a column in capitals", b"full_path", b"Full Path", 1, 1, MENDED, "write full_path"),
    ("semicolons", SAMPLE, separated(b";"), 1, 1, MENDED, "separated by semicolons"),
    ("tabs", SAMPLE, separated(b"\t"), 1, 1, MENDED, "separated by tabs"),
    ("Cyrillic letters", b"|Segment 3,", b"|" + CYRILLIC + b",", 6, 1, MENDED, "write HTML entities"),
    ("a byte order mark", b"full_path", b"\xef\xbb\xbffull_path", 1, 1, WARNING, "byte order mark"),
    ("no row of a parent", GROUP_2, b"", 9, 1, WARNING, "its parent '|BlueKai|Group 2' has no row"),
    (
        "a parent behind its child",
        SAMPLE,
        SAMPLE.replace(GROUP_2, b"") + GROUP_2,
        14,
        1,
        WARNING,
        "its child in line 9",
    ),
]


RULES = Rules()


def faults(content: bytes, form: Form, rules: Rules = RULES) -> list:
    return list(read_bytes(content, "file", form, rules).faults)


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "severity", "words"),
    [variant[1:] for variant in VARIANTS],
    ids=[variant[0] for variant in VARIANTS],
)
def test_a_broken_csv(old, new, line, column, severity, words):  # noqa: PLR0917  # a variant has as many
    """Each variant of the seed's sample is one fault at its line and column, in plain words."""
    broken = SAMPLE.replace(old, new)
    assert broken != SAMPLE
    found = faults(broken, Form.CSV)
    first = found[0]
    assert (first.line, first.column, first.severity) == (line, column, severity)
    if words is not None:
        assert len(found) == 1
        assert words in str(first)
        assert str(first).startswith(f"file:{line}:{column}: ")
        assert first.remedy


@pytest.mark.parametrize(
    "content",
    [
        SAMPLE.replace(b"\n", b"\r\n"),
        SAMPLE.rstrip(b"\n"),
        SAMPLE.replace(b"\n", b"\n\n"),
        SAMPLE.replace(b"|BlueKai|Group 2,", b'"|BlueKai|Group 2",'),
        SAMPLE.replace(b"Segment 3", b"S&#233;gment"),
        SAMPLE.replace(b"Segment 3", "Ségment \u2013 3".encode()),
        SAMPLE.replace(b"|Group 1,,,,,0", b"|Group 1,,5,,,0"),
    ],
    ids=["CRLF", "no end", "blank lines", "quotes", "entities", "Latin letters", "users of a category"],
)
def test_good_as_well(content):
    """What spreadsheets make of a file, and Latin letters with marks, are no faults."""
    assert faults(content, Form.CSV) == []


def test_sold_at_a_loss_where_it_is_meant():
    """A retail price below the wholesale one is a fault, unless the caller says that it is meant."""
    content = SAMPLE.replace(b"0.85,1,1", b"0.85,0.80,1")
    assert len(faults(content, Form.CSV)) == 8
    assert faults(content, Form.CSV, Rules(below_wholesale=True)) == []


def test_one_broken_row_hides_no_other():
    """Every broken row is reported, in the order of the lines; good rows beside them are none."""
    content = SAMPLE.replace(b"245244", b"x").replace(b"Group 2|Segment 9", b"Group 2|")
    assert [fault.line for fault in faults(content, Form.CSV)] == [6, 13]


GOOD_JSON = """\
{
  "permissions": {"organizations": [1], "agencies": [], "advertisers": []},
  "vendor_id": 1234,
  "taxonomy": {
    "name": "Acme",
    "children": [
      {"name": "One", "code": "1", "uniques": 10, "retail_cpm": 0.5, "buyable": true, "children": []},
      {"name": "Two", "code": "2", "uniques": 10, "retail_cpm": 0.5, "buyable": true}
    ]
  }
}
"""
JSON_VARIANTS = [
    (
        "uniques in quotes",
        '"uniques": 10, "retail_cpm": 0.5, "buyable": true}',
        '"uniques": "10", "retail_cpm": 0.5, "buyable": true}',
        8,
        47,
        "a number",
    ),
    ("an exponent", '0.5, "buyable": true}', '5e-1, "buyable": true}', 8, 65, "is no price"),
    ("buyable 1", "true}", "1}", 8, 81, "must be true or false"),
    ("no buyable", ', "buyable": true}', "}", 8, 7, "buyable: is missing"),
    ("no name", '"name": "Two", ', "", 8, 7, "name: is missing"),
    ("a name that is a number", '"Two"', "2", 8, 16, "must be a text"),
    ("a name twice", '"Two"', '"One"', 8, 16, "'|Acme|One' stands in line 7 too"),
    ("a code twice", '"2"', '"1"', 8, 31, "stands in line 7 too"),
    ("a key misspelt", '"code": "2"', '"cod": "2"', 8, 23, "did you mean code?"),
    ("a key twice", '"vendor_id"', '"permissions"', 3, 3, "stands in line 2 too"),
    ("a name of Cyrillic letters", '"Two"', '"Группа"', 8, 16, "write HTML entities"),
    ("half a character", '"Two"', '"\\ud800"', 8, 16, "cannot be seen"),
    ("an id that is none", "[1]", "[-1]", 2, 37, "no such number"),
    (
        "permissions that are a list",
        '{"organizations": [1], "agencies": [], "advertisers": []}',
        "[]",
        2,
        18,
        "must be a mapping",
    ),
    ("a list for a number", "1234", "[1]", 3, 16, "must be a single value"),
    ("a comma too many", "true}\n", "true},\n", 9, 5, "no valid JSON"),
    ("a comma missing", "1234,", "1234", 4, 3, "no valid JSON: a comma or }"),
    ("a quote missing", '"Two"', '"Two', 8, 23, "no valid JSON"),
    ("cut short", "  }\n}\n", "", 10, 1, "no valid JSON"),
    ("more behind it", "  }\n}\n", "  }\n}\n{}", 12, 1, "goes on behind its end"),
    ("no taxonomy", '"taxonomy"', '"tax"', 1, 1, "holds no taxonomy"),
    ("a text", GOOD_JSON, '"taxonomy"', 1, 1, "holds no taxonomy"),
    ("NaN", "1234", "NaN", 3, 16, "no valid JSON"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "words"),
    [variant[1:] for variant in JSON_VARIANTS],
    ids=[variant[0] for variant in JSON_VARIANTS],
)
def test_a_broken_json(old, new, line, column, words):
    """Each variant of a good request is reported at the line and character of what is wrong."""
    assert faults(GOOD_JSON.encode(), Form.JSON) == []
    assert GOOD_JSON.count(old) == 1
    found = faults(GOOD_JSON.replace(old, new).encode(), Form.JSON)
    assert [(line, column)] == [(fault.line, fault.column) for fault in found if words in str(fault)]


GOOD_YAML = """\
vendor_id: 1234
taxonomy:
  name: Acme
  children:
    - name: Группа
      children:
        - {name: One, code: 1, uniques: "10,000", retail_cpm: 0.50}
        - name: Two
          code: "2"
          uniques: 10
          retail_cpm: 1
          buyable: true
"""
YAML_VARIANTS = [
    ("a key misspelt", "vendor_id", "vendorid", 1, 1, "did you mean vendor_id?"),
    ("a code twice", '"2"', "1", 9, 17, "stands in line 7 too"),
    ("a price", "retail_cpm: 1\n", "retail_cpm: 1.001\n", 11, 23, "more than two decimals"),
    ("buyable yes", "true", "yes", 12, 20, "neither true nor false"),
    ("bought without a code", 'code: "2"', "id: 7", 8, 17, "code: is missing"),
    ("an alias", "1234", "&a 1234\nuse_hash: *a", 2, 11, "is an alias"),
    ("a tag", "1234", "!!python/object:os.system 1", 1, 12, "has a tag"),
    ("a tab", "  name: Acme", "\tname: Acme", 3, 1, "no valid YAML"),
    ("a second document", GOOD_YAML, GOOD_YAML + "---\na: b\n", 13, 1, "a second document"),
    ("nothing", GOOD_YAML, "# a comment\n", 1, 1, "is empty"),
    ("a list", GOOD_YAML, "- a\n", 1, 1, "holds no taxonomy"),
    ("children that are a text", GOOD_YAML, "taxonomy:\n  name: A\n  children: x\n", 3, 13, "must be a list"),
    ("a name that is null", "name: Two", "name: null", 8, 11, "name: is missing"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "words"),
    [variant[1:] for variant in YAML_VARIANTS],
    ids=[variant[0] for variant in YAML_VARIANTS],
)
def test_a_broken_yaml(old, new, line, column, words):
    """Each variant of a good YAML file is reported at the line and character of what is wrong."""
    assert faults(GOOD_YAML.encode(), Form.YAML) == []
    assert GOOD_YAML.count(old) == 1
    found = faults(GOOD_YAML.replace(old, new).encode(), Form.YAML)
    assert [(line, column)] == [(fault.line, fault.column) for fault in found if words in str(fault)]


def test_blank_lines_count_in_json():
    """Several line ends between two values are as many lines."""
    (fault,) = faults(
        GOOD_JSON.replace('"vendor_id": 1234', '"vendor_id":\r\n\r\n\n  -1').encode(), Form.JSON
    )
    assert (fault.line, fault.column, fault.field) == (6, 3, "vendor_id")
