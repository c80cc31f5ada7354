"""What every section of the configuration is."""

from inspect import isclass

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping of known keys; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: object) -> object:
        """A section or list whose lines are all commented out is null in YAML: it means the defaults."""
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        for name, field in cls.model_fields.items():
            key = field.alias or name
            if filled.get(key) is not None:
                continue
            if isclass(field.annotation) and issubclass(field.annotation, Section):
                filled[key] = {}
            elif isinstance(field.get_default(call_default_factory=True), tuple | dict):
                filled.pop(key, None)
        return filled
