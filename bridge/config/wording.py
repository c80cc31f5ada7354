"""Validation errors in our words: one line that says what and what to do, and quotes no value."""

from collections.abc import Iterator
from inspect import isclass
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.config.fault import Fault, Location, unknown_key
from bridge.config.kinds import REFUSED
from bridge.config.model import Config
from bridge.config.section import Section

_WORDS = {
    "missing": "missing; this key is required",
    "extra_forbidden": "unknown key; remove it",
    "model_type": "must hold keys of its own; write a mapping",
    "dict_type": "must hold keys of its own; write a mapping",
    "tuple_type": "must be a list; write [one, two]",
    "string_type": "must be a text; write one",
    "path_type": "must be a path; write one",
    "int_type": "must be a whole number; write one",
    "int_parsing": "must be a whole number; write one",
    "int_from_float": "must be a whole number; write one",
    "int_parsing_size": "is too large a number; write a smaller one",
    "float_type": "must be a number; write one",
    "float_parsing": "must be a number; write one",
    "finite_number": "must be a number; write one",
    "bool_type": "must be true or false; write one of them",
    "bool_parsing": "must be true or false; write one of them",
    "literal_error": "must be {expected}; write one of them",
    "greater_than_equal": "must be at least {ge:.10g}; change it",
    "greater_than": "must be above {gt:.10g}; change it",
    "less_than_equal": "must be at most {le:.10g}; change it",
    "less_than": "must be below {lt:.10g}; change it",
    REFUSED: "{what}",
}
"""Type of a validation error to its text, with the values of the error's context."""


def faults(error: ValidationError) -> Iterator[Fault]:
    """A fault for each error."""
    for detail in error.errors(include_url=False, include_input=True):
        path = tuple(step for step in detail["loc"] if not _is_mark(step))
        yield Fault(path, _words(detail, path))


def _is_mark(step: int | str) -> bool:
    """Marks of pydantic's: the form of a union (our tags), a mapping's key instead of its value."""
    return step in {"<one>", "<two>", "[key]"}


def _words(detail: ErrorDetails, path: Location) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), _keys(section_at(path[:-1])))
    if detail["input"] is None and kind != "missing":
        return "has no value; write one, or leave out the key where it has a default"
    context = detail.get("ctx", {})
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", "")  # 'a', 'b' or 'c'
    return _WORDS.get(kind, "is not valid; compare it with docs/example.yaml").format(**context)


def section_at(path: Location) -> type[Section]:
    """The section that the keys below a path belong to."""
    section: type[Section] = Config
    for step in path:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if isinstance(step, str) and step in fields:
            section = _section_in(fields[step].annotation) or section
    return section


def _keys(section: type[Section]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _section_in(annotation: object) -> type[Section] | None:
    """The section that a type is, or holds: `tuple[Stream, ...]` holds Stream."""
    if isclass(annotation) and issubclass(annotation, Section):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner)) is not None), None)
