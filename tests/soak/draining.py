"""I11: once all is well, everything is delivered."""

import json
import time
from collections.abc import Iterator

from confluent_kafka import KafkaException

from tests.parts.bridging import committed, end
from tests.soak.feed import MAIN, TIGHT
from tests.soak.judge import Finding, finding
from tests.soak.site import Site
from tests.soak.truth import Truth

PATIENCE = 90.0
"""Seconds: above the pause before a file's second further attempt."""

UNFINISHED = ("built", "uploading")


def drain(site: Site, truth: Truth) -> tuple[Finding, float]:
    """The running bridge delivers what has room; with a larger quota, another one delivers the rest.

    Returns:
        What came of it, and when the quota was raised, epoch seconds.
    """
    began = time.monotonic()
    left = _left(site, truth)
    while left and time.monotonic() - began < PATIENCE:
        time.sleep(1)
        left = _left(site, truth)
    faults = [f"after {PATIENCE:.0f} s: {one}" for one in left]
    alone = time.monotonic() - began
    site.keeper.stop()
    raised_at = time.time()
    site.raise_quota()
    faults += _drain_rest(site)
    said = f"{alone:.0f} s beside the small quota, {time.monotonic() - began - alone:.0f} s for the rest"
    return finding("I11 drains", said, faults), raised_at


def _left(site: Site, truth: Truth) -> list[str]:
    """What is not yet consumed, or waits though its account has room."""
    try:
        commits = committed(site.kafka, site.config, MAIN, TIGHT)
    except KafkaException as failure:
        return [f"the broker does not answer: {failure}"]
    if commits != truth.ends:
        return [f"committed up to {commits}, the topics end at {truth.ends}"]
    return list(_waiting(site))


def _waiting(site: Site) -> Iterator[str]:
    told = site.bridge.call("status", "--json")
    if told.returncode:
        yield f"status ended with {told.returncode}: {told.stderr.strip()}"
        return
    status = json.loads(told.stdout)
    for audience in status["audiences"]:
        if audience["account"] == "main":
            yield f"{audience['pending_memberships']} memberships of {audience['client']} wait"
    for file in status["files"]:
        if file["account"] == "main" and file["state"] in UNFINISHED:
            yield f"{file['name']} is {file['state']}"


def _drain_rest(site: Site) -> list[str]:
    process = site.bridge.start("--until-end")
    try:
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if process.poll() is None:
            return [f"run --until-end has not ended after {PATIENCE:.0f} s"]
        return [f"run --until-end ended with {process.returncode}"] if process.returncode else []
    finally:
        end(process)
