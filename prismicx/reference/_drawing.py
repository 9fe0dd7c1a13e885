"""Entity-relationship diagrams and architecture pictures as Mermaid text and as SVG.

Pure: the same value gives the same text. An SVG needs no font, script or file from elsewhere; its lengths
are SVG user units, which are px at scale 1.
"""

from __future__ import annotations

from prismicx.reference._diagrams import (
    Architecture,
    Arrow,
    Box,
    Diagram,
    Entity,
    Field,
    Layer,
    Relation,
    architecture_mermaid,
    mermaid,
)
from prismicx.reference._entity_svg import svg
from prismicx.reference._layer_svg import architecture_svg

__all__ = [
    "Architecture",
    "Arrow",
    "Box",
    "Diagram",
    "Entity",
    "Field",
    "Layer",
    "Relation",
    "architecture_mermaid",
    "architecture_svg",
    "mermaid",
    "svg",
]
