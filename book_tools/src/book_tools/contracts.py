"""What a page promises of its run, declared in its metadata as ``ml4ops.contract``; ``judging`` sees whether it holds.

A contract, shortened::

    {"parameters": {"profile": {"choices": ["smoke", "lecture", "full"]}, "seed": {"min": 0, "max": 4294967295}},
     "metrics": {"water IoU": {"min": 0.5, "max": 1, "smoke": {"min": 0.1}}, "best index": {}},
     "figures": 4,
     "files": {"targets.json": {"type": "object", "required": ["min_water_iou"]}},
     "seconds": {"smoke": 300, "lecture": 900}, "memory_mb": 6000}

A metric must be recorded and within its limits; ``{}`` asks only that it is there, ``"optional": true`` that it is
within them if it is there, and what stands under a profile's name goes before the rest. Files are looked for in the
cache, must come from this run, and must fit their JSON schema if they are JSON; ``{seed}`` in a name is that parameter.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema

Limits = Mapping[str, Any]
"""``min`` and ``max`` of a number, or ``choices``."""

PROFILES = ("smoke", "lecture", "full")
"""The same as ``lesson.PROFILES``, which can't be imported here without loading torch."""

_LIMITS = {"min": {"type": "number"}, "max": {"type": "number"}, "choices": {"type": "array", "minItems": 1}}
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": False}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_PARAMETER = _OBJECT | {"properties": _LIMITS}
_METRIC = _OBJECT | {
    "properties": _LIMITS
    | {"optional": {"type": "boolean"}}
    | dict.fromkeys(PROFILES, _OBJECT | {"properties": _LIMITS})
}
SCHEMA = _OBJECT | {
    "properties": {
        "parameters": {"type": "object", "additionalProperties": _PARAMETER},
        "metrics": {"type": "object", "additionalProperties": _METRIC},
        "figures": {"type": "integer", "minimum": 0},
        "files": {"type": "object", "additionalProperties": {"type": "object"}},
        "seconds": _OBJECT | {"properties": dict.fromkeys(PROFILES, _POSITIVE)},
        "memory_mb": _POSITIVE,
    }
}
"""What a contract may say, as a JSON schema."""


class ContractError(ValueError):
    """A contract is not written as it should be; the message names the clause."""


@dataclass(frozen=True)
class Contract:
    """What a page promises; an empty one promises nothing.

    Attributes:
        parameters: limits of parameters.
        metrics: limits of what the page must record.
        figures: fewest figures.
        files: JSON schema of each file that the page leaves in the cache.
        seconds: most seconds, by profile.
        memory_mb: most megabytes, or None.
    """

    parameters: Mapping[str, Limits] = field(default_factory=dict)
    metrics: Mapping[str, Limits] = field(default_factory=dict)
    figures: int = 0
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory_mb: float | None = None

    def __bool__(self) -> bool:
        return self != Contract()

    def parameters_named(self) -> set[str]:
        """Parameters that it sets limits to, or that stand in the name of a file."""
        in_names = {part for name in self.files for _, part, _, _ in string.Formatter().parse(name) if part}
        return set(self.parameters) | in_names


def read_contract(declared: object) -> Contract:
    """Check what a page declares.

    Args:
        declared: content of the notebook's ``metadata.ml4ops.contract``.

    Raises:
        ContractError: it is not written as ``SCHEMA`` asks, a range is empty, or a file's schema is no schema.

    >>> read_contract({"figures": "two"})
    Traceback (most recent call last):
    ...
    book_tools.contracts.ContractError: contract.figures: 'two' is not of type 'integer'
    """
    if error := jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(declared)):
        raise ContractError(f"{'.'.join(['contract', *map(str, error.absolute_path)])}: {error.message}")
    contract = Contract(**declared)  # type: ignore[arg-type]  # the schema allows just the attributes
    for kind, clauses in (("parameters", contract.parameters), ("metrics", contract.metrics)):
        for name, limits in clauses.items():
            for profile in ("", *PROFILES):
                if not _possible(asked := at_profile(limits, profile)):
                    where = f" at profile {profile}" if profile else ""
                    raise ContractError(f"contract.{kind}.{name}: no value lies within {in_words(asked)}{where}")
    for name, schema in contract.files.items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as fault:
            raise ContractError(f"contract.files.{name}: not a JSON schema: {fault.message}") from fault
    return contract


def _possible(limits: Limits) -> bool:
    return bool(limits.get("min", float("-inf")) <= limits.get("max", float("inf")))


def at_profile(limits: Limits, profile: object) -> dict[str, Any]:
    """Limits that hold at a profile.

    Args:
        limits: as declared.
        profile: its name; for another value the general limits hold.

    >>> at_profile({"min": 0.5, "max": 1, "smoke": {"min": 0.1}}, "smoke")
    {'min': 0.1, 'max': 1}
    """
    general = {name: value for name, value in limits.items() if name in _LIMITS}
    return general | dict(limits.get(str(profile), {}))


def missed(value: object, limits: Limits) -> str | None:
    """What is wanted of a value that is out of its limits, in words; None when it is within.

    Args:
        value: a parameter or a metric.
        limits: ``min`` and ``max``, ``choices``, both or none.

    >>> missed(0.3, {"min": 0.5, "max": 1}), missed("go", {"choices": ["go"]}), missed(True, {"max": 3})
    ('0.5 to 1', None, 'at most 3')
    """
    within = "choices" not in limits or value in limits["choices"]
    if "min" in limits or "max" in limits:
        within = within and isinstance(value, int | float) and not isinstance(value, bool)
        within = within and limits.get("min", value) <= value <= limits.get("max", value)
    return None if within else in_words(limits)


def in_words(limits: Limits) -> str:
    """What limits ask for.

    Args:
        limits: ``min`` and ``max``, or ``choices``; none asks for any value.
    """
    if "choices" in limits:
        return " or ".join(map(repr, limits["choices"]))
    if "min" in limits and "max" in limits:
        return f"{limits['min']} to {limits['max']}"
    if "min" in limits:
        return f"at least {limits['min']}"
    return f"at most {limits['max']}" if "max" in limits else "any value"
