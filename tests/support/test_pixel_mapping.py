"""`s2s-bridge pixel-mapping`: the command, its files and what a crash leaves."""

import fcntl
import json
import re
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.support.memory import appended
from bridge.support.request import Ask
from tests.parts.waiting import until

EML, MEMORY = Path("pixel-mapping.eml"), Path("support-requests.jsonl")
ROOT = Path(__file__).parents[2]
FROM = ("--from", "data@example.com")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["pixel-mapping", *arguments, *FROM])


def asked(path: Path = EML) -> list[str]:
    """The mappings' lines of a message."""
    message = message_from_bytes(path.read_bytes(), policy=default)
    first, *lines = message.get_content().splitlines()
    assert first == "Please map the following"
    return lines


def remembered() -> list[tuple[str, str]]:
    return [(line["about"], line["what"]) for line in map(json.loads, MEMORY.read_text().splitlines())]


def test_arguments_and_files(capsys):
    """Mappings of both forms, from arguments and files, stand in one message in the order given."""
    Path("more.csv").write_text("# from the agency\r\nep:8474,mm:679002\r\n\r\nep:8675=679003\r\n")
    assert run("ep:8473=679001", "more.csv") == 0
    assert asked() == ["ep:8473,mm:679001", "ep:8474,mm:679002", "ep:8675,mm:679003"]
    assert remembered() == [("mm:679001", "ep:8473"), ("mm:679002", "ep:8474"), ("mm:679003", "ep:8675")]
    said = "pixel-mapping.eml: 3 mappings for pixelmapping@mediamath.com; send it as it is, as plain text\n"
    assert capsys.readouterr() == ("", said)
    message = message_from_bytes(EML.read_bytes(), policy=default)
    assert (message["From"], message["To"]) == ("data@example.com", "pixelmapping@mediamath.com")
    assert message["Message-ID"].endswith("@example.com>")
    assert json.loads(MEMORY.read_text().splitlines()[0])["message_id"] == message["Message-ID"][1:-1]


def test_another_recipient():
    """The seed's address is a default."""
    assert run("ep:1=2", "--to", "pixels@example.org") == 0
    assert message_from_bytes(EML.read_bytes(), policy=default)["To"] == "pixels@example.org"


def test_what_was_asked_is_not_asked_again(capsys):
    """A second request holds what is new alone; without anything new there is none, and that is no error."""
    assert run("ep:1=11", "ep:2=12") == 0
    assert run("ep:1=11", "ep:3=13", "--output", "second.eml") == 0
    assert asked(Path("second.eml")) == ["ep:3,mm:13"]
    assert "1 mapping for pixelmapping@mediamath.com, 1 asked before" in capsys.readouterr().err
    assert run("ep:1=11", "ep:2=12", "ep:3=13", "--output", "third.eml") == 0
    assert not Path("third.eml").exists()
    assert "nothing new: 3 mappings asked before (support-requests.jsonl)" in capsys.readouterr().err
    assert len(remembered()) == 3


def test_again():
    """`--again` asks for all, and it is remembered as the newest."""
    assert run("ep:1=11") == 0
    assert run("ep:1=11", "--again", "--output", "second.eml") == 0
    assert asked(Path("second.eml")) == ["ep:1,mm:11"]


def test_a_mapping_may_move(capsys):
    """A pixel that was asked for another code is asked, with a warning; and back again."""
    assert run("ep:1=11") == 0
    assert run("ep:2=11", "--output", "2.eml") == 0
    assert "warning: mm:11 was asked for ep:1 at " in capsys.readouterr().err
    assert run("ep:1=11", "--output", "3.eml") == 0
    assert asked(Path("3.eml")) == ["ep:1,mm:11"]


def test_a_further_pixel(capsys):
    """A code that was asked for another pixel is asked, with a warning."""
    assert run("ep:1=11") == 0
    assert run("ep:1=12", "--output", "2.eml") == 0
    assert "warning: ep:1 was asked for mm:11, too" in capsys.readouterr().err


def test_faults_of_a_file(capsys):
    """Each faulty line is told; nothing is written or remembered, exit 1: half a request helps nobody."""
    Path("m.csv").write_text("ep:1=11\nep:0=12\nnonsense\n")
    assert run("m.csv") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["m.csv:2", "m.csv:3"]
    assert not EML.exists()
    assert not MEMORY.exists()


def test_faults_are_counted(capsys):
    """Twenty faults are printed, the others counted."""
    Path("m.csv").write_text("nonsense\n" * 23)
    assert run("m.csv") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "3 more faults"


