"""The stand-in as its user has it: real SFTP by the product's own client, real HTTP, restarts."""

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import httpx2 as httpx
import pytest
import yaml

from bridge.cli import main
from bridge.clock import DAY, HOUR, MINUTE, SECOND, SystemClock
from bridge.config import SftpSettings
from bridge.config.platform import ProcessingLogSettings
from bridge.deliver.remote import Outcome, Reason, UploadFailed
from bridge.deliver.sftp import SftpRemote
from bridge.errors import BridgeError, UsageError
from bridge.sandbox import assumptions
from bridge.sandbox.control import FAULTS, RESUME
from bridge.sandbox.faults import Kind
from bridge.sandbox.limits import Limits
from bridge.sandbox.order import Order
from bridge.sandbox.processing import Abandoned
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import LOG_PATH, Address, Settings
from bridge.sandbox.site import SandboxSite
from tests.parts.clocks import SetClock
from tests.parts.waiting import until
from tests.sandbox.test_loader import SEED

ROOT = Path(__file__).parents[2]
START = 1_793_491_200_000 + 20 * MINUTE
FILES = ["client-secret", "files", "host_key", "lock", "sftp-password"]
LOOPBACK = Address(host="127.0.0.1", port=0)
ANN, BOB = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7", "3d3353c3-9a67-4651-a443-a6d7e1c4fde8"


class Site:
    """A directory, a partner's client, and a sandbox `running` as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SetClock(START)
        self.place = SandboxSite(directory / "sandbox")
        self.one: Sandbox | None = None
        self.http = httpx.Client(timeout=20)

    @contextmanager
    def running(self, **more: object):
        settings = Settings(**{"http": LOOPBACK, "sftp": LOOPBACK, "rules": Rules(account="u")} | more)
        with Sandbox(self.place, settings, self.clock) as self.one:
            yield self.one

    def remote(self, suffix: str | None = ".part") -> SftpRemote:
        assert self.one
        sftp = SftpSettings(
            host="127.0.0.1",
            port=self.one.sftp.port,
            username="u",
            password_file=self.place.password_file,
            host_key=self.one.host_key,
            temporary_suffix=suffix,
        )
        return SftpRemote(sftp, self.clock)

    def put(self, number: int, *rows: str, content: bytes | None = None, suffix: str | None = ".part") -> str:
        """Upload a file as the product does; its name."""
        name = f"Agency_Partner_20261101{number:04}.log.gz"
        header = f"Version: 3\nFileIdentifier: {name}\nDateCreated: 1793491200\nUserNamespace: mm\n"
        header += "SegmentNamespace: ep\nMobile: 0\nHashSegments: 0\n\n"
        text = header + "".join(f"{row}\n" for row in rows)
        self.send(name, gzip.compress(text.encode()) if content is None else content, suffix)
        return name

    def send(self, name: str, content: bytes, suffix: str | None = ".part") -> None:
        local = self.directory / "built"
        local.write_bytes(content)
        self.remote(suffix).upload(local, name, lambda _: None)

    def get(self, path: str = LOG_PATH, *, known: bool = True, **more: object) -> httpx.Response:
        login = {"auth": ("u", self.place.password)} if known else {}
        return self.http.get(f"http://{self.one.http}{path}", **login, **more)

    def post(self, path: str, **asked: object) -> httpx.Response:
        return self.http.post(f"http://{self.one.http}{path}", json=asked)

    def log(self) -> dict[str, str]:
        """Names and statuses, in the log's order."""
        return {one["file"]: one["status"] for one in self.get().json()["data"]}

    def done(self, count: int) -> None:
        """Wait until so many files are processed."""
        until(lambda: list(self.log().values()).count("received") == 0 and len(self.log()) == count, "files")

    def state(self) -> dict[str, dict[str, int]]:
        platform = self.one.processing.platform
        return {
            user: platform.memberships(audience, user)
            for audience in platform.audiences()
            for user in platform.users(audience)
        }


@pytest.fixture
def site(tmp_path: Path):
    one = Site(tmp_path)
    yield one
    one.http.close()


