"""docs/taxonomy.md shows what the command says."""

import re
import shutil
from pathlib import Path

import polars as pl

from bridge.cli import main
from bridge.segments.reading import read_codes
from bridge.segments.seen import Seen, day_of
from bridge.segments.stored import FOLDER, encoded, path_of

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "taxonomy.md"
BLOCK = re.compile(r"```\n(\$ s2s-bridge .*?)```\n", re.DOTALL)
SETTINGS = """\
kafka: {bootstrap_servers: "kafka:9092"}
spool: {directory: spool}
accounts:
  - name: default
    agency: Agency
    partner: Partner
    sftp: {host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}
"""
YAML = re.compile(r"```yaml\n(.*?)```\n", re.DOTALL)


def test_the_document_is_real(tmp_path, monkeypatch, capsys):
    """Every command of the document, run on the fixtures, says what stands there; its YAML is the fixture."""
    text = DOCUMENT.read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == 4
    for file in (HERE / "fixtures").iterdir():
        shutil.copy(file, tmp_path)
    example, streams = YAML.findall(text)
    watched(tmp_path, streams)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        told = "".join(said(line, capsys) for line in block.splitlines() if line.startswith("$ "))
        assert block == told.replace(str(tmp_path), "/etc/s2s-bridge")
    assert example == (HERE / "fixtures" / "seed_example.yaml").read_text()


def watched(directory: Path, streams: str) -> None:
    """A configuration with these streams, and what a bridge has seen of their segments in four weeks."""
    (directory / "bridge.yaml").write_text(SETTINGS + streams)
    first = day_of(1_793_491_200_000)  # 2026-11-01
    taxonomy = directory / "seed_sample.csv"
    codes = read_codes(taxonomy, hashed=False)
    seen = Seen.nothing(first, hashed=False, taxonomy=str(taxonomy)).knowing(codes, first)
    used = [*range(245244, 245247), *range(245248, 245251)]
    for days, segments in (
        (2, [245299] * 12_000),
        (25, [*used, 245300]),
        (26, [*used, *[245299] * 408, *[245300] * 310]),
    ):
        seen = seen.after(codes.sight(pl.Series(segments)), first + days).on(first + days)
    (directory / "spool" / FOLDER).mkdir(parents=True)
    path_of(directory / "spool", "acme-display").write_bytes(encoded(seen))


def said(line: str, capsys) -> str:
    """A command's line, and what it says."""
    main(line.split()[2:])
    told = capsys.readouterr()
    return f"{line}\n{told.out}{told.err}"
