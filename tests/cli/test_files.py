"""`s2s-bridge files list` and `files resend`, on the spool of a deliverer that runs or does not."""

import json

import pytest

from bridge import cli
from bridge.clock import SystemClock
from bridge.deliver.ledger import Ledger
from bridge.service.opening import LEDGER
from tests.parts.delivering import Fault, Site, Write

TEXT = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
spool: {{directory: {directory}}}
accounts:
  - name: {account}
    agency: Agency
    partner: Partner
    sftp: {{host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}}
    platform: {{processing_log: {{}}}}
    wait_for_confirmation: true
streams:
  - {{name: t, topics: [t], format: json, segment_namespace: ep, account: {account}}}
"""


class Desk:
    """Who sits there asks by the command line."""

    def __init__(self, directory, capsys):
        self.site = Site(directory, wait_for_confirmation=True)
        self.path = directory / "bridge.yaml"
        self.capsys = capsys
        self.configure("a")

    def configure(self, account):
        self.path.write_text(TEXT.format(directory=self.site.spool.directory, account=account))

    def ask(self, *words):
        """Exit code, stdout and stderr."""
        self.capsys.readouterr()
        code = cli.main([*words, "--config", str(self.path)])
        return code, *self.capsys.readouterr()

    def sent(self, *writes):
        """The name of the file that these are delivered in."""
        self.site.give(*writes)
        self.site.arrives()
        return self.site.remote.arrived[-1].name


@pytest.fixture
def desk(tmp_path, capsys):
    return Desk(tmp_path, capsys)


@pytest.mark.failure(62)
def test_a_rejected_file_is_listed_and_sent_again(desk):
    """The list says what the platform complains of; asked for, it is sent by the next run, once."""
    name = desk.sent(Write(1, 7), Write(2, 7))
    assert desk.ask("files", "list", "--state", "rejected") == (0, "no such file\n", "")
    desk.site.ledger.reject(name, detail="bad header")
    listed = desk.ask("files", "list", "--state", "rejected")[1]
    assert name in listed
    assert "bad header" in listed
    told = f"{name}: 2 memberships: due again, but no bridge runs; the next one sends them\n"
    assert desk.ask("files", "resend", name, name) == (0, told, "")
    assert "to be sent again" in desk.ask("files", "list")[1]
    assert "asked for since" in desk.ask("files", "resend", name)[1]
    desk.site.restart()
    desk.site.arrives()
    found = json.loads(desk.ask("files", "list", "--json")[1])["files"]
    assert [one["state"] for one in found] == ["uploaded", "rejected"]
    assert found[1]["resent_at"] is not None
    assert json.loads(desk.ask("files", "list", "--json", "--state", "failed")[1]) == {"files": []}


def test_beside_a_running_bridge(desk):
    """Who holds the account's lock carries it out."""
    name = desk.sent(Write(1, 7))
    with desk.site.spool.lock("deliver-a").acquire(0, SystemClock()):
        told = desk.ask("files", "resend", name)
    assert told == (
        0,
        f"{name}: 1 membership: due again as soon as no file of its audience is begun\n",
        "",
    )
    desk.site.arrives()


def test_what_cannot_be_sent_again_does_not_stop_what_can(desk):
    """One line for each on stderr, with the remedy; exit 1."""
    good = desk.sent(Write(1, 7))
    desk.site.ledger.confirm(good)
    desk.site.remote.fault = lambda _: Fault.CUT
    desk.site.give(Write(1, 8))
    desk.site.until(lambda: desk.site.remote.tried[1:])
    begun = desk.site.ledger.names()[0]
    code, out, err = desk.ask("files", "resend", begun, good)
    assert (code, err) == (1, f"{begun}: it is not uploaded yet\n")
    assert out.startswith(f"{good}: 1 membership: due again")
    desk.configure("b")
    assert desk.ask("files", "resend", good)[::2] == (
        1,
        f"{good}: its account a is not configured any more: bring it back\n",
    )


def test_a_name_that_is_not_known_is_wrong_usage_and_nothing_is_asked(desk):
    """It says why, and what was meant perhaps."""
    name = desk.sent(Write(1, 7))
    wrong = name.replace("Agency", "Agenzy")
    code, out, err = desk.ask("files", "resend", name, wrong)
    assert (code, out) == (2, "")
    assert err == (
        f"s2s-bridge: {wrong}: no file of Agenzy_Partner was ever built here; did you mean {name}?\n"
    )
    assert desk.site.ledger.file(name).resend_asked_at is None
    code, _, err = desk.ask("files", "list", "--state", "lost")
    assert (code, "there is no such state; there are built, uploading" in err) == (2, True)


def test_without_a_ledger(tmp_path, capsys):
    """It says so, and makes nothing."""
    desk = Desk(tmp_path, capsys)
    desk.path.write_text(TEXT.format(directory=tmp_path / "nowhere", account="a"))
    for words in (["files", "resend", "A_P_202611010000.log.gz"], ["files", "list"]):
        code, out, err = desk.ask(*words)
        assert (code, out) == (1, "")
        assert "no bridge has delivered from" in err
    assert not (tmp_path / "nowhere").exists()


def test_an_older_bridges_ledger_is_left_alone(desk):
    """It may be running: its tables are not changed beside it."""
    name = desk.sent(Write(1, 7))
    desk.site.ledger.close()
    path = desk.site.spool.directory / LEDGER
    with Ledger.open(path) as ledger, ledger._database.transaction() as connection:
        connection.execute("PRAGMA user_version = 3")
    code, _, err = desk.ask("files", "resend", name)
    assert (code, "an older s2s-bridge wrote this ledger" in err) == (1, True)


def test_status_tells_what_an_audience_waits_for(desk):
    """The audience that is held says so, and its last file what to do."""
    name = desk.sent(Write(1, 7))
    desk.site.give(Write(1, 8))
    assert "when its last file is confirmed" in desk.ask("status")[1]
    (audience,) = json.loads(desk.ask("status", "--json")[1])["audiences"]
    assert audience["waits_for_confirmation"] is True
    assert (
        "files resend sends it again, or wait_for_confirmation: false"
        in desk.ask("status", "--file", name)[1]
    )
    desk.ask("files", "resend", name)
    (audience,) = json.loads(desk.ask("status", "--json")[1])["audiences"]
    assert audience["waits_for_confirmation"] is False
    assert "sent again once no file of its audience is begun" in desk.ask("status", "--file", name)[1]
    desk.site.arrives()
    assert "what it held waits again since" in desk.ask("status", "--file", name)[1]


def test_a_settled_file_holds_nobody_up_and_is_nobodys_task(desk):
    """Where nothing can be done: its audience goes on, and no list of open files names it."""
    name = desk.sent(Write(1, 7))
    ledger = desk.site.ledger
    assert {one.account for one in ledger.awaited("a")} == {"a"}
    told = f"{name}: settled: nothing is waited for on its account, and nobody is told of it any more\n"
    assert desk.ask("files", "settle", name) == (0, told, "")
    assert ledger.awaited("a") == frozenset()
    ledger.reject(name, detail="bad header")
    assert not ledger.file(name).open
    assert "settled" in desk.ask("files", "list")[1]
    assert "nothing: it was settled" in desk.ask("status", "--file", name)[1]
    desk.site.remote.fault = lambda _: Fault.CUT
    desk.site.give(Write(1, 8))
    desk.site.until(lambda: desk.site.remote.tried[1:])
    begun = ledger.names()[0]
    refused = f"{begun}: it is uploading, and the bridge is not through with it\n"
    assert desk.ask("files", "settle", begun) == (1, "", refused)
