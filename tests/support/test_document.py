"""docs/support-requests.md shows what the commands say."""

import re
import shlex
from pathlib import Path

from bridge.cli import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "support-requests.md"
OF_THE_DAY = re.compile(r"^(Date: |Message-ID: <).*$", re.MULTILINE)


def test_the_document_is_true(tmp_path, monkeypatch, capsys):
    """Each command that the document shows, in order, says what stands there, but for date and message id."""
    monkeypatch.chdir(tmp_path)
    blocks = "\n".join(re.findall(r"^```\n(.*?\n)```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
    shown = re.findall(r"^\$ ([^\n]+)\n(.*?)\n*(?=^\$ |\Z)", blocks, re.MULTILINE | re.DOTALL)
    assert len(shown) == 11
    for command, output in shown:
        program, *arguments = shlex.split(command)
        if program == "cat":
            path = Path(arguments[0])
            if path.suffix == ".csv":
                path.write_text(f"{output}\n")
            said = path.read_text()
        else:
            main(arguments)
            said = "".join(capsys.readouterr())
        assert OF_THE_DAY.sub(r"\1", said).rstrip("\n") == OF_THE_DAY.sub(r"\1", output)
