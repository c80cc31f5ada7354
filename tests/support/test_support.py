"""`s2s-bridge support taxonomy` and `support revenue-share`."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from bridge.cli import main

CSV = (
    b"full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\r\n"
    b"|Acme,,,,,0\r\n"
    b"|Acme|One,1,100,0.80,1.10,1\r\n"
)
ADDRESSES = ("--from", "data@example.com", "--to", "support@example.org")
SHARE = ("revenue-share", "--taxonomy-id", "100123")
TAXONOMY = ("taxonomy", "acme.csv", "--vendor-id", "1234")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("acme.csv").write_bytes(CSV)


def run(*arguments: str) -> int:
    return main(["support", *arguments, *ADDRESSES])


def message(name: str) -> EmailMessage:
    found = message_from_bytes(Path(name).read_bytes(), policy=default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_new_taxonomy(capsys):
    """The CSV goes to support as it is, with the vendor's id."""
    assert run(*TAXONOMY) == 0
    written = message("taxonomy.eml")
    assert (written["To"], written["Subject"]) == ("support@example.org", "New taxonomy of vendor 1234")
    (attached,) = written.iter_attachments()
    assert attached.get_payload(decode=True) == CSV
    assert capsys.readouterr().err == (
        "taxonomy.eml: New taxonomy of vendor 1234, for support@example.org; send it as it is\n"
    )


def test_the_same_taxonomy_is_handed_in_once(capsys):
    """The same file as a new taxonomy is not asked again; changed, or for another vendor, it is."""
    assert run(*TAXONOMY) == 0
    assert run(*TAXONOMY, "--output", "2.eml") == 0
    assert not Path("2.eml").exists()
    assert "nothing new: this was asked before" in capsys.readouterr().err
    assert run(*TAXONOMY[:-1], "1235", "--output", "3.eml") == 0
    assert run(*TAXONOMY, "--again", "--output", "4.eml") == 0
    Path("acme.csv").write_bytes(CSV + b"|Acme|Two,2,100,0.80,1.10,1\r\n")
    assert run(*TAXONOMY, "--output", "5.eml") == 0
    assert all(Path(f"{number}.eml").exists() for number in (3, 4, 5))


def test_an_update(capsys):
    """It names the taxonomy's id; a further one takes the place of the one asked before, and says so."""
    assert run(*TAXONOMY, "--taxonomy-id", "7") == 0
    assert message("taxonomy.eml")["Subject"] == "Update of taxonomy 7 of vendor 1234"
    Path("acme.csv").write_bytes(CSV + b"\r\n")
    assert run(*TAXONOMY, "--taxonomy-id", "7", "--output", "2.eml") == 0
    assert "warning: taxonomy 7: sha256 " in capsys.readouterr().err


def test_a_revenue_share(capsys):
    """Asked once, in whatever form the percentage is written; a changed one is asked."""
    assert run(*SHARE, "--percent", "12.50") == 0
    assert "Desired taxonomy-level revenue share: 12.5%" in message("revenue-share.eml").get_content()
    assert run(*SHARE, "--percent", "12.5", "--output", "2.eml") == 0
    assert not Path("2.eml").exists()
    assert run(*SHARE, "--percent", "0", "--output", "3.eml") == 0
    assert "warning: taxonomy 100123: 12.5% was asked at " in capsys.readouterr().err


def test_a_faulty_taxonomy_is_not_handed_in(capsys):
    """Its faults are told by line and column, as `taxonomy check` does; nothing is written, exit 1."""
    Path("acme.csv").write_bytes(CSV.replace(b"|Acme|One,1,", b"|Acme|One,x,"))
    assert run(*TAXONOMY) == 1
    assert capsys.readouterr().err.startswith("acme.csv:3:2: code: ")
    assert not Path("taxonomy.eml").exists()
    assert run(*TAXONOMY, "--hashed") == 0


def test_faults_are_counted(capsys):
    """Twenty are printed, the others counted."""
    rows = b"".join(b"|Acme|%d,x,100,0.80,1.10,1\r\n" % number for number in range(23))
    Path("acme.csv").write_bytes(CSV + rows)
    assert run(*TAXONOMY) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "acme.csv: 3 more faults"


def test_a_price_below_wholesale_is_stated(capsys):
    """It is a fault, unless it is said to be meant so."""
    Path("acme.csv").write_bytes(CSV.replace(b"0.80,1.10", b"1.10,0.80"))
    assert run(*TAXONOMY) == 1
    assert "retail" in capsys.readouterr().err
    assert run(*TAXONOMY, "--below-wholesale") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*SHARE, "--percent", "101"), "--percent is no percentage"),
        ((*SHARE[:-1], "0", "--percent", "1"), "--taxonomy-id"),
        (("taxonomy", "acme.csv", "--vendor-id", "x"), "--vendor-id"),
        (("taxonomy", "acme.csv"), "--vendor-id"),
        (("taxonomy", "acme.yaml", "--vendor-id", "1"), "acme.yaml is no .csv"),
        (("taxonomy", "gone.csv", "--vendor-id", "1"), "cannot read gone.csv"),
        (("taxonomy", "empty.csv", "--vendor-id", "1"), "empty.csv is empty"),
        (("taxonomy", "ä.csv", "--vendor-id", "1"), "has a name that mail may change"),
    ],
)
def test_wrong_usage(capsys, arguments: tuple[str, ...], said: str):
    """One line, exit 2, and nothing written."""
    Path("empty.csv").touch()
    Path("ä.csv").write_bytes(CSV)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(Path().glob("*.eml"))


def test_support_has_no_default_address(capsys):
    """Who support is stands in no document for sure: `--to` must be given."""
    assert main(["support", *SHARE, "--percent", "1", "--from", "data@example.com"]) == 2
    assert "--to" in capsys.readouterr().err
