"""What a person writes for the tools, in a notebook's metadata or a plan: checked by pydantic, refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shortened

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class Declaration(BaseModel):
    """Base of everything declared: no unknown key, no silent conversion, such as of a text to a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, given: object) -> object:
        """Name the keys that exist, which pydantic's own message does not."""
        known = ", ".join(cls.model_fields)
        if not isinstance(given, Mapping):
            raise ValueError(f"not a mapping; write some of {known}")
        if unknown := [key for key in given if key not in cls.model_fields]:
            raise ValueError(f"unknown key {unknown[0]!r}; write some of {known}")
        return given


def first_mistake(error: ValidationError, root: str, separator: str = ".") -> str:
    """The first mistake of a declaration in one line: where it is, and what is wrong.

    Args:
        error: pydantic's.
        root: what was checked.
        separator: between the keys that lead to the place; entries of lists are counted from 1.

    >>> class Scene(Declaration):
    ...     bands: list[int]
    >>> try:
    ...     Scene.model_validate({"bands": [3, "B4"]})
    ... except ValidationError as error:
    ...     first_mistake(error, "scene")
    "scene.bands.entry 2: input should be a valid integer, found 'B4'"
    """
    first = error.errors(include_url=False)[0]
    keys = [f"entry {key + 1}" if isinstance(key, int) else key for key in first["loc"] if key != "[key]"]
    place = separator.join([root, *keys])
    if first["type"] == "value_error":
        return f"{place}: {first['ctx']['error']}"
    said = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return f"{place}: {said}" + ("" if first["type"] == "missing" else f", found {shortened(first['input'])}")
