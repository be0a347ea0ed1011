"""Ask for every address elsewhere that the built site links to. Needs a network; a weekly job runs it.

``python -m book_tools.links`` in the repository's root, after ``make book``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from .check import external_links

AGENT = "Mozilla/5.0 (X11; Linux x86_64) link check of a book"
REFUSED = (401, 403, 405, 406, 429, 503)
"""Answers of servers that are there but talk to people only."""


def dead_links(addresses: Iterable[str], seconds: float = 20) -> dict[str, str]:
    """Addresses that lead nowhere, and why.

    Args:
        addresses: what to ask for; only http and https are.
        seconds: how long to wait for an answer.
    """

    def fault(address: str) -> str:
        try:
            with requests.get(address, timeout=seconds, headers={"User-Agent": AGENT}, stream=True) as answer:
                return "" if answer.ok or answer.status_code in REFUSED else f"answer {answer.status_code}"
        except requests.RequestException as error:
            return type(error).__name__

    wanted = [a for a in addresses if a.startswith(("http://", "https://"))]
    with ThreadPoolExecutor(8) as pool:
        return {a: why for a, why in zip(wanted, pool.map(fault, wanted), strict=True) if why}


if __name__ == "__main__":
    links = external_links(Path())
    dead = dead_links(links)
    for link, why in dead.items():
        print(f"{link}: {why}; on {', '.join(links[link])}", file=sys.stderr)
    print(f"{len(links)} addresses, {len(dead)} lead nowhere")
    sys.exit(bool(dead))
