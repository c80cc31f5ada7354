"""`make sbom`: the list of all that is shipped with the product is whole, and is made without a network."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import conftest

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    """As it is made of the lock file."""
    there = (ROOT / ".venv-audit" / "installed").exists() and shutil.which("make")
    conftest._need(None if there else "`make setup-audit` was not run")
    path = tmp_path_factory.mktemp("bill") / "bill.json"
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:1", "PATH": "/usr/bin:/bin"}
    make = ["make", "--silent", "-o", "setup-audit", "sbom", f"SBOM={path}"]
    done = subprocess.run(make, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())


def pinned():
    """Name, version and hashes of each package in the lock file."""
    found, name = {}, None
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if match := PINNED.match(line):
            name = match[1]
            found[name] = (match[2], set())
        if "--hash=sha256:" in line:
            found[name][1].add(line.split("sha256:")[1].split()[0])
    return found


def test_every_package_is_listed_with_its_version_and_hashes(bill):
    """What `make setup` installs is in it, no more and no less, with the hashes that the installer checks."""
    listed = {
        part["name"]: (
            part["version"],
            {one["content"] for reference in part["externalReferences"] for one in reference["hashes"]},
        )
        for part in bill["components"]
    }
    assert len(listed) > 40
    assert all(hashes for _, hashes in listed.values())
    assert listed == pinned()


def test_it_is_of_the_product(bill):
    """A CycloneDX document, whose subject is this product in this version."""
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    product = bill["metadata"]["component"]
    assert product["name"] == "s2s-bridge"
    assert f'version = "{product["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert all(part["purl"].startswith("pkg:pypi/") for part in bill["components"])