def test_a_faulty_argument(capsys):
    """That is wrong usage."""
    assert run("ep:1=11", "ep:0=12") == 2
    assert capsys.readouterr().err.startswith("argument 2: the code is not a whole number")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.csv"], "cannot read gone.csv: No such file"),
        (["8473=679001"], "cannot read 8473=679001: No such file"),
        (["."], "cannot read .: Is a directory"),
        (["empty.csv"], "no mapping is given"),
        (["binary.csv"], "binary.csv is no text"),
        (["huge.csv"], "huge.csv is larger than 1,000,000 bytes"),
        (["ep:1=2", "--to", "a@b\nBcc: c@d"], "--to is no plain mail address"),
        (["ep:1=2", "--output", str(MEMORY)], "are both"),
        (["ep:1=2", "--memory", "gone/m.jsonl"], "cannot write"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage(capsys, arguments: list[str], said: str):
    """One line, exit 2, and nothing written."""
    Path("empty.csv").write_text("# nothing\n")
    Path("binary.csv").write_bytes(b"\xff\xfe")
    with Path("huge.csv").open("wb") as file:
        file.truncate(1_000_001)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not EML.exists()
    assert not MEMORY.exists()


def test_a_message_is_never_replaced(capsys):
    """What may not be sent yet stays, and the new mappings are not taken as asked."""
    assert run("ep:1=11") == 0
    before = EML.read_bytes()
    assert run("ep:2=12") == 2
    assert "pixel-mapping.eml exists, perhaps not sent yet" in capsys.readouterr().err
    assert EML.read_bytes() == before
    assert remembered() == [("mm:11", "ep:1")]


def test_as_many_as_a_file_may_hold(capsys):
    """The largest file of mappings is asked, remembered and known again, in the time of reading it."""
    Path("m.csv").write_text("".join(f"ep:{number}={number}\n" for number in range(10_000, 72_000)))
    assert run("m.csv") == 0
    assert len(asked()) == 62_000
    assert run("m.csv", "--output", "again.eml") == 0
    assert "nothing new: 62,000 mappings asked before" in capsys.readouterr().err


def test_warnings_are_counted(capsys):
    """Twenty are printed, the others counted."""
    assert run(*["ep:1=11"] * 24) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "3 more warnings",
        "pixel-mapping.eml: 1 mapping for pixelmapping@mediamath.com; send it as it is, as plain text",
    ]


def test_a_damaged_memory(capsys):
    """It is told by its line and left as it is: what it said would be asked again."""
    MEMORY.write_text("nonsense\n")
    assert run("ep:1=11") == 1
    assert capsys.readouterr().err.startswith("s2s-bridge: support-requests.jsonl:1: is no request")
    assert MEMORY.read_text() == "nonsense\n"
    assert not EML.exists()


def test_a_message_that_cannot_be_written(capsys):
    """Nothing is remembered."""
    assert run("ep:1=11", "--output", "gone/request.eml") == 1
    assert "gone/request.eml: No such file or directory" in capsys.readouterr().err
    assert not MEMORY.exists()


def test_a_linked_memory_stays_linked():
    """Where the memory's name is a link, what it leads to is written, and its mode stays."""
    real = Path("real.jsonl")
    real.touch(mode=0o640)
    MEMORY.symlink_to(real)
    assert run("ep:1=11") == 0
    assert MEMORY.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert remembered() == [("mm:11", "ep:1")]


def test_standard_output(capfdbinary):
    """`--output -` gives the message alone on stdout, as `sendmail -t` takes it."""
    assert run("ep:1=11", "--output", "-") == 0
    out, err = capfdbinary.readouterr()
    assert message_from_bytes(out, policy=default).get_content() == (
        "Please map the following\r\nep:1,mm:11\r\n"
    )
    assert err.startswith(b"standard output: 1 mapping")
    assert remembered() == [("mm:11", "ep:1")]


def test_nobody_reads_standard_output():
    """What could not be handed over is not remembered, and it is one line."""
    with Path("/dev/full").open("wb") as full:
        done = child("ep:1=11", "--output", "-", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("s2s-bridge: standard output: No space left")
    assert done.stderr.count("\n") == 1
    assert not MEMORY.exists()


DYING = """\
import os, sys

suffix = sys.argv.pop(1)

def hook(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(suffix):
        os._exit(99)

sys.addaudithook(hook)
from bridge.cli import main
sys.exit(main(sys.argv[1:]))
"""


def child(*arguments: str, stdout=None, dies_at: str = ".never") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which dies where it would rename to a name that ends so."""
    return subprocess.run(
        [sys.executable, "-c", DYING, dies_at, "pixel-mapping", *arguments, *FROM],
        env={"PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("dies_at", "written"), [(".eml", False), (".jsonl", True)])
def test_a_crash_asks_again_rather_than_never(dies_at: str, written: bool):  # noqa: FBT001  # a case
    """Killed before the message has its name, or between message and memory: asked again by the next run."""
    assert child("ep:1=11", dies_at=dies_at).returncode == 99
    assert EML.exists() is written
    assert not MEMORY.exists()
    assert run("ep:1=11", "--output", "again.eml") == 0
    assert asked(Path("again.eml")) == ["ep:1,mm:11"]


def test_two_at_once():
    """Who finds another at the memory waits for it, and then knows what it asked."""
    command = [sys.executable, "-m", "bridge", "pixel-mapping", "ep:1=11", "ep:2=12", *FROM]
    with Path(f".{MEMORY}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL) as process:
            waits = re.compile(rf"-> FLOCK +ADVISORY +WRITE +{process.pid} ")
            try:
                until(
                    lambda: process.poll() is not None or waits.search(Path("/proc/locks").read_text()),
                    "the process at the lock",
                    20,
                )
                ask = Ask(kind="pixel_mapping", about="mm:11", what="ep:1")
                MEMORY.write_text(appended("", [ask], 0, "1@example.com"))
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(20) == 0
    assert asked() == ["ep:2,mm:12"]
    assert remembered() == [("mm:11", "ep:1"), ("mm:12", "ep:2")]


def test_hashed_codes():
    """With --hashed a code is any text that an event's may be."""
    assert run("ep:sports/fans=2020=11", "--hashed") == 0
    assert asked() == ["ep:sports/fans=2020,mm:11"]
