"""`s2s-bridge taxonomy list`, `get`, `grants`, `pull`, `plan` and `apply`, as their users run them."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.sandbox.faults import Api, Kind
from tests.parts.answering import Answering, said
from tests.parts.vendor import Vendor

FILES = Path(__file__).parents[1] / "taxonomy" / "fixtures"
EXAMPLE = (FILES / "seed_example.yaml").read_text()
NAME = EXAMPLE.partition("name: ")[2].partition("\n")[0]
SEGMENT = "    - name: Acme Segment 2\n      code: 1234568\n      uniques: 25000\n      retail_cpm: 0\n"


class Command:
    """Runs the command with its configuration; what it said is in `out` and `err`."""

    def __init__(self, vendor: Vendor, folder: Path, capsys) -> None:
        self.vendor = vendor
        self.file = folder / "acme.yaml"
        self.file.write_text(EXAMPLE)
        self.config = str(vendor.write_config())
        self.out = self.err = ""
        self._capsys = capsys

    def __call__(self, verb: str, *arguments: object, config: str | None = None) -> int:
        self._capsys.readouterr()
        code = main(["taxonomy", verb, *map(str, arguments), "--config", config or self.config])
        self.out, self.err = self._capsys.readouterr()
        return code

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def created(self) -> None:
        assert self("apply", self.file, "--yes") == 0


@pytest.fixture
def command(vendor: Vendor, tmp_path: Path, capsys):
    """Against a running sandbox that holds nothing."""
    with vendor.running():
        yield Command(vendor, tmp_path, capsys)


def test_the_whole_way(command: Command):
    """Create, plan (no change), edit, plan, apply, read back: the platform holds what the file says."""
    assert command("plan", command.file) == 0
    assert command.out == (
        f"{NAME}: a new taxonomy\n"
        "+ organization 100048\n+ agency 114842\n+ agency 108108\n"
        "+ advertiser 171177\n+ advertiser 141348\n+ advertiser 137754\n"
        f"+ {NAME}\n"
        "+ ├── Acme Segment 1  code 1234567, 100,000 users, retail 0.00\n"
        "+ └── Acme Segment 2  code 1234568, 25,000 users, retail 0.00\n"
        "\n"
        "Plan: 3 to add, 0 to change, 0 to rename, 0 to move, 0 to remove; "
        "permissions: 6 to add, 0 to remove.\n"
    )
    assert command("apply", command.file, "--yes") == 0
    assert command.out.endswith(
        f"Done: taxonomy 100123 is as {command.file} says, read back from the platform.\n"
        "To have its ids in the file: "
        f"s2s-bridge taxonomy pull 100123 --config ... -o {command.file} --force\n"
    )
    assert command("plan", command.file, "--exit-code") == 0
    assert command.out == "No changes: taxonomy 100123 is as it should be.\n"
    command.edit("retail_cpm: 0\n    - name: Acme Segment 2", "retail_cpm: 1.5\n    - name: Acme Segment Two")
    command.edit("[114842, 108108]", "[114842]")
    assert command("plan", command.file, "--exit-code") == 3
    changes = (
        f"{NAME}: taxonomy 100123\n"
        "- agency 108108\n"
        f"  {NAME}\n"
        "~ ├── Acme Segment 1  retail_cpm 0.00 → 1.50\n"
        "~ └── Acme Segment Two  name 'Acme Segment 2' → 'Acme Segment Two'\n"
        "\n"
        "Plan: 0 to add, 1 to change, 1 to rename, 0 to move, 0 to remove; "
        "permissions: 0 to add, 1 to remove.\n"
    )
    assert command.out == changes
    assert command("apply", command.file, "--yes") == 0
    assert command.out.startswith(changes)
    (held,) = command.vendor.one.taxonomies
    assert [node.name for node in held.taxonomy.root.children] == ["Acme Segment 1", "Acme Segment Two"]
    assert held.taxonomy.permissions.agencies == (114842,)
    assert command.vendor.one.writes.updated == 1
    assert command.err == ""


def test_a_pulled_file_is_what_the_platform_holds(command: Command, tmp_path: Path):
    """By suffix; with ids and permissions where the form has a place for them; a plan of it is empty."""
    command.created()
    for name in ("pulled.yaml", "pulled.json", "pulled.csv"):
        file = tmp_path / name
        assert command("pull", 100123, "-o", file) == 0
        assert ("a CSV has no place for" in command.err) == (file.suffix == ".csv")
        assert command("plan", file, "--exit-code") == 0, command.out + command.err
        assert ("1678333" in file.read_text()) == (file.suffix != ".csv")
    assert command("pull", 100123, "-o", file) == 2
    assert "is there already" in command.err
    assert command("pull", 100123, "-o", file, "--force") == 0


def test_a_renamed_root_by_its_id(command: Command):
    """A file that knows its taxonomy, or is told by --id, renames it; one that does not makes a new one."""
    command.created()
    command.edit("Acme Co Taxonomy", "Acme Corp")
    assert command("plan", command.file) == 0
    assert ": a new taxonomy\n" in command.out
    assert command("apply", command.file, "--id", 100123, "--yes") == 0
    (held,) = command.vendor.one.taxonomies
    assert held.taxonomy.root.name == NAME.replace("Acme Co Taxonomy", "Acme Corp")
    command.file.write_text(command.file.read_text() + "taxonomy_id: 7\n")
    assert command("plan", command.file, "--id", 100123) == 2
    assert "--id 100123 is not the taxonomy_id 7 of" in command.err
    assert command("plan", command.file) == 1
    assert command.err == "s2s-bridge: the platform has no taxonomy 7; correct --id or taxonomy_id\n"


def test_what_is_kept_of_a_plan(command: Command, tmp_path: Path):
    """`plan --out` is applied as it was shown, or not at all: the file and the platform must be the same."""
    command.created()
    kept = tmp_path / "plan.json"
    command.edit("retail_cpm: 0\n    - name: Acme Segment 2", "retail_cpm: 1.5\n    - name: Acme Segment 2")
    assert command("plan", command.file, "--out", kept, "--json") == 0
    document = json.loads(kept.read_text())
    assert document == json.loads(command.out)
    assert document["counts"] == {"add": 0, "change": 1, "rename": 0, "move": 0, "remove": 0}
    (change,) = document["changes"]
    assert change["fields"] == {"retail_cpm": {"old": "0", "new": "1.5"}}
    before = command.file.read_text()
    command.edit("1.5", "2.5")
    assert command("apply", command.file, "--plan", kept, "--yes") == 1
    assert f"{kept} is of another file or state of the platform; plan again" in command.err
    assert command("apply", command.file, "--yes") == 0
    command.file.write_text(before)
    assert command("apply", command.file, "--plan", kept, "--yes") == 1
    assert command("plan", command.file, "--out", kept) == 0
    assert command("apply", command.file, "--plan", kept, "--yes") == 0
    before = command.file.read_bytes()
    assert command("plan", command.file, "--out", command.file) == 2
    assert f"--out {command.file} is there already, and no plan" in command.err
    assert command.file.read_bytes() == before
    kept.write_text("[")
    assert command("apply", command.file, "--plan", kept, "--yes") == 2
    assert command.vendor.one.writes.updated == 2


def test_what_changes_of_the_taxonomy_itself_stands_in_the_last_line(command: Command):
    """Where no node changes, too: else it reads as if there were nothing to do."""
    command.created()
    command.edit("taxonomy:\n", "taxonomy:\n  description: For buyers\n")
    assert command("plan", command.file) == 0
    assert command.out.splitlines()[-1].endswith("0 to remove; description of the taxonomy to change.")


def test_a_new_taxonomy_with_a_description(command: Command):
    """A creation has no place for it: it is done without, a line says so, and the next apply sets it."""
    command.edit("taxonomy:\n", "taxonomy:\n  description: For buyers\n")
    assert command("apply", command.file, "--yes") == 0
    assert "But its description is not there yet: a creation takes none; apply again\n" in command.out
    assert command("apply", command.file, "--yes") == 0
    assert "description is not there yet" not in command.out
    assert command("plan", command.file, "--exit-code") == 0
    assert command.vendor.one.taxonomies[0].taxonomy.description == "For buyers"
    assert command.vendor.one.writes.created == command.vendor.one.writes.updated == 1


def test_removals_are_allowed_explicitly(command: Command):
    """At three in the morning: a file that lost its segments is not applied by --yes alone."""
    command.created()
    command.edit(SEGMENT, "")
    assert command("apply", command.file, "--yes") == 1
    assert command.out.splitlines()[-1] == "- 1 segment of 2 can no more be bought"
    assert (
        command.err == "s2s-bridge: nothing was changed: see what would be lost; then say --allow-removals\n"
    )
    assert command.vendor.one.writes.updated == 0
    assert command("apply", command.file, "--yes", "--allow-removals") == 0
    assert command.vendor.one.taxonomies[0].taxonomy.segments == 1


def test_without_a_terminal_somebody_must_have_said_yes(command: Command, monkeypatch):
    """Nothing is asked of the platform before."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    asked = command.vendor.one.faults
    command.vendor.meet(Kind.SERVER_ERROR, api=Api.LOGIN)
    assert command("apply", command.file) == 2
    assert command.err.endswith("then say --yes\n")
    assert asked.planned == 1


