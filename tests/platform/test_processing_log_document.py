"""docs/processing-log.md says what is so."""

import gzip
from pathlib import Path

import yaml

from bridge import cli
from bridge.actions import declared
from bridge.clock import SystemClock
from bridge.config import ProcessingLogSettings, SftpSettings
from bridge.deliver.sftp import SftpRemote
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import SandboxSite
from tests.parts.answering import Answering, said
from tests.parts.waiting import until
from tests.service.test_reconciling import Site, name

DOCUMENT = Path(__file__).parents[2] / "docs" / "processing-log.md"
LOOPBACK = Address(host="127.0.0.1", port=0)
HEADER = (
    "Version: 3\nFileIdentifier: {}\nDateCreated: 1793491200\nUserNamespace: mm\nSegmentNamespace: ep\n"
    "Mobile: 0\nHashSegments: 0\n\n"
)


def blocks() -> list[str]:
    return DOCUMENT.read_text().split("```")[1::2]


def test_the_settings_that_it_shows_are_the_defaults():
    """Every key, with the value that it has where none is written."""
    (shown,) = [block.removeprefix("yaml\n") for block in blocks() if "offset_parameter" in block]
    written = yaml.safe_load(shown)["processing_log"]
    assert set(written) == set(ProcessingLogSettings.model_fields)
    assert ProcessingLogSettings.model_validate(written) == ProcessingLogSettings()


def test_the_log_lines_that_it_names_are_all_there_are():
    """Those about files after their upload, and about the log itself."""
    (row,) = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| the log |")]
    named = set(row.split("`")[1::2])
    assert named <= declared().keys()
    assert {one for one in declared() if "processing_log" in one or one.startswith("log_")} <= named


def test_what_it_shows_of_reconcile_is_the_sandboxs_answer(tmp_path, capsys):
    """One file with a bad line, one that is damaged, one that the platform does not have."""
    (shown,) = [block for block in blocks() if "$ s2s-bridge reconcile" in block]
    settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="agency"))
    place = SandboxSite(tmp_path / "sandbox")
    (tmp_path / "bridge").mkdir()
    with Sandbox(place, settings, SystemClock()) as sandbox, Answering(said({})) as unused:
        site = Site(tmp_path / "bridge", unused)
        (tmp_path / "bridge" / "password").write_text(place.password)
        site.write(url=f"http://{sandbox.http}")
        sftp = SftpSettings(
            host="127.0.0.1",
            port=sandbox.sftp.port,
            username="agency",
            password_file=place.password_file,
            host_key=sandbox.host_key,
        )
        rows = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7 1:0\nnobody 1:0\n"
        good = gzip.compress((HEADER.format(name(1)) + rows).encode())
        for number, content in ((1, good), (2, b"no gzip")):
            local = tmp_path / name(number)
            local.write_bytes(content)
            SftpRemote(sftp, SystemClock()).upload(local, name(number), lambda _: None)
        for number in range(1, 4):
            site.upload(number)
        records = sandbox.processing.records
        until(lambda: [one.processed_at is not None for one in records()] == [True, True], "both files")
        assert cli.main(["reconcile", "--config", str(site.path)]) == 0
        site.ledger.close()
    told = capsys.readouterr().out
    assert shown == f"\n$ s2s-bridge reconcile --config bridge.yaml\n{told}"
