"""Taxonomies: what an account's segments are called, what they cost, and who may see them.

| module | on the way from a file to a file |
|---|---|
| reading | opens a file by its suffix, bounded; gives the taxonomy and every fault |
| table | CSV: lines, header, rows |
| json_values, yaml_values | JSON and YAML as marked values (value): each knows its line and column |
| document | marked values as a taxonomy: the API's requests and answers, and YAML of the same keys |
| fields, names | the text of one field: code, uniques, price, flag; names and their HTML entities |
| tree | rows become nodes: paths, codes, ids, parents, prices; what the seed's rules say of them together |
| model | the frozen taxonomy |
| matching, difference | which node is which of another taxonomy, and what becomes of it |
| fingerprint | whether two are the same, for those who keep no copy |
| render | the taxonomy as CSV, YAML, JSON, and as bodies of requests |

Source of the rules: the seed audience_segments_api, Taxonomy Format and Operations; told in docs/taxonomy.md.
Nothing here knows a stream, an account or the network.
"""

from bridge.taxonomy.difference import (
    Change,
    Difference,
    FieldChange,
    Kind,
    Permission,
    all_new,
    difference,
    merged,
    unknown_ids,
)
from bridge.taxonomy.fault import Fault, Faults, Severity
from bridge.taxonomy.fingerprint import fingerprint
from bridge.taxonomy.model import Node, Path, Permissions, Taxonomy
from bridge.taxonomy.reading import Reading, form_of, read, read_bytes
from bridge.taxonomy.render import Form, creation, lost, price_text, update, written
from bridge.taxonomy.rules import Rules

__all__ = [
    "Change",
    "Difference",
    "Fault",
    "Faults",
    "FieldChange",
    "Form",
    "Kind",
    "Node",
    "Path",
    "Permission",
    "Permissions",
    "Reading",
    "Rules",
    "Severity",
    "Taxonomy",
    "all_new",
    "creation",
    "difference",
    "fingerprint",
    "form_of",
    "lost",
    "merged",
    "price_text",
    "read",
    "read_bytes",
    "unknown_ids",
    "update",
    "written",
]
