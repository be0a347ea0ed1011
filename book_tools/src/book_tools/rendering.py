"""Fill a template of the package."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .pages import Value


def render(template: str, **content: Any) -> str:  # noqa: ANN401 - whatever the template needs
    """Fill a template of the package.

    Args:
        template: its file name.
        **content: its variables.
    """
    environment = Environment(
        loader=PackageLoader("book_tools"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": _value, "duration": _duration}
    return environment.get_template(template).render(**content)


def _duration(seconds: float) -> str:
    """A time in the unit that fits it.

    >>> [_duration(s) for s in (0, 4.44, 59, 192)]
    ['–', '4.4 s', '59 s', '3.2 min']
    """
    if not seconds:
        return "–"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.2g} s"


def _value(value: Value | None) -> str:
    """A metric or parameter as it is shown.

    >>> [_value(v) for v in (0.123456, 3, True, "smoke", None)]
    ['0.1235', '3', 'True', 'smoke', 'undefined']
    """
    if value is None:
        return "undefined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
