"""One file's way, asked beside a real bridge, which is killed; its server is away, freezes, is back."""

import hashlib
import json

import pytest

from tests.faults.site import Site
from tests.parts.bridging import delivered, end, ends
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]


@pytest.fixture
def site(kafka, sshd, tmp_path):
    return Site(kafka, sshd, tmp_path, "file.way")


def told(site, name):
    """The object of `status --file`."""
    done = site.bridge.call("status", "--json", "--file", name)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.failure(50)
def test_the_way_of_a_file(site):
    """No server took it, then the process died in its attempt, then it arrived: told as it went."""
    site.config["window"]["max_age"] = "2s"  # all that is there makes one run, and a file an audience
    site.sshd.stop()
    site.write()
    with site.running() as process:
        (failed, *_) = site.bridge.wait_for("upload_failed")
        name = failed["file"]
        site.sshd.start()
        site.sshd.freeze()
        until(lambda: lines(site, name)[-1]["action"] == "upload_begun", "an attempt that is not refused")
        end(process)
    way = told(site, name)
    assert way["file"]["state"] == "uploading"
    *refused, last = way["attempts"]
    assert {(one["outcome"], one["reason"]) for one in refused} == {("given_back", "refused")}
    assert (last["attempt"], last["ended_at"], last["outcome"]) == (len(refused) + 1, None, None)
    assert "If it has died, start it" in way["to_do"]
    site.sshd.thaw()
    site.drain()
    site.check()
    way = told(site, name)
    assert [one["outcome"] for one in way["attempts"]] == [
        *["given_back"] * len(refused),
        "unknown",
        "uploaded",
    ]
    file, (path,) = way["file"], [path for path in delivered(site.sshd) if path.name == name]
    assert (file["state"], file["bytes"]) == ("uploaded", path.stat().st_size)
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    (run,) = way["runs"]
    taken = {at["partition"]: (at["first_offset"], at["next_offset"]) for at in run["offsets"]}
    assert taken == {partition: (0, behind) for partition, behind in ends(site.events).items()}
    assert [one["run"] for one in site.bridge.events("run_sealed")] == [run["run"]]
    assert [one["action"] for one in lines(site, name)] == [
        "name_reserved",
        "file_built",
        *["upload_begun", "upload_failed"] * len(refused),
        "upload_begun",
        "attempt_left_open",
        "upload_begun",
        "file_uploaded",
    ]


def lines(site, name):
    """What somebody finds in the log who looks for a file's name."""
    return [one for one in site.bridge.lines() if one.get("file") == name]
