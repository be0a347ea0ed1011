"""What a cell's code must not do: hide that something went wrong, or change a parameter."""

from __future__ import annotations

import re
import symtable

from IPython.core.inputtransformer2 import TransformerManager

HIDING = re.compile(
    r"^\s*(?:%%capture\b|!(?![\[=])|%%?(?:sx|system)\b|%%\w+\b.*--(?:no-raise-error|bg)\b)"
    r"|^[^=!#\n]+=\s*(?:!|%(?:sx|system)\b)"
    r"|^[^#\n]*(?:\bos|get_ipython\(\))\.system\("
    r"|(?:^|[:;])[ \t]*(?:exit|quit)\b *(?:[(#;]|$)",
    re.MULTILINE,
)
"""What hides that something went wrong: outputs captured, exit codes of commands lost, a kernel told to go home."""


def hides_failures(source: str) -> str:
    r"""The first line that hides failures, "" when none does.

    Args:
        source: of the cell.

    >>> hides_failures("x = 1\n!false"), hides_failures("files = !ls")
    ('!false', 'files = !ls')
    """
    if not (found := HIDING.search(source)):
        return ""
    start = source.rfind("\n", 0, found.end() - 1) + 1
    return source[start:].strip().splitlines()[0]


def bound_names(source: str) -> set[str]:
    r"""Names that a cell binds for the cells after it: not those inside a function, a class or a comprehension.

    Args:
        source: of the cell; one that is not Python, such as of ``%%bash``, binds none.

    >>> sorted(bound_names("import os.path as p\ndef f():\n    global seed\n    x = 1"))
    ['f', 'p', 'seed']
    """
    code = re.sub(r"\A%%.*\n", "", source)
    try:
        python = TransformerManager().transform_cell(code)  # type: ignore[no-untyped-call]
        tables = [symtable.symtable(python, "cell", "exec")]
    except SyntaxError:
        return set()
    names: set[str] = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            here = table.get_type() == "module" and (symbol.is_assigned() or symbol.is_imported())
            if here or symbol.is_declared_global():
                names.add(symbol.get_name())
    return names
