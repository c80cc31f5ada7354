"""The seed's own examples."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.taxonomy import (
    Form,
    Permissions,
    Rules,
    Severity,
    creation,
    read,
    read_bytes,
    update,
    written,
)

SEEDS = Path(__file__).parent / "fixtures"
RULES = Rules()


def test_the_sample_passes():
    """The seed's sample CSV has no fault and no warning, and holds what it says."""
    reading = read(SEEDS / "seed_sample.csv", RULES)
    assert (reading.faults, reading.good) == ((), True)
    taxonomy = reading.taxonomy
    assert (taxonomy.nodes, taxonomy.segments) == (13, 8)
    node = taxonomy.at(("BlueKai", "Group 1", "Segment 3"))
    assert (node.code, node.uniques, node.wholesale_cpm, node.retail_cpm, node.buyable) == (
        "245244",
        661_664,
        Decimal("0.85"),
        Decimal(1),
        True,
    )
    assert taxonomy.path_of("245251") == ("BlueKai", "Group 2", "Segment 10")


def test_the_create_example_is_made_exactly_from_yaml():
    """A YAML file gives the body of the seed's example: each key, value and kind, and their order."""
    expected = (SEEDS / "seed_example.json").read_text()
    taxonomy = read(SEEDS / "seed_example.yaml", RULES).taxonomy
    for text in (json.dumps(creation(taxonomy)), written(taxonomy, Form.JSON)):
        assert ordered(text) == ordered(expected)
    assert '"retail_cpm": 0,' in written(taxonomy, Form.JSON)


def ordered(text: str) -> object:
    return json.loads(text, object_pairs_hook=list, parse_float=str, parse_int=repr)


def test_the_create_example_is_read():
    """The example, tabs and all, is a good file, and the same taxonomy as its YAML."""
    reading = read(SEEDS / "seed_example.json", RULES)
    assert (reading.faults, reading.good) == ((), True)
    assert reading.taxonomy == read(SEEDS / "seed_example.yaml", RULES).taxonomy


def test_the_answer_is_read_with_its_ids():
    """What the platform answers keeps every id; an update of it says them, and leaves permissions alone."""
    reading = read(SEEDS / "seed_answer.json", RULES)
    assert (reading.faults, reading.good) == ((), True)
    taxonomy = reading.taxonomy
    assert (taxonomy.taxonomy_id, taxonomy.audience_vendor_id, taxonomy.root.id) == (100123, 2468, 1678332)
    assert [(node.code, node.id) for node in taxonomy.root.children] == [
        ("1234567", 1678334),
        ("1234568", 1678333),
    ]
    body = update(taxonomy)
    assert list(body) == ["audience_vendor_id", "taxonomy"]
    assert (body["taxonomy"]["id"], body["taxonomy"]["children"][0]["id"]) == (1678332, 1678334)
    assert "id" not in json.dumps(creation(taxonomy)["taxonomy"])


@pytest.mark.parametrize("form", [Form.YAML, Form.JSON])
def test_an_answer_is_kept_in_a_file(form):
    """A pulled taxonomy comes back from its file with all ids, and no word on permissions stays none."""
    taxonomy = read(SEEDS / "seed_answer.json", RULES).taxonomy
    again = read_bytes(written(taxonomy, form).encode(), "pulled", form, RULES)
    assert (again.taxonomy, again.faults) == (taxonomy, ())


def test_an_answer_may_have_more_than_we_know():
    """Keys that only the platform knows, and prices that it computed, are no faults in its answers."""
    content = json.loads((SEEDS / "seed_answer.json").read_text())
    content["data"] |= {"updated_by": 1, "visibility": "RESTRICTED", "permissions": {}}
    segment = content["data"]["taxonomy"]["children"][0]
    segment |= {"wholesale_cpm": 0.3333, "retail_cpm": 0.66666, "path": "x"}
    segment.pop("buyable")
    segment["name"] = "Сегмент"
    rules = Rules(any_places=True)
    reading = read_bytes(json.dumps(content, ensure_ascii=False).encode(), "answer", Form.JSON, rules)
    assert reading.faults == ()
    assert reading.taxonomy.root.children[0].wholesale_cpm == Decimal("0.3333")
    assert reading.taxonomy.permissions is None


def test_a_creation_lists_nobody_rather_than_nothing():
    """The API asks for permissions: a taxonomy of a CSV, which has none, is created with empty lists."""
    taxonomy = read(SEEDS / "seed_sample.csv", RULES).taxonomy
    assert creation(taxonomy)["permissions"] == {"organizations": [], "agencies": [], "advertisers": []}
    assert taxonomy.permissions is None
    assert (
        Permissions()
        == read_bytes(
            written(taxonomy, Form.JSON).encode(), "made.json", Form.JSON, RULES
        ).taxonomy.permissions
    )


def test_hashed_codes():
    """Codes that are texts are faults, until the file or the caller says that they are hashed."""
    text = b"taxonomy: {name: A, children: [{name: B, code: shoes-42, uniques: 1, retail_cpm: 1}]}\n"
    (fault,) = read_bytes(text, "a.yaml", Form.YAML, RULES).faults
    assert (fault.field, fault.severity) == ("code", Severity.FAULT)
    for content, rules in ((text + b"use_hash: true\n", RULES), (text, Rules(hashed=True))):
        taxonomy = read_bytes(content, "a.yaml", Form.YAML, rules).taxonomy
        assert creation(taxonomy)["use_hash"] is True
