"""Strategies for the chart's values: whatever its schema takes, and mostly such as fit together."""

from collections.abc import Mapping
from functools import cache

from hypothesis import strategies as st

from bridge.config.kinds import PRINTABLE

Schema = Mapping[str, object]

SAMPLE = " -~\u00a0\u00e4\u0416\u20ac\u540d\ufffd"
"""Some of all that is printable: Hypothesis looks at each character of a class."""
TEXT = f"[{PRINTABLE}]{{0,20}}"
AVSC = """{"type": "record", "name": "Event", "fields": [
  {"name": "user_id", "type": "string"}, {"name": "event_time", "type": "long"},
  {"name": "segments", "type": {"type": "array", "items": {"type": "record", "name": "Segment", "fields": [
    {"name": "segment_id", "type": "long"}, {"name": "timestamp", "type": "long"}]}}}]}"""


TAXONOMY = "full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\n|A,,,,,0\n|A|Cars,7,1000,0.50,1.00,1\n"


def drawn(schema: Schema) -> st.SearchStrategy:
    """Any value that a schema takes, of those that helm/values_schema.py writes."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kinds = schema["type"]
    return st.one_of([OF_TYPE[kind](schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _text(schema: Schema) -> st.SearchStrategy:
    texts = _matching(str(schema.get("pattern", f"^{TEXT}$")))
    least = schema.get("minLength", 0)
    return texts.filter(lambda text: len(text) >= least) if least else texts


@cache
def _matching(pattern: str) -> st.SearchStrategy:
    """Texts of a schema's pattern; without variables, of which none is set here."""
    body = pattern.removeprefix("^").removesuffix("$").replace(PRINTABLE, SAMPLE)
    return st.from_regex(body, fullmatch=True).filter(lambda text: "${" not in text)


def _integer(schema: Schema) -> st.SearchStrategy:
    return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31))


def _number(schema: Schema) -> st.SearchStrategy:
    least = schema.get("exclusiveMinimum", schema.get("minimum", -1e9))
    most = schema.get("exclusiveMaximum", schema.get("maximum", 1e9))
    open_ends = {"exclude_min": "exclusiveMinimum" in schema, "exclude_max": "exclusiveMaximum" in schema}
    return st.floats(least, most, **open_ends)


def _list(schema: Schema) -> st.SearchStrategy:
    return st.lists(drawn(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)


@st.composite
def _mapping(draw: st.DrawFn, schema: Schema) -> dict:
    known = {name: value for name, value in schema.get("properties", {}).items() if value is not False}
    required = list(schema.get("required", ()))
    for choice in ("oneOf", "anyOf"):
        branches = schema.get(choice, ())
        if branches:
            branch = draw(st.sampled_from(branches))
            required += branch["required"]
            known |= branch.get("properties", {})
            others = [name for other in branches for name in other["required"] if other is not branch]
            known = {name: value for name, value in known.items() if choice == "anyOf" or name not in others}
    optional = [name for name in known if name not in required]
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=6)) if optional else []
    made = {name: draw(drawn(known[name])) for name in [*required, *chosen]}
    further = [
        (f"^{TEXT}$", schema.get("additionalProperties")),
        *schema.get("patternProperties", {}).items(),
    ]
    for pattern, value in further:
        if isinstance(value, Mapping):
            names = _text(schema.get("propertyNames") or {"pattern": pattern})
            never = {name for name, one in schema.get("properties", {}).items() if one is False}
            keys = names.filter(lambda name: name not in never)  # noqa: B023  # drawn at once
            made |= draw(
                st.dictionaries(keys, drawn(value), min_size=schema.get("minProperties", 0), max_size=3)
            )
    for name, needed in schema.get("dependencies", {}).items():
        if name in made and any(other not in made for other in needed):
            del made[name]
    return made


OF_TYPE = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "array": _list,
    "object": _mapping,
}


@st.composite
def values(draw: st.DrawFn, schema: Schema) -> dict:
    """Values of the schema's; of what must agree, mostly such as does."""
    sections = schema["properties"]
    made = {name: draw(drawn(sections[name])) for name in ("clients", "streamDefaults", "accounts", "config")}
    made["schemas"] = {"event.avsc": AVSC}
    made["taxonomies"] = {"acme.csv": TAXONOMY}
    made["persistence"] = {"size": draw(st.sampled_from(["30Gi", "999999Ti", "999999Ti"]))}
    made["userSync"] = {"enabled": draw(st.booleans())}
    _fit_user_sync(draw, made)
    for number, client in enumerate([made["streamDefaults"], *made["clients"].values()]):
        _fit(draw, client, number, sorted(made["accounts"]))
    if draw(_mostly()):
        made["config"].setdefault("schema_registry", {"url": "https://registry:8081"})
    return made


def _fit_user_sync(draw: st.DrawFn, made: dict) -> None:
    """Where the endpoint is wanted its section is there; mostly none that names a file."""
    if made["userSync"]["enabled"] and draw(_mostly()) and not made["config"].get("user_sync"):
        made["config"]["user_sync"] = {"namespace": "acme"}
    if made["config"].get("user_sync") and draw(_mostly()):
        made["config"]["user_sync"].pop("sqlite_file", None)


def _fit(draw: st.DrawFn, client: dict, number: int, accounts: list[str]) -> None:
    """Make a client's settings, or the defaults', agree with each other and with the rest."""
    if draw(_mostly()):
        one = st.sampled_from(accounts)
        client["account"] = draw(one | st.fixed_dictionaries({"display": one, "mobile": one}))
    _name_files(draw, client)
    if draw(_mostly()):
        for needed in ("user_id", "segments", "event_time"):
            client.get("fields", {}).pop(needed, None)
    if "topics" in client and draw(_mostly()):
        names = st.sampled_from([f"^{number}[.].*", f"{number}.a", f"{number}-b"])
        client["topics"] = draw(names.map(lambda one: [one]) | st.just([f"{number}-c", f"{number}_d"]))
    if "topics" in client:
        client["topics"] = [_sound(topic, number) for topic in client["topics"]]
    _name_users(draw, client)


def _name_users(draw: st.DrawFn, client: dict) -> None:
    """Whose ids the users have, and where they are translated those of cookies alone."""
    if draw(_mostly()):
        for setting in ("user_namespace", "user_namespaces", "user_table_id"):
            client.pop(setting, None)
        if draw(st.booleans()):
            client |= {"user_namespace": "partner", "user_table_id": "007", "user_namespaces": {"mm": None}}
    if draw(_mostly()):
        client.pop("identify", None)
        if client.get("display") and not (client.get("mobile") or client.get("user_namespace")):
            client["identify"] = draw(st.sampled_from([None, {"from": "ids"}]))


def _name_files(draw: st.DrawFn, client: dict) -> None:
    """The files that there are, where the settings name one or need one."""
    if "schema" in client or client.get("format") in {"avro", "avro-single-object"}:
        client["schema"] = "event.avsc"
    if client.keys() & {"taxonomy", "unknown_segments"} and draw(_mostly()):
        client["taxonomy"] = "acme.csv"


def _sound(topic: str, number: int) -> str:
    """The topic, or another where it is a ^regex that may be none."""
    return f"^{number}[a-z]+$" if topic.startswith("^") else topic


def _mostly() -> st.SearchStrategy:
    return st.sampled_from([True, True, True, True, True, False])
