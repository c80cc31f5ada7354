"""docs/taxonomy.md shows what the command says."""

import re
import shutil
from pathlib import Path

from bridge.cli import main

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "taxonomy.md"
BLOCK = re.compile(r"```\n(\$ s2s-bridge .*?)```\n", re.DOTALL)
YAML = re.compile(r"```yaml\n(.*?)```\n", re.DOTALL)


def test_the_document_is_real(tmp_path, monkeypatch, capsys):
    """Every command of the document, run on the fixtures, says what stands there; its YAML is the fixture."""
    text = DOCUMENT.read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == 3
    for file in (HERE / "fixtures").iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        assert block == "".join(said(line, capsys) for line in block.splitlines() if line.startswith("$ "))
    assert YAML.findall(text) == [(HERE / "fixtures" / "seed_example.yaml").read_text()]


def said(line: str, capsys) -> str:
    """A command's line, and what it says."""
    main(line.split()[2:])
    told = capsys.readouterr()
    return f"{line}\n{told.out}{told.err}"