def test_from_upload_to_log(site: Site):
    """What the product uploads is loaded; the log tells of it, and of a corrupted file, by its fields."""
    with site.running():
        first = site.put(1, f"{ANN} 1:0 2:5", "nobody 1:0")
        second = site.put(2, content=b"no gzip")
        site.done(2)
        answer = site.get().json()
        assert answer["meta"] == {"status": "ok", "offset": 0, "count": 2, "total": 2}
        good, bad = answer["data"]
        moment = "2026-11-01T00:20:00Z"
        reason = "the user id is not a UUID, as the header's UserNamespace and Mobile want it"
        assert good | {"bytes": 0} == {
            "file": first,
            "status": "loaded",
            "received_at": moment,
            "processed_at": moment,
            "bytes": 0,
            "lines_accepted": 1,
            "lines_refused": 1,
            "reason": None,
            "warnings": [],
            "errors": [{"line": 10, "reason": reason}],
        }
        assert (bad["file"], bad["status"], bad["bytes"]) == (second, "rejected", 7)
        assert bad["reason"].startswith("not gzip, or damaged")
        assert site.state() == {ANN: {"1": START // SECOND, "2": 5}}


def test_the_document_says_what_is_so(site: Site):
    """docs/sandbox.md: the log's answer, but for sizes; every fault there is; every assumption."""
    document = (ROOT / "docs" / "sandbox.md").read_text()
    shown = document[document.index("json.tool\n{") : document.index("```\n\n`received`")]
    want = json.loads(shown.removeprefix("json.tool\n"))
    with site.running():
        name = "Example_Partner_201407302300.log.gz"
        content = SEED.replace("ExamplePartner_X_201407302300.log.gz", name) + "nobody 1:0\n"
        packed = gzip.compress(content.encode())
        site.send(name, packed)
        site.send("Example_Partner_201407302301.log.gz", packed[:-20])
        site.done(2)
        answer = site.get().json()
    sizes = [{"bytes": one["bytes"]} for one in want["data"]]
    data = [one | size for one, size in zip(answer["data"], sizes, strict=True)]
    assert answer | {"data": data} == want
    assert document.endswith(assumptions.text())
    assert len(assumptions.assumptions()) == len(assumptions.text().splitlines())
    for kind in Kind:
        assert f"| `{kind}` |" in document


def test_the_page_tells_of_files_and_audiences(site: Site):
    """Verdicts, counts, quotas and every assumption stand on it, and no user; it runs no script."""
    with site.running(limits=Limits(files_per_hour=2)):
        name = site.put(1, f"{ANN} 1:0 2:4102444800 3:5", f"{BOB} -1 9999999:0", "nobody <b>:0")
        site.put(2, content=b"no gzip")
        site.done(2)
        with pytest.raises(UploadFailed):
            site.put(3, f"{ANN} 1:0")
        answer = site.get("/", known=False)
    page = answer.text
    assert answer.status_code == 200
    assert "script-src" in answer.headers["Content-Security-Policy"]
    assert "<script" not in page
    assert name in page
    assert "1 file loaded, 1 rejected, 0 wait" in page
    assert "2 of 2" in page
    assert "more than 2 files in hour" in page
    assert "(global)/mm/ep/display" in page
    assert re.search(r">1</td>.*>3</td>.*later than now\" class=\"number\">1</td>.*>3</td>", page)
    assert "Leading -1" in page
    assert ANN not in page
    assert "&lt;b&gt;" not in page


def test_quotas_are_the_platforms(site: Site):
    """Files by the hour, bytes by the day, bytes a file: refused at SFTP, open again at the reset."""
    with site.running(limits=Limits(files_per_hour=3, bytes_per_day=9_000, bytes_per_file=6_000)):
        noise = os.urandom(5_000)
        site.put(1, content=noise)
        with pytest.raises(UploadFailed) as day:
            site.put(2, content=noise)
        with pytest.raises(UploadFailed) as size:
            site.put(3, content=os.urandom(7_000))
        with pytest.raises(UploadFailed) as hour:
            site.put(4, content=b"")
        site.clock.at += HOUR
        site.put(5, content=b"small")
        site.clock.at += DAY
        site.put(6, content=noise)
    assert [one.value.reason for one in (day, hour)] == [Reason.QUOTA, Reason.QUOTA]
    assert hour.value.outcome is Outcome.NOT_OPENED
    assert "is too large: 6000 bytes at most" in str(size.value)
    assert size.value.reason is not Reason.QUOTA


@pytest.mark.failure(57)
def test_limits_are_met_to_the_byte(site: Site):
    """A file and a day may be exactly as large as allowed; a byte more is refused."""
    with site.running(limits=Limits(bytes_per_day=6_001, bytes_per_file=6_000)):
        with pytest.raises(UploadFailed, match="too large"):
            site.put(1, content=os.urandom(6_001))
        site.put(2, content=os.urandom(6_000))
        site.put(3, content=b"x")
        with pytest.raises(UploadFailed, match="quota exceeded"):
            site.put(4, content=b"x")
        assert [path.name[-11:-7] for path in sorted(site.place.files.iterdir())] == ["0002", "0003"]


def test_a_restart_changes_nothing(site: Site):
    """State and log are as before, moments of processing too; what waited has its turn; nothing twice."""
    site.clock.at = SystemClock().now() + SECOND
    with site.running(limits=Limits(files_per_hour=4)):
        site.put(1, f"{ANN} 1:0 2:5")
        site.put(2, content=b"no gzip")
        site.done(2)
        before, entries = site.state(), site.get().json()["data"]
        key = site.one.host_key
    site.clock.at += MINUTE
    with site.running(limits=Limits(files_per_hour=4), order=Order(delay=HOUR)):
        site.put(3, f"{ANN} 3:0")
        assert site.log()["Agency_Partner_202611010003.log.gz"] == "received"
    (site.place.files / "Agency_Partner_202611010004.log.gz.part").write_bytes(b"not yet here")
    with site.place.journal.open("ab") as journal:
        journal.write(b'{"name": "cut sh')
    site.clock.at += 2 * MINUTE
    with site.running(limits=Limits(files_per_hour=4)):
        site.done(3)
        assert site.one.host_key == key
        assert site.get().json()["data"][:2] == entries
        assert site.state() == {ANN: before[ANN] | {"3": site.clock.at // SECOND}}
    with site.running(limits=Limits(files_per_hour=4)):
        statuses = [one["status"] for one in site.get().json()["data"]]
        assert statuses == ["loaded", "rejected", "loaded"]


def test_a_rejected_file_that_was_sent_again_is_not_forgotten(site: Site):
    """It waited when the sandbox stopped: the next start loads it, and the first try stays in the log."""
    site.clock.at = SystemClock().now() - MINUTE
    with site.running():
        site.put(1, content=b"no gzip", suffix=None)
        site.done(1)
    with site.running(order=Order(delay=HOUR)):
        site.put(1, f"{ANN} 1:5", suffix=None)
    site.clock.at += 2 * MINUTE
    with site.running():
        until(lambda: [one["status"] for one in site.get().json()["data"]] == ["rejected", "loaded"], "both")
        assert site.state() == {ANN: {"1": 5}}


def test_a_stop_does_not_wait_for_a_file(site: Site):
    """What is under way is left, not noted, and has its turn at the next start."""
    with site.running(order=Order(delay=HOUR)) as sandbox:
        name = site.put(1, f"{ANN} 1:5")
        processing = sandbox.processing
    site.clock.at += HOUR
    with pytest.raises(Abandoned):
        processing._step()
    assert not site.place.journal.exists()
    site.clock.at = SystemClock().now() + MINUTE
    with site.running():
        until(lambda: site.log() == {name: "loaded"}, name)


def test_after_a_restart_the_hour_is_not_new(site: Site):
    """Files that arrived before it count."""
    with site.running(limits=Limits(files_per_hour=1)):
        site.put(1, f"{ANN} 1:0")
        site.done(1)
    with site.running(limits=Limits(files_per_hour=1)):
        with pytest.raises(UploadFailed) as failure:
            site.put(2, f"{ANN} 1:0")
        assert failure.value.reason is Reason.QUOTA


def test_a_loaded_file_that_was_changed_stops_the_restart(site: Site):
    """It says which file, rather than hold another state than the log tells of."""
    with site.running():
        name = site.put(1, f"{ANN} 1:0")
        site.done(1)
    (site.place.files / name).write_bytes(b"other")
    with pytest.raises(BridgeError, match=rf"{name} was loaded, and is not there as it was"), site.running():
        pass


def test_rules_under_which_a_loaded_file_is_none_stop_the_restart(site: Site):
    """The file is as it was, so it is the options that are to be looked at."""
    with site.running():
        site.put(1, f"{ANN} 1:0")
        site.done(1)
    other = Rules(account="u", segment_namespaces=frozenset({"zz"}))
    told = r"\(unknown SegmentNamespace ep\): put it back, start with the options of then, or begin in a new"
    with pytest.raises(BridgeError, match=told), site.running(rules=other):
        pass


def test_two_sandboxes_do_not_share_a_directory(site: Site):
    """The second says who has it."""
    with site.running(), pytest.raises(BridgeError, match=r"is used by process [0-9]+"), site.running():
        pass


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path):
    """Nothing is written into it."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="holds something else"):
        SandboxSite(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_out_of_order(site: Site):
    """Files are processed in another order than they came in, the same one for the same seed, and all are."""
    order = Order(spread=HOUR, seed=3)
    with site.running(order=order):
        names = [site.put(number, f"{ANN} 1:{number}") for number in range(1, 6)]
        due = sorted(names, key=lambda name: order.due_at(name, START))
        assert due != names
        assert set(site.log().values()) == {"received"}
        processed = []
        for name in due:
            site.clock.at = order.due_at(name, START)
            until(lambda name=name: site.log()[name] == "loaded", name)
            processed.append([one for one, status in site.log().items() if status == "loaded"])
        assert [set(one) for one in processed] == [set(due[: at + 1]) for at in range(5)]
        assert list(site.log()) == names
        last = int(due[-1].removesuffix(".log.gz")[-4:])
        assert site.state() == {ANN: {"1": last}}


@pytest.mark.parametrize("suffix", [".part", None])
def test_a_name_is_loaded_once(site: Site, suffix: str | None):
    """A loaded file is neither replaced nor removed; a rejected one may be sent again, and is loaded then."""
    with site.running():
        name = site.put(1, content=b"no gzip", suffix=None)
        site.done(1)
        assert site.log() == {name: "rejected"}
        site.clock.at += MINUTE
        site.put(1, f"{ANN} 1:0", suffix=None)
        until(lambda: [one["status"] for one in site.get().json()["data"]] == ["rejected", "loaded"], "both")
        with pytest.raises(UploadFailed):
            site.put(1, f"{ANN} 1:0 2:0", suffix=suffix)
        assert site.state() == {ANN: {"1": (START + MINUTE) // SECOND}}
        assert site.remote().exists(name)


async def _tampering(port: int, password: str, name: str) -> list[str]:
    refused = []
    async with (
        asyncssh.connect("127.0.0.1", port, username="u", password=password, known_hosts=None) as connection,
        connection.start_sftp_client() as sftp,
    ):
        tries = {
            "remove": lambda: sftp.remove(name),
            "rename": lambda: sftp.rename(name, "x"),
            "over": lambda: sftp.posix_rename("other", name),
            "truncate": lambda: sftp.truncate(name, 1),
            "mkdir": lambda: sftp.mkdir("folder"),
            "symlink": lambda: sftp.symlink("/etc/passwd", "link"),
            "name": lambda: sftp.put(__file__, b"a\xff\n"),
        }
        async with sftp.open("other", "wb") as file:
            await file.write(b"x")
        for what, attempt in tries.items():
            try:
                await attempt()
            except asyncssh.SFTPError:
                refused.append(what)
        await sftp.setstat(name, asyncssh.SFTPAttrs(atime=1, mtime=1))
    return refused


def test_a_partner_cannot_undo_what_is_loaded(site: Site):
    """Neither removed, renamed, replaced nor cut; no folders and links. Times may be set, as clients do."""
    with site.running():
        name = site.put(1, f"{ANN} 1:0")
        site.done(1)
        refused = asyncio.run(_tampering(site.one.sftp.port, site.place.password, name))
    assert refused == ["remove", "rename", "over", "truncate", "mkdir", "symlink", "name"]
    assert sorted(path.name for path in site.place.files.iterdir()) == [name, "other"]


def test_inefficient_files_suspend_processing_until_it_is_resumed(site: Site):
    """The file itself is loaded, the next waits, and the page says why."""
    with site.running(rules=Rules(account="u", suspend_above=0.4), control=True):
        site.put(1, f"{ANN} 1:5", f"{ANN} 2:5")
        site.done(1)
        second = site.put(2, f"{ANN} 3:5")
        assert "Automatic processing is suspended" in site.get("/").text
        assert site.log()[second] == "received"
        assert site.post(RESUME).status_code == 200
        site.done(2)
        assert "suspended" not in site.get("/").text.split("What is assumed")[0]


def test_paging_and_log_in(site: Site):
    """Pages by offset, an empty one behind the last; whoever is unknown is told so, as are bad offsets."""
    with site.running(page_size=2):
        names = [site.put(number, content=b"x") for number in range(3)]
        until(lambda: len(_all(site)) == 3, "3 files")
        assert _all(site) == names
        assert site.get(params={"offset": "3"}).json()["data"] == []
        assert site.get(params={"offset": str(10**11)}).json()["data"] == []
        for bad in ("-1", "x", "1e3", "9" * 5000, "٣"):
            answer = site.get(params={"offset": bad})
            assert (answer.status_code, answer.json()["meta"]) == (400, {"status": "error"})
        for login in (None, ("u", "wrong"), ("other", site.place.password), ("u", "ü")):
            answer = site.http.get(f"http://{site.one.http}{LOG_PATH}", auth=login)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert site.get(headers={"Authorization": "Basic !"}, known=False).status_code == 401
        missing = site.get("/other")
        assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "not-found")


def _all(site: Site) -> list[str]:
    """Names of all pages, read as a client does."""
    names: list[str] = []
    while page := site.get(params={"offset": str(len(names))}).json()["data"]:
        names += [one["file"] for one in page if one["status"] != "received"]
        if any(one["status"] == "received" for one in page):
            break
    return names


def test_faults_on_demand(site: Site):
    """Each is met by as many requests as asked for; then all is well again."""
    with site.running(control=True, page_size=1):
        names = [site.put(number, content=b"x") for number in range(2)]
        until(lambda: len(_all(site)) == 2, "2 files")
        assert site.post(FAULTS, fault="too_many_requests", times=2, seconds=7).status_code == 200
        for _ in range(2):
            answer = site.get()
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
            assert answer.json()["errors"][0]["code"] == "too-many-requests"
        for fault, status in (("unavailable", 503), ("server_error", 500)):
            site.post(FAULTS, fault=fault)
            assert site.get().status_code == status
        site.post(FAULTS, fault="not_json")
        with pytest.raises(json.JSONDecodeError):
            site.get().json()
        site.post(FAULTS, fault="repeated_page")
        page = [site.get(params={"offset": "1"}).json()["data"][0]["file"] for _ in range(2)]
        assert page == names
        site.post(FAULTS, fault="slow", seconds=1)
        with pytest.raises(httpx.ReadTimeout):
            site.get(timeout=0.3)
        assert site.get().status_code == 200


def test_the_control_is_off_and_for_this_machine_alone(site: Site):
    """Not there unless asked for; then neither under another name nor without JSON, and nonsense is told."""
    with site.running():
        assert site.post(FAULTS, fault="slow").status_code == 404
    with site.running(control=True):
        url = f"http://{site.one.http}{FAULTS}"
        content = b'{"fault": "unavailable"}'
        json_type = {"Content-Type": "application/json"}
        assert site.http.post(url, content=content).status_code == 403
        other = json_type | {"Host": "evil.example"}
        assert site.http.post(url, content=content, headers=other).status_code == 403
        for bad in (b"{", b"[]", b'{"fault": "x"}', b'{"fault": "slow", "seconds": 99999}', b"[" * 9_000):
            assert site.http.post(url, content=bad, headers=json_type).status_code == 400
        assert site.get().status_code == 200


def test_the_command(tmp_path: Path):
    """It says how to point a bridge at it, is there, ends at SIGTERM in order, and leaves its directory."""
    place = tmp_path / "place"
    options = ["--listen", "127.0.0.1:0", "--sftp", "127.0.0.1:0", "--files-per-hour", "7"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "sandbox", "--directory", str(place), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Runs until"):
                break
        said = "".join(lines)
        account = yaml.safe_load(said[said.index("accounts:") : said.index("Runs until")])["accounts"][0]
        assert account["quota"]["files_per_hour"] == 7
        SftpRemote(SftpSettings(**account["sftp"]), SystemClock()).check()
        log = ProcessingLogSettings(**account["platform"]["processing_log"])
        assert httpx.get(f"{log.url}{log.path}").status_code == 401
        assert httpx.get(said.split("Audience segments")[1].split(",")[0].strip()).status_code == 401
        page = httpx.get(said.split("Page")[1].split()[0])
        assert "No file was received yet" in page.text
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert sorted(path.name for path in place.iterdir()) == FILES
    assert place.joinpath("sftp-password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--listen", "8081", "write host:port"),
        ("--sftp", "127.0.0.1:99999", "write host:port"),
        ("--bytes-per-day", "1KB", "write at least 1MB"),
        ("--max-file-bytes", "5GB", "write 1 to 4GB"),
        ("--delay", "soon", "is no duration"),
        ("--username", "a:b", "printable ASCII without a colon"),
        ("--log-path", "/", "not be /, which is the page"),
        ("--api-path", "dmp", "must begin with a slash"),
        ("--grant", "organization=x", "write organization=ID, agency=ID, advertiser=ID"),
        ("--expiry", "500ms", "write at least 1s"),
    ],
)
def test_wrong_options_are_told_in_a_line(capsys, tmp_path: Path, option: str, value: str, said: str):
    """Exit 2, the option named, and nothing is made."""
    assert main(["sandbox", "--directory", str(tmp_path / "new"), option, value]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert option in err
    assert said in err
    assert not (tmp_path / "new").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path):
    """No asyncssh: one line that names the extra, exit 2; and no other command needs it."""
    code = "import sys; sys.modules['asyncssh'] = None; import bridge.cli; sys.exit(bridge.cli.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "sandbox", "--directory", str(tmp_path / "new")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 's2s-bridge[demo]'" in done.stderr
    assert not (tmp_path / "new").exists()
