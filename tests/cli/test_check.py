"""`s2s-bridge check`, and how every command turns an error into a line and an exit code."""

import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import structlog
import typer

from bridge import cli
from bridge.errors import BridgeError, UsageError

ROOT = Path(__file__).parents[2]

GOOD = """\
kafka: {bootstrap_servers: "kafka:9092"}
accounts:
  - name: default
    agency: AgencyName
    partner: PartnerName
    sftp: {host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}
streams:
  - {name: acme, topics: [acme], format: json, segment_namespace: "${SEGMENT_NAMESPACE}"}
  - {name: other, topics: [other], format: json, segment_namespace: ep, client: Other}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGMENT_NAMESPACE", "ep")
    (tmp_path / "password").write_text("hunter2\n", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.fixture
def failing(monkeypatch):
    """Makes a command of its own that raises what it is given, and runs it."""

    def run(error):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

        @app.command()
        def fail():
            raise error

        monkeypatch.setattr(cli, "app", app)
        return cli.main([])

    return run


def test_a_good_configuration(config, capsys):
    """One line says what there is, and the exit code is 0."""
    assert cli.main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("configuration is good: 1 account, 2 streams\n", "")


def test_a_stream_whose_users_are_translated_is_good(config, capsys):
    """With the defaults of identify, and beside one whose ids are sent as they are."""
    identify = "inventory: display, identify: {from: acme}}"
    config.write_text(GOOD.replace("client: Other}", f"client: Other, {identify}"), encoding="utf-8")
    assert cli.main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("configuration is good: 1 account, 2 streams\n", "")


def test_each_fault_is_a_line_with_its_path(config, capsys):
    """A bad configuration: a line a fault on stderr, nothing else, exit code 2."""
    config.write_text(
        GOOD.replace("client:", "clinet:").replace("port", "prot") + "htpp: {}\n", encoding="utf-8"
    )
    assert cli.main(["check", "--config", str(config)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "streams[1].clinet: unknown key; did you mean client?",
        "htpp: unknown key; did you mean http?",
    ]


def test_a_missing_secret_is_a_fault(config, capsys):
    """The key and the file are named."""
    (config.parent / "password").unlink()
    assert cli.main(["check", "--config", str(config)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"accounts[0].sftp.password_file: cannot read {config.parent / 'password'}: No such file"
    )


def test_a_variable_that_is_not_set(config, capsys, monkeypatch):
    """The process's environment fills in `${NAME}`."""
    monkeypatch.delenv("SEGMENT_NAMESPACE")
    assert cli.main(["check", "--config", str(config)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("streams[0].segment_namespace: environment variable SEGMENT_NAMESPACE is not set")


def test_the_version(capsys):
    """As pyproject.toml has it, without any other option."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"s2s-bridge {stated}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["chekc"],
        ["check", "--config"],
        ["check", "--confgi", "f"],
        ["--verbose"],
        ["check", "x"],
    ],
)
def test_wrong_usage_is_one_line(arguments, capsys):
    """What the command line does not allow: one line on stderr, exit code 2."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("s2s-bridge: ")


def test_help_is_no_error(capsys):
    """Help stands on stdout, in plain text, with exit code 0."""
    assert cli.main(["check", "--help"]) == 0
    out, err = capsys.readouterr()
    assert "--config F" in out
    assert err == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            BridgeError("broker kafka:9092: does not answer;\nstart it"),
            1,
            "broker kafka:9092: does not answer; start it",
        ),
        (UsageError("--from: is after --to; swap them"), 2, "--from: is after --to; swap them"),
    ],
)
def test_errors_are_one_line(failing, capsys, error, code, line):
    """An error of ours is its text on one line, whatever it holds."""
    assert failing(error) == code
    assert capsys.readouterr().err == f"s2s-bridge: {line}\n"


def test_a_bug_is_one_line_that_quotes_nothing(failing, capsys):
    """An unforeseen error names its kind and place; its message might hold a user id. No traceback."""
    assert failing(ValueError("user 0f0e1bc4 has no segment")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("s2s-bridge: bug: ValueError in fail, line ")
    assert "0f0e1bc4" not in line


def test_a_bugs_traceback_is_in_the_log_at_level_debug(monkeypatch, capsys):
    """Where a verb has set the log to debug, the traceback is there."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fail():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
        raise ValueError

    monkeypatch.setattr(cli, "app", app)
    assert cli.main([]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (typer.Exit(1), 1), (typer.Exit(), 0)]
)
def test_what_ends_a_command_without_a_word(failing, capsys, error, code):
    """An interrupt, or a verb that has said all itself."""
    assert failing(error) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [["taxonomy", "get", "abc", "--config", "bridge.yaml"], ["check"]])
def test_wrong_usage_is_a_reason_and_a_remedy(capsys, arguments):
    """Whether or not the reason comes as a sentence with a full stop."""
    assert cli.main(arguments) == 2
    assert re.fullmatch(r"s2s-bridge: [^.;]+; see s2s-bridge --help\n", capsys.readouterr().err)


def test_python_m_bridge_is_the_command(config):
    """`python -m bridge` runs it, with its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "check", "--config", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "configuration is good: 1 account, 2 streams\n")
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
