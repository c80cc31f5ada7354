"""`s2s-bridge file check` and `file show`."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.audience import file_summary
from bridge.cli.file import app

NAME = "Agency_Partner_202611010000.log.gz"
HEADER = f"""\
Version: 3
FileIdentifier: {NAME}
DateCreated: 1793491200
UserNamespace: mm
SegmentNamespace: ep
Mobile: 0
HashSegments: 0

"""
USERS = [f"{number:08x}-9a67-4600-f044-a5d7e0c5f6d7" for number in range(30)]
ROWS = [f"{user} 1:0 2:-1 3:1793491200\n" for user in USERS[:-1]] + [f"{USERS[-1]} -1 9999999:0\n"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / NAME, HEADER + "".join(ROWS))


def written(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_good(file: Path):
    """A file without a fault: no output, exit 0."""
    result = run("check", file)
    assert (result.exit_code, result.output) == (0, "")


def test_check_faults(file: Path, tmp_path: Path):
    """Each fault is `FILE:LINE: reason`; exit 1 though another file is good."""
    other = written(tmp_path / "other.log.gz", HEADER.replace(NAME, "other.log.gz") + f"{USERS[0]} 1:0 x:0\n")
    result = run("check", file, other)
    assert result.exit_code == 1
    assert result.output == f"{other}:9: statement 2: the segment is not a number from 1 to 2147483647\n"


def test_check_counts_further_faults(tmp_path: Path):
    """Twenty faults of a file are printed, the others counted."""
    path = written(tmp_path / NAME, HEADER + "".join(f"{user} 0:0\n" for user in USERS))
    lines = run("check", path).output.splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{path}: 10 more faults"


@pytest.mark.parametrize("command", ["check", "show"])
def test_no_file(tmp_path: Path, command: str):
    """A file that cannot be read is wrong usage, which names it."""
    result = run(command, tmp_path / "gone")
    assert "gone: No such file" in str(result.exception)


def test_show(file: Path):
    """Header, counts, the first rows, and how many more there are."""
    output = run("show", file).output
    assert output.startswith(HEADER)
    assert "30 users on 30 lines\n59 adds, 29 removals, 1 remove-alls\n" in output
    assert (
        f"{file.stat().st_size:,} bytes of gzip, {len(HEADER) + sum(map(len, ROWS)):,} bytes of text"
        in output
    )
    assert output.endswith("".join(ROWS[:10]) + "… and 20 more lines\n")


def test_show_user(file: Path):
    """Only the rows of the user that is asked for, in any case of letters."""
    assert run("show", file, "--user", USERS[-1].upper()).output == ROWS[-1]
    assert "no rows of this user" in run("show", file, "--user", "nobody").output


def test_show_json(file: Path):
    """One JSON object with the same numbers."""
    shown = json.loads(run("show", file, "--json", "--user", USERS[-1]).output)
    assert shown.pop("ratio") > 1
    assert shown.pop("text_bytes") == len(HEADER) + sum(map(len, ROWS))
    assert shown == {
        "file": str(file),
        "header": dict(line.split(": ") for line in HEADER.strip().splitlines()),
        "users": 30,
        "lines": 30,
        "adds": 59,
        "removals": 29,
        "remove_alls": 1,
        "bytes": file.stat().st_size,
        "rows": [
            {
                "user": USERS[-1],
                "remove_all": True,
                "segments": [{"segment": "9999999", "timestamp": 0}],
            }
        ],
        "further_rows": 0,
    }


def test_show_does_not_keep_a_user_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a user with more statements than any has, some rows are shown and the others counted."""
    monkeypatch.setattr(file_summary, "MOST_STATEMENTS", 20)
    path = written(tmp_path / NAME, HEADER + f"{USERS[0]} {'1:0 ' * 10}\n" * 5)
    assert run("show", path, "--user", USERS[0]).output.splitlines()[2:] == [
        "… and 3 more lines of this user"
    ]
    shown = json.loads(run("show", path, "--user", USERS[0], "--json").output)
    assert (len(shown["rows"]), shown["further_rows"]) == (2, 3)


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_number_of_thousands_of_digits(tmp_path: Path, command: str):
    """What Python does not read as a number is a fault of its line, and no failure."""
    path = written(
        tmp_path / NAME, HEADER.replace("1793491200", "9" * 5_000) + f"{USERS[0]} 1:{'9' * 5_000}\n"
    )
    result = run(command, path)
    assert result.exit_code == (command == "check")
    wanted = (
        f"{path}:3: DateCreated is a Unix timestamp in seconds" if command == "check" else "DateCreated: 0"
    )
    assert wanted in result.output.splitlines()


def test_show_damaged(tmp_path: Path):
    """A file that is no gzip is told so."""
    path = tmp_path / NAME
    path.write_bytes(b"plain text")
    result = run("show", path)
    assert result.exit_code == 1
    assert "not gzip" in str(result.exception)
