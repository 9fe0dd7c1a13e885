"""An architecture as SVG: a band for each layer, arrows between boxes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from prismicx.reference import _svg
from prismicx.reference._diagrams import BOX_COLOURS, Architecture, Arrow, Box, Layer
from prismicx.reference._page import (
    BETWEEN,
    FRAME,
    FRAME_TOP,
    HEAD,
    MARGIN,
    PAD,
    ROW,
    TITLE,
    area_of,
    captions_of,
    colours,
    draw_frame,
    shortest_first,
    swatch,
)
from prismicx.reference._svg import QUIET, Point, Port, Rect, Router, around, box, clean, node, write


def architecture_svg(architecture: Architecture) -> str:
    """The architecture as an SVG document: a band for each layer from top to bottom, arrows between boxes."""
    places, bands = _bands(architecture.layers)
    area = area_of(bands)
    captions = captions_of((layer.title, band) for layer, band in zip(architecture.layers, bands, strict=True))
    router = Router(area, places.values(), bands, captions)
    found: dict[int, list[Point]] = {}
    for index in shortest_first(places, [(arrow.source, arrow.target) for arrow in architecture.arrows]):
        found[index] = router.route(*_arrow_ports(places, architecture.arrows[index]))
    lines = [found[index] for index in range(len(found))]

    title_of = {each.id: each.title for layer in architecture.layers for each in layer.boxes}
    told = [f"{title_of[arrow.source]} to {title_of[arrow.target]}" for arrow in architecture.arrows]
    layers = [f"{each.title} ({', '.join(box.title for box in each.boxes)})" for each in architecture.layers]
    about = f"Layers: {', '.join(layers) or 'none'}. Arrows: {', '.join(told) or 'none'}."
    legend = _architecture_legend(architecture)
    root = _svg.document(architecture.title, about, area, legend)
    for layer, band, caption in zip(architecture.layers, bands, captions, strict=True):
        draw_frame(root, band, layer.title, caption)
        for each in layer.boxes:
            _draw_box(root, each, places[each.id])
    for line, arrow, text, colour in zip(lines, architecture.arrows, told, colours(), strict=False):
        group = _svg.draw_line(root, line, colour, f"{text} {arrow.label}")
        _draw_head(group, line[-1], line[-2], colour)
    labels = list(zip((arrow.label for arrow in architecture.arrows), colours(), strict=False))
    _svg.draw_labels(root, area, lines, labels, [*places.values(), *captions])
    _svg.draw_legend(root, area, legend)
    return _svg.render(root)


def _bands(layers: Sequence[Layer]) -> tuple[dict[str, Rect], list[Rect]]:
    """The place of each box by id, and the band of each layer; boxes stand in the middle of their band."""
    rows = [_svg.shelves(_box_sizes(layer), 1300, BETWEEN) for layer in layers]
    inner = max((around(row).width for row in rows), default=0)
    places: dict[str, Rect] = {}
    bands: list[Rect] = []
    y = MARGIN + TITLE
    for layer, row in zip(layers, rows, strict=True):
        content = around(row)
        bands.append(Rect(MARGIN, y, inner + 2 * FRAME, content.height + FRAME_TOP + FRAME))
        x = MARGIN + FRAME + (inner - content.width) // 20 * 10
        moved = (rect.moved(x, y + FRAME_TOP) for rect in row)
        places.update(zip((each.id for each in layer.boxes), moved, strict=True))
        y = bands[-1].bottom + BETWEEN
    return places, bands


def _box_sizes(layer: Layer) -> list[tuple[int, int]]:
    """Width and height of the boxes; one height, so that arrows between neighbours are straight."""
    height = HEAD + ROW * max((len(each.lines) for each in layer.boxes), default=0)
    sizes = []
    for each in layer.boxes:
        title = _svg.BOLD * _svg.text_width(clean(each.title), 13)  # bold
        widest = max(title, *(_svg.text_width(clean(line), 11) for line in each.lines), 120)
        sizes.append((_svg.snap(min(widest, 300) + 2 * PAD), height))
    return sizes


def _arrow_ports(places: Mapping[str, Rect], arrow: Arrow) -> tuple[list[Port], list[Port]]:
    """All round both boxes, best in the middle of a side; a box and itself: from below to its sides."""
    if arrow.source == arrow.target:
        ports = _around_box(places[arrow.source])
        return [port for port in ports if port.dy > 0], [port for port in ports if port.dx]
    return _around_box(places[arrow.source]), _around_box(places[arrow.target])


def _around_box(rect: Rect) -> list[Port]:
    x, y = rect.centre
    ports = []
    for aside in range(0, rect.width // 2, 2 * _svg.GRID):
        for at in {x - aside: None, x + aside: None}:
            ports += [Port(at, edge, 0, dy, aside // 20) for edge, dy in ((rect.bottom, 1), (rect.y, -1))]
    return ports + [Port(edge, y, dx, 0, 4) for edge, dx in ((rect.x, -1), (rect.right, 1))]


def _draw_box(root: ET.Element, each: Box, rect: Rect) -> None:
    fill, edge = BOX_COLOURS[each.kind]
    group = node(root, "g", class_=each.kind, text_anchor="middle")
    box(group, rect, class_="box", fill=fill, stroke=edge, stroke_width=1.5, rx=5)
    x, room = rect.centre[0], rect.width - 2 * PAD
    write(group, x, rect.y + 20, each.title, room, 13, font_weight="bold")
    for number, line in enumerate(each.lines):
        write(group, x, rect.y + 42 + number * ROW, line, room, 11, fill=QUIET)


def _draw_head(parent: ET.Element, tip: Point, towards: Point, colour: str) -> None:
    (x, y), dx, dy = tip, *(max(-1, min(1, b - a)) for a, b in zip(tip, towards, strict=True))
    points = [(x, y), (x + 11 * dx - 5 * dy, y + 11 * dy + 5 * dx), (x + 11 * dx + 5 * dy, y + 11 * dy - 5 * dx)]
    node(parent, "polygon", points=" ".join(f"{a},{b}" for a, b in points), fill=colour, stroke="none")


def _architecture_legend(architecture: Architecture) -> list[tuple[_svg.Sign, str]]:
    kinds = {each.kind for layer in architecture.layers for each in layer.boxes}
    return [(swatch(*colours), kind) for kind, colours in BOX_COLOURS.items() if kind in kinds]
