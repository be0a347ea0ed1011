"""What a page promises of its run, declared in its metadata as ``ml4ops.contract``; ``contract_checks`` checks a run.

A contract, shortened::

    {"parameters": {"profile": {"choices": ["smoke", "lecture", "full"]}, "seed": {"min": 0, "max": 4294967295}},
     "metrics": {"water IoU": {"min": 0.5, "max": 1, "smoke": {"min": 0.1}}, "best index": {}},
     "figures": 4,
     "files": {"targets.json": {"type": "object", "required": ["min_water_iou"]}},
     "seconds": {"smoke": 300, "lecture": 900}, "memory_mb": 6000}

A metric must be recorded and within its limits; ``{}`` asks only that it is there, ``"optional": true`` that it is
within them if it is there, and limits under a profile's name take precedence. Files are looked for in the cache, must
come from this run, and must fit their JSON schema if they are JSON; ``{seed}`` in a name is that parameter. Seconds
do not count waiting for a processor: a busy machine breaks no contract.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

import jsonschema
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, model_validator

from .declarations import Declaration

Profile = Literal["smoke", "lecture", "full"]


class Limits(Declaration):
    """Limits of a parameter or metric: a range of numbers, or choices; without any, every value is within them."""

    min: float = -math.inf
    max: float = math.inf
    choices: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"no value lies within {self}")
        return self

    def allow(self, value: object) -> bool:
        """Whether a value is within the limits; a truth value is not a number.

        Args:
            value: of a parameter or metric.

        >>> [Limits(min=0.5, max=1).allow(v) for v in (0.7, 0.3, True, "high", None)]
        [True, False, False, False, False]
        """
        if self.choices is not None and value not in self.choices:
            return False
        if self.min == -self.max == -math.inf:
            return True
        return isinstance(value, int | float) and not isinstance(value, bool) and self.min <= value <= self.max

    def __str__(self) -> str:
        if self.choices is not None:
            return " or ".join(map(repr, self.choices))
        low, high = f"{self.min:.15g}", f"{self.max:.15g}"
        if low == "-inf":
            return "any value" if high == "inf" else f"at most {high}"
        return f"at least {low}" if high == "inf" else f"{low} to {high}"


class Metric(Limits):
    """Limits of what a page must record; those of a profile take precedence."""

    optional: bool = False
    smoke: Limits | None = None
    lecture: Limits | None = None
    full: Limits | None = None

    def at(self, profile: object) -> Limits:
        """Limits that hold at a profile.

        Args:
            profile: its name; for another value the general limits hold.

        >>> str(Metric(min=0.5, max=1, smoke=Limits(min=0.1)).at("smoke"))
        '0.1 to 1'
        """
        own = getattr(self, str(profile), None)
        kept = self.model_dump(include=set(Limits.model_fields), exclude_unset=True)
        return Limits.model_construct(**kept | (own.model_dump(exclude_unset=True) if isinstance(own, Limits) else {}))

    @model_validator(mode="after")
    def _check_profiles(self) -> Self:
        for profile in get_args(Profile):
            if (asked := self.at(profile)).min > asked.max:
                raise ValueError(f"no value lies within {asked} at profile {profile}")
        return self


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"not a JSON schema: {error.message}") from error
    return schema


class Contract(Declaration):
    """What a page promises; an empty contract promises nothing."""

    parameters: Mapping[str, Limits] = {}
    metrics: Mapping[str, Metric] = {}
    figures: NonNegativeInt = 0
    files: Mapping[str, Annotated[dict[str, Any], AfterValidator(_check_schema)]] = {}
    seconds: Mapping[Profile, PositiveFloat] = {}
    memory_mb: PositiveFloat | None = None

    def __bool__(self) -> bool:
        return self != Contract()

    def parameters_named(self) -> set[str]:
        """Parameters that it sets limits to, or that stand in the name of a file."""
        in_names = {part for name in self.files for _, part, _, _ in string.Formatter().parse(name) if part}
        return set(self.parameters) | in_names
