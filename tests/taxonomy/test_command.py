"""`s2s-bridge taxonomy`, as its users run it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import main

SEEDS = Path(__file__).parent / "fixtures"
SAMPLE = SEEDS / "seed_sample.csv"


@pytest.fixture
def broken(tmp_path) -> Path:
    path = tmp_path / "broken.csv"
    path.write_text(SAMPLE.read_text().replace("245245", "245244"))
    return path


def test_check_good(capsys):
    """A good file: no output, exit 0."""
    assert main(["taxonomy", "check", str(SAMPLE)]) == 0
    assert capsys.readouterr() == ("", "")


def test_check_faults(broken, capsys):
    """A fault is `FILE:LINE:COLUMN: reason; remedy` on stdout, and exit 1."""
    assert main(["taxonomy", "check", str(broken)]) == 1
    told = f"{broken}:7:2: code: '245244' stands in line 6 too; give each its own code\n"
    assert capsys.readouterr() == (told, "")


def test_check_counts_further_faults(tmp_path, capsys):
    """Twenty faults are printed, the others counted."""
    path = tmp_path / "many.csv"
    path.write_text(SAMPLE.read_text() + "x,,,,,0\n" * 30)
    assert main(["taxonomy", "check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (21, f"{path}: 10 more faults")


def test_check_json(broken, capsys):
    """`--json` is one object with every fault as a record, and the exit code is the same."""
    assert main(["taxonomy", "check", "--json", str(broken)]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "file": str(broken),
        "good": False,
        "nodes": None,
        "segments": None,
        "faults": [
            {
                "file": str(broken),
                "line": 7,
                "column": 2,
                "field": "code",
                "what": "'245244' stands in line 6 too",
                "remedy": "give each its own code",
                "severity": "fault",
            }
        ],
        "further_faults": 0,
    }
    assert main(["taxonomy", "check", "--json", str(SAMPLE)]) == 0
    assert json.loads(capsys.readouterr().out)["segments"] == 8


def test_warnings_alone_are_no_failure(tmp_path, capsys):
    """A parent without a row is told, and exit 0; convert gives it its row."""
    path, mended = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(SAMPLE.read_text().replace("|BlueKai|Group 2,,,,,0\n", ""))
    assert main(["taxonomy", "check", str(path)]) == 0
    assert ":9:1: warning: full_path: its parent '|BlueKai|Group 2' has no row" in capsys.readouterr().out
    assert main(["taxonomy", "convert", str(path), str(mended)]) == 0
    assert "\n|BlueKai|Group 2,,,,,0\n|BlueKai|Group 2|Segment 6," in mended.read_text()
    assert capsys.readouterr() == ("", "")


def test_convert_mends(tmp_path, capsys):
    """Semicolons, Cyrillic letters and a byte order mark are gone once a file is written over itself."""
    path = tmp_path / "a.csv"
    text = "full_path;code;uniques;wholesale_cpm;retail_cpm;buyable\n|Мода;;;;;0\n|Мода|X;1;5;1;1;1\n"
    path.write_text(text, encoding="utf-8-sig")
    assert main(["taxonomy", "check", str(path)]) == 1
    assert main(["taxonomy", "convert", "--force", str(path), str(path)]) == 0
    capsys.readouterr()
    assert main(["taxonomy", "check", str(path)]) == 0
    assert capsys.readouterr() == ("", "")
    assert path.read_text().splitlines()[1] == "|&#1052;&#1086;&#1076;&#1072;,,,,,0"
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_convert_makes_the_seeds_example(tmp_path, capsys):
    """A YAML file becomes the request of the seed's example; a CSV of it says what it has no place for."""
    made, table = tmp_path / "made.json", tmp_path / "made.csv"
    assert main(["taxonomy", "convert", str(SEEDS / "seed_example.yaml"), str(made)]) == 0
    assert json.loads(made.read_text()) == json.loads((SEEDS / "seed_example.json").read_text())
    assert capsys.readouterr() == ("", "")
    assert main(["taxonomy", "convert", str(made), str(table)]) == 1
    told = capsys.readouterr()
    assert told.err == f"{table}: a CSV has no place for permissions, vendor_id\n"
    assert f"{table}:3:4: wholesale_cpm: is missing of a segment that can be bought" in told.out


def test_convert_refuses(broken, tmp_path, capsys):
    """Nothing is written of a broken file, over a file that is there, or to a form that is none."""
    there = tmp_path / "there.json"
    assert main(["taxonomy", "convert", str(broken), str(there)]) == 1
    assert not there.exists()
    there.write_text("mine")
    assert main(["taxonomy", "convert", str(SAMPLE), str(there)]) == 2
    assert there.read_text() == "mine"
    assert main(["taxonomy", "convert", str(SAMPLE), str(tmp_path / "a.txt")]) == 2
    assert main(["taxonomy", "convert", str(SAMPLE), str(tmp_path / "no" / "a.csv")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith("there.json is there already; name another file, or write over it with --force")
    assert "does not end with .csv, .yaml or .json" in told[1]
    assert "cannot write" in told[2]


def test_show(capsys):
    """The tree, a node a line, with codes, users and prices in columns."""
    assert main(["taxonomy", "show", str(SAMPLE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "name                code        users  wholesale  retail",
        "BlueKai",
        "├── Group 1",
        "│   ├── Segment 1",
        "│   ├── Segment 2",
        "│   ├── Segment 3   245244    661,664       0.85    1.00",
    ]
    assert lines[-1] == "8 segments to be bought, 5 categories"


def test_show_to_a_terminal_that_has_few_letters(tmp_path):
    """What it has no place for is written by its number; nothing ends with that."""
    path = tmp_path / "acme.csv"
    path.write_text(SAMPLE.read_text().replace("BlueKai", "&#1052;"))
    command = [sys.executable, "-m", "bridge", "taxonomy", "show", str(path)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == r"\u041c"


def test_show_an_answer(tmp_path, capsys):
    """Ids stand in a column of their own, what the platform said of the whole below; names are texts."""
    path = tmp_path / "answer.json"
    path.write_text((SEEDS / "seed_answer.json").read_text().replace("Acme Segment 1", "[red]&#1052;"))
    assert main(["taxonomy", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2].split() == [
        "├──",
        "[red]\u041c",
        "1234567",
        "25,000",
        "0.00",
        "0.00",
        "1678334",
    ]
    assert "taxonomy_id: 100123\naudience_vendor_id: 2468\nrevenue_share_pct: 0.0\n" in out


def test_show_a_broken_file(broken, capsys):
    """What cannot be drawn is told as `check` tells it."""
    assert main(["taxonomy", "show", str(broken)]) == 1
    assert capsys.readouterr().out.startswith(f"{broken}:7:2: code: ")


@pytest.mark.parametrize("name", ["gone.csv", "gone.txt", "."])
def test_no_file(tmp_path, name, capsys):
    """A file that cannot be read is wrong usage: one line."""
    assert main(["taxonomy", "check", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("name a taxonomy file")