@pytest.mark.parametrize(("answer", "done"), [("yes", True), ("y", False), ("", False)])
def test_at_a_terminal_yes_is_asked_for(command: Command, answer: str, *, done: bool):
    """Only `yes` will do; the plan has colours there."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    arguments = ["taxonomy", "apply", str(command.file), "--config", command.config]
    result = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        env=os.environ | {"FORCE_COLOR": "1"},
        check=False,
        text=True,
    )
    os.close(ours)
    os.close(theirs)
    assert (result.returncode == 0) == done
    assert ("Nothing was changed." in result.stdout) != done
    assert re.search(r"\x1b\[32m\+ ", result.stdout)
    assert len(command.vendor.one.taxonomies) == done


def test_list_get_grants(command: Command):
    """Tables for people, one JSON object for programs."""
    command.created()
    assert command("list") == 0
    assert command.out == (
        f"    id  name                                        updated\n100123  {NAME}  2026-11-01T00:00:00Z\n"
    )
    assert command("list", "--name", "segment 2", "--buyable", "--json") == 0
    assert [one["id"] for one in json.loads(command.out)["taxonomies"]] == [100123]
    assert command("list", "--name", "nothing") == 0
    assert command.out == "none\n"
    assert command("get", 100123) == 0
    assert re.search(r"\n└── Acme Segment 2 +1234568 +25,000 +0.00 +0.00 +1678334\n", command.out)
    assert "\nupdated_on: 2026-11-01T00:00:00Z\n" in command.out
    assert command("get", 100123, "--json") == 0
    assert json.loads(command.out)["taxonomy_id"] == 100123
    assert command("grants") == 0
    assert "advertisers    171177\n" in command.out
    assert command("grants", "--json") == 0
    assert json.loads(command.out)["agencies"] == [114842, 108108]
    assert command("grants", "--vendor", 9) == 1
    assert "this vendor is not yours" in command.err
    assert command("get", 5) == 1
    assert len(command.err.splitlines()) == 1


def test_faults_are_told_before_anything_is_done(command: Command):
    """Entities that are not granted, ids of another taxonomy: a line each, and exit 1."""
    command.edit("[114842, 108108]", "[114842, 5]")
    command.edit("code: 1234567\n", "code: 1234567\n      id: 77\n")
    command.edit("vendor_id: 1234", "vendor_id: 99")
    assert command("apply", command.file, "--yes") == 1
    assert [line.removeprefix(f"{command.file}: ") for line in command.err.splitlines()] == [
        "vendor_id 99 is not the account's, 1234; correct one of them",
        "has ids, and no taxonomy has its name; say which it is with --id, or leave all ids out",
        "permissions: agency 5 is not granted to vendor 1234; ask for the grant, or leave it out",
    ]
    assert command.vendor.one.writes.created == 0
    command.file.write_text("taxonomy: {name: A, children: [{name: B, code: x}]}\n")
    assert command("plan", command.file) == 1
    assert "acme.yaml:1:" in command.out


def test_streams_that_disagree_are_warned_of(command: Command):
    """use_hash and hash_segments: segments that nobody would find."""
    config = Path(command.config)
    config.write_text(
        config.read_text().replace("segment_namespace: ep", "segment_namespace: ep, hash_segments: true")
    )
    assert command("plan", command.file) == 0
    assert command.err.startswith(
        "warning: the taxonomy has use_hash: false, streams[0] (acme) hash_segments: true"
    )


def test_an_answer_that_is_lost_is_told_as_done(command: Command):
    """The connection was cut, and the command looked before it spoke: it is known, or said to be unknown."""
    command.vendor.meet(Kind.CUT_AFTER, writes=True)
    assert command("apply", command.file, "--yes") == 0
    assert "Done: taxonomy 100123 is as" in command.out
    command.edit("retail_cpm: 0\n", "retail_cpm: 3\n")
    command.vendor.meet(Kind.CUT_BEFORE, writes=True)
    assert command("apply", command.file, "--yes", "--wait", "1s") == 1
    assert command.err.startswith(
        "s2s-bridge: not known whether it is done: the platform shows taxonomy 100123 as it was ("
    )
    assert command("apply", command.file, "--yes", "--wait", "x") == 2


def test_which_account(command: Command):
    """The one that has the API; of several, the one that is named."""
    assert command("list", "--account", "other") == 2
    assert "--account other is none of" in command.err
    config = Path(command.config)
    text = config.read_text()
    config.write_text(re.sub(r"    platform:\n.*(?=streams:)", "", text, flags=re.DOTALL))
    assert command("list") == 2
    assert "no account of" in command.err
    account = text[text.index("  - name: default") : text.index("streams:")]
    second = account.replace("name: default", "name: second").replace(
        "username: u, pass", "username: v, pass"
    )
    config.write_text(text.replace("streams:", second + "streams:"))
    assert command("list") == 2
    assert (
        "several accounts have platform.audience_segments: default, second; say which with --account"
        in command.err
    )
    assert command("list", "--account", "second") == 0


def test_no_secret_is_said(command: Command):
    """Not with any fault, and not in the log."""
    secrets = [command.vendor.place.password, command.vendor.place.client_secret]
    for kind in Kind:
        if kind is not Kind.SLOW:
            command.vendor.meet(kind, times=1, api=Api.LOGIN)
            command("list")
            told = command.out + command.err
            assert not any(secret in told for secret in secrets)
            assert "Traceback" not in told
            assert len(command.err.splitlines()) <= 1


def test_hostile_words_of_the_platform(command: Command):
    """What it says of a fault is shown, and nothing of it acts on a terminal."""
    fault = {"errors": [{"code": "bad\x1b[2J", "message": "no\x07\u202e\nway"}]}
    with Answering(said(fault, 400)) as server:
        config = command.vendor.write_config(url=server.url)
        assert command("list", config=str(config)) == 1
    assert command.err.strip().isprintable()
    assert "bad [2J: no" in command.err
