"""A secret is read from a file, shows itself to nobody, and the file is looked at before it is trusted."""

import copy
import json
import logging
import os
import pickle
import traceback

import pytest
import structlog

from bridge import cli
from bridge.clock import SystemClock
from bridge.config import KafkaSettings, Secret, read_secret
from bridge.config.secret import LARGEST
from bridge.errors import BridgeError
from bridge.ingest.client_settings import client_settings
from bridge.observe import log

PLAIN = "correct-horse-battery-staple"

CONFIGURATION = """\
kafka:
  bootstrap_servers: kafka:9092
  properties: {properties}
  secret_properties: {{sasl.password: kafka-password}}
accounts:
  - name: default
    agency: AgencyName
    partner: PartnerName
    sftp: {{host: sftp.example.com, username: agency, password_file: password, known_hosts_file: hosts}}
streams:
  - {{name: acme, topics: [acme], format: json, segment_namespace: ep}}
"""


@pytest.fixture
def secret(tmp_path):
    """As it is read from its file."""
    (tmp_path / "password").write_text(PLAIN + "\n")
    return read_secret(tmp_path / "password")


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        format,
        ascii,
        lambda one: f"{one}{one!r}{one!s}{one:>40}",
        lambda one: "%s %r" % (one, one),  # noqa: UP031  # that it is formatted so is the point
        lambda one: "{} {!r}".format(one, one),  # noqa: UP032  # as above
        lambda one: repr([one, {"key": one}]),
        lambda one: json.dumps({"key": one}, default=str),
        lambda one: str(ValueError(one)),
    ],
)
def test_a_secret_shows_itself_in_no_text(secret, shown):
    """However it is printed, formatted or quoted, its text is not in there; `reveal` alone gives it."""
    assert PLAIN not in shown(secret)
    assert secret.reveal() == PLAIN


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_stays_where_it_was_read(secret, leave):
    """It is neither pickled nor copied, nor is the text that a library was given."""
    for one in (secret, secret.reveal()):
        with pytest.raises(TypeError, match="a secret is not pickled") as refusal:
            leave(one)
        assert PLAIN not in "".join(traceback.format_exception(refusal.value))


def test_secrets_are_compared_and_told_apart(secret):
    """Equal ones are equal, so that a rotated one can be told from the old."""
    assert secret == Secret(PLAIN)
    assert hash(secret) == hash(Secret(PLAIN))
    assert secret != Secret("other")
    assert secret != PLAIN


def test_the_settings_of_a_client_can_be_printed(tmp_path, secret):
    """The settings hold plain texts, and neither a log line nor a traceback's locals show one."""
    path = tmp_path / "password"
    kafka = KafkaSettings(
        bootstrap_servers="kafka:9092",
        properties={"sasl.username": "bridge", "ssl.key.password": PLAIN},
        secret_properties={"sasl.password": path},
    )
    settings = client_settings(kafka)
    assert settings["sasl.password"] == settings["ssl.key.password"] == secret.reveal()
    assert PLAIN not in repr(settings) + repr({"log_level": 0, **settings}) + f"{settings}"
    with pytest.raises(ZeroDivisionError) as failure:
        _fail(settings)
    shown = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    assert "sasl.username" in "".join(shown.format())
    assert PLAIN not in "".join(shown.format())


def _quote(secret):
    raise ValueError("a bug's message: " + secret.reveal())


def _fail(settings):
    return len(settings) // 0


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_in_a_log_line_is_not_in_the_log(secret, capsys, form):
    """A line that was handed a secret by mistake says that there was one; so does a bug's, at level debug."""
    log.configure(form=form, level="debug", clock=SystemClock())
    try:
        _quote(secret)
    except ValueError as bug:
        structlog.get_logger().debug("bug", exc_info=bug, secret=secret, plain=secret.reveal())
    err = capsys.readouterr().err
    assert "<secret>" in err
    assert "ValueError" in err
    assert f"{__name__.rpartition('.')[2]}.py" in err
    assert PLAIN not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless", "large"])
def test_a_secret_file_must_be_a_file(tmp_path, kind):
    """A pipe that nobody writes to, a folder, an endless device, a film: one line at once, and no waiting."""
    path = tmp_path / "secret"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(BridgeError) as failure:
        read_secret(path)
    assert str(failure.value).count("\n") == 0
    assert str(path) in str(failure.value)
    assert "; " in str(failure.value)


@pytest.fixture
def checked(tmp_path, capsys):
    """Runs `check` on a configuration with secret files of these modes; what it printed."""

    def check(properties="{}", **modes):
        (tmp_path / "bridge.yaml").write_text(CONFIGURATION.format(properties=properties))
        for name in ("kafka-password", "password", "hosts"):
            (tmp_path / name).write_text(PLAIN)
            (tmp_path / name).chmod(modes.get(name.replace("-", "_"), 0o600))
        assert cli.main(["check", "--config", str(tmp_path / "bridge.yaml")]) == 0
        out, err = capsys.readouterr()
        assert "configuration is good" in out
        assert PLAIN not in out + err
        return err.splitlines()

    return check


def test_check_warns_of_a_secret_that_every_user_may_read(tmp_path, checked):
    """A line for each such file, and no fault; its group may read it, and known_hosts is no secret."""
    assert checked() == []
    assert checked(password=0o640, kafka_password=0o440, hosts=0o644) == []
    assert checked(password=0o644, kafka_password=0o604) == [
        f"warning: {key}: every user may read {tmp_path / name} (mode {mode}); chmod o-r it"
        for key, name, mode in (
            ("kafka.secret_properties.sasl.password", "kafka-password", "0604"),
            ("accounts[0].sftp.password_file", "password", "0644"),
        )
    ]


def test_check_warns_of_a_secret_among_the_properties(checked):
    """A property that is a secret belongs into a file; it is used all the same, as any property is."""
    (warning,) = checked("{ssl.key.password: correct-horse-battery-staple, client.rack: a}")
    assert warning == (
        "warning: kafka.properties.ssl.key.password: holds a secret; "
        "put that into a file, and name it under kafka.secret_properties"
    )


def test_the_root_logger_is_not_ours(secret, caplog):
    """Python's own log, which a library may turn on, is handed no secret either."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("any").info("%s %r", secret, secret.reveal())
    assert PLAIN not in caplog.text
