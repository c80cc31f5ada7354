"""docs/user-sync.md tells what is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.sync.mapping import Consent
from bridge.sync.outcome import Outcome
from bridge.sync.signature import sign
from tests.sync import one_machine

TEXT = (Path(__file__).parents[2] / "docs" / "user-sync.md").read_text()


def test_every_outcome_is_explained():
    """In the table of visits; an opt-out without an id is none of a visit."""
    table = TEXT.partition("| outcome | when |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(set(Outcome) - {Outcome.NO_PARTNER_ID})
    assert all(f"`{consent}`" in TEXT for consent in set(Consent) - {Consent.WITHDRAWN})


@pytest.mark.parametrize("number", [0, 1])
def test_commands_print_what_is_shown(number, capsys):
    """Each command of the tag, with its output."""
    shown = re.findall(r"   \$ s2s-bridge (sync tag .*)\n((?:   [^`].*\n)+)", TEXT)
    command, output = shown[number]
    words = re.findall(r"'[^']*'|\S+", command)
    main([word.strip("'") for word in words])
    captured = capsys.readouterr()
    assert captured.out + captured.err == re.sub("(?m)^   ", "", output)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing")
def test_others_can_sign():
    """The command that is shown makes the signature that is asked for."""
    key = "k" * 40
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", key],
        input=b"acme P1 1795872000",
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().split()[-1] == sign("acme", "P1", 1795872000, key.encode())


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing")
def test_the_way_on_one_machine_is_as_shown(chromium, tmp_path):
    """Its commands, run, and its addresses, opened in a browser, come to what stands there."""
    assert one_machine.compared(one_machine.document(tmp_path, chromium)) == one_machine.compared(TEXT)
