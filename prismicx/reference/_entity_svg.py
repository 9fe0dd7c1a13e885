"""A diagram of entities as SVG: boxes in columns, crow's feet, a frame for each group."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from prismicx.reference import _svg
from prismicx.reference._diagrams import ENTITY_COLOURS, KEYS, Diagram, Entity, Field, Relation, grouped
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
from prismicx.reference._svg import QUIET, STUB, Point, Port, Rect, Router, around, box, clean, node, write

_GAP = 12
_BADGE, _DOT = 26, 16
_KEY_COLOURS = {"PK": ("#fde68a", "#713f12"), "FK": ("#dbeafe", "#1e3a8a"), "UK": ("#dcfce7", "#14532d")}


@dataclass(frozen=True)
class _Card:
    """An entity with the widths of its columns (keys, name, type, note) and its place."""

    entity: Entity
    columns: tuple[int, int, int, int]
    rect: Rect

    def moved(self, dx: int, dy: int) -> _Card:
        return replace(self, rect=self.rect.moved(dx, dy))

    def ports(self, cost: int, wanted: Callable[[Field], bool]) -> list[Port]:
        """Right and left of the header at this cost, then right and left of the wanted rows at none."""
        rect, first = self.rect, self.rect.y + HEAD + ROW // 2
        heights = [(rect.y + HEAD // 2, cost)]
        heights += [(first + ROW * row, 0) for row, each in enumerate(self.entity.fields) if wanted(each)]
        return [Port(x, y, dx, 0, price) for y, price in heights for x, dx in ((rect.right, 1), (rect.x, -1))]


def svg(diagram: Diagram) -> str:
    """The diagram as an SVG document: a box for each entity, crow's feet, a frame for each group, a legend.

    Entities stand right of those they refer to. The time grows with the area and the number of relations:
    a fraction of a second for ten tables, some seconds for thirty.
    """
    cards, frames = _arrange(diagram)
    rects = [card.rect for card in cards.values()]
    captions = captions_of(frames.items())
    area = area_of([*rects, *frames.values()])
    router = Router(area, rects, frames.values(), captions)
    found: dict[int, list[Point]] = {}
    places = {name: card.rect for name, card in cards.items()}
    for index in shortest_first(places, [(each.source, each.target) for each in diagram.relations]):
        found[index] = router.route(*_relation_ports(cards, diagram.relations[index]))
    lines = [found[index] for index in range(len(found))]

    told = [f"{relation.source} to {relation.target}" for relation in diagram.relations]
    about = f"Entities: {', '.join(cards) or 'none'}. Relations: {', '.join(told) or 'none'}."
    legend = _diagram_legend(diagram)
    root = _svg.document(diagram.title, about, area, legend)
    for (name, frame), caption in zip(frames.items(), captions, strict=True):
        draw_frame(root, frame, name, caption)
    for card in cards.values():
        _draw_card(root, card)
    for line, relation, text, colour in zip(lines, diagram.relations, told, colours(), strict=False):
        group = _svg.draw_line(root, line, colour, f"{text} {relation.label}")
        _draw_foot(group, line[0], line[1], many=relation.many, source=True)
        _draw_foot(group, line[-1], line[-2])
    labels = zip((relation.label for relation in diagram.relations), colours(), strict=False)
    _svg.draw_labels(root, area, lines, list(labels), [*rects, *captions])
    _svg.draw_legend(root, area, legend)
    return _svg.render(root)


def _ranks(names: Iterable[str], relations: Sequence[Relation]) -> dict[str, int]:
    """How many relations lead from each entity to the furthest one it depends on."""
    rank = dict.fromkeys(names, 0)
    links = [(each.source, each.target) for each in relations if {each.source, each.target} <= rank.keys()]
    for _ in rank:  # enough rounds without cycles; with cycles they end a growth that would not
        for source, target in links:
            if source != target:
                rank[source] = max(rank[source], rank[target] + 1)
    return rank


def _arrange(diagram: Diagram) -> tuple[dict[str, _Card], dict[str, Rect]]:
    """The place of each entity, and the frame of each group that is not empty."""
    rank = _ranks((entity.name for entity in diagram.entities), diagram.relations)
    groups = grouped(diagram)
    groups.sort(key=lambda group: sum(rank[each.name] for each in group[1]) / len(group[1]))
    blocks = [_block(entities, diagram.relations) for _, entities in groups]
    sizes = []
    for (group, _), block in zip(groups, blocks, strict=True):
        content = around(card.rect for card in block)
        pad = (2 * FRAME, FRAME_TOP + FRAME) if group else (0, 0)
        sizes.append((content.width + pad[0], content.height + pad[1]))
    limit = max(1500, math.isqrt(2 * sum(width * height for width, height in sizes)))
    cards: dict[str, _Card] = {}
    frames: dict[str, Rect] = {}
    for (group, _), block, place in zip(groups, blocks, _svg.shelves(sizes, limit, BETWEEN), strict=True):
        frame = place.moved(MARGIN, MARGIN + TITLE)
        if group:
            frames[group] = frame
        x, y = (frame.x + FRAME, frame.y + FRAME_TOP) if group else (frame.x, frame.y)
        cards.update((card.entity.name, card.moved(x, y)) for card in block)
    return {entity.name: cards[entity.name] for entity in diagram.entities}, frames


def _block(entities: Sequence[Entity], relations: Sequence[Relation]) -> list[_Card]:
    """The entities of one group in columns by rank; those without relations fill up what is free below."""
    cards = {entity.name: _card(entity) for entity in entities}
    inner = [each for each in relations if each.source in cards and each.target in cards]
    linked = {name for each in inner if each.source != each.target for name in (each.source, each.target)}
    rank = _ranks(cards, inner)
    tall = max(card.rect.height for card in cards.values())
    limit = max(tall, math.isqrt(sum((each.rect.width + 100) * (each.rect.height + 60) for each in cards.values())))
    columns: list[list[_Card]] = []
    middle: dict[str, int] = {}

    def put(card: _Card, column: list[_Card]) -> bool:
        y = column[-1].rect.bottom + BETWEEN if column else 0
        if column and y + card.rect.height > limit:
            return False
        column.append(card.moved(0, y))
        middle[card.entity.name] = column[-1].rect.centre[1]
        return True

    def pull(name: str) -> float:
        """The mean height of the partners that have their place: next to them lines are short."""
        heights = [middle[each.target] for each in inner if each.source == name and each.target in middle]
        return sum(heights) / len(heights) if heights else 0

    for level in sorted({rank[name] for name in linked}):
        columns.append([])
        for name in sorted((name for name in cards if name in linked and rank[name] == level), key=pull):
            if not put(cards[name], columns[-1]):
                columns.append([])
                put(cards[name], columns[-1])
    for name in cards:
        if name not in linked and not any(put(cards[name], column) for column in columns):
            columns.append([])
            put(cards[name], columns[-1])

    placed: list[_Card] = []
    x = 0
    for column in columns:
        names = {card.entity.name for card in column}
        labels = max((_svg.label_width(each.label) for each in inner if each.source in names), default=0)
        x += max(BETWEEN + 10 * min(len(relations), 8), _svg.snap(labels + 2 * STUB + 20)) if placed else 0
        placed += [card.moved(x, 0) for card in column]
        x = max(card.rect.right for card in placed)
    return placed


def _card(entity: Entity) -> _Card:
    def widest(texts: Iterable[str], most: int, size: int, mono: bool) -> int:
        return min(most, math.ceil(max((_svg.text_width(clean(t), size, mono=mono) for t in texts), default=0)))

    fields = entity.fields
    keys = max((len(each.keys) for each in fields), default=0) * _BADGE
    name = widest((each.name for each in fields), 230, 12, True)
    type_ = widest((each.type for each in fields), 210, 12, True)
    note = widest((each.note for each in fields), 230, 11, False)
    row = keys + _DOT + name + _GAP + type_ + (_GAP + note if note else 0)
    head = max(widest([entity.name], 400, 13, True), widest([_subtitle(entity)], 330, 11, False))
    width = _svg.snap(max(row, head, 140) + 2 * PAD)
    return _Card(entity, (keys, name, type_, note), Rect(0, 0, width, HEAD + ROW * max(1, len(fields))))


def _subtitle(entity: Entity) -> str:
    return f"{entity.kind} · {entity.note}" if clean(entity.note) else entity.kind


def _relation_ports(cards: Mapping[str, _Card], relation: Relation) -> tuple[list[Port], list[Port]]:
    """Where the line may start and end, cheapest at the field that refers and the one referred to."""
    words = set(re.split(r"[^\w.]+", relation.label))
    own = relation.source.rsplit(".", 1)[-1]  # the field of the owner that holds an embedded document
    source, target = cards[relation.source], cards[relation.target]
    embedded = source.entity.kind == "embedded"
    # A line at the header stands for the whole entity, so a detour to the right row beats it.
    starts = source.ports(0 if embedded else 25, lambda each: each.name in words)
    ends = target.ports(25, lambda each: each.name == own if embedded else "PK" in each.keys)
    if relation.source == relation.target:  # keep the two ends apart
        return (starts[2:], ends[:2]) if len(starts) > 2 else (starts[:1], ends[1:])
    return starts, ends


def _draw_card(root: ET.Element, card: _Card) -> None:
    rect, (keys, name, type_, note) = card.rect, card.columns
    colour = ENTITY_COLOURS[card.entity.kind]
    group = node(root, "g", class_="entity")
    box(group, rect, fill="#ffffff")
    box(group, Rect(rect.x, rect.y, rect.width, HEAD), fill=colour)
    x, y, room = rect.x + PAD, rect.y, rect.width - 2 * PAD
    write(group, x, y + 14, card.entity.name, room, 13, mono=True, fill="#ffffff", font_weight="bold")
    write(group, x, y + 30, _subtitle(card.entity), room, 11, fill="#e5e7eb")
    for number, each in enumerate(card.entity.fields):
        middle = y + HEAD + number * ROW + ROW // 2
        if number % 2:
            box(group, Rect(rect.x, middle - ROW // 2, rect.width, ROW), fill="#f1f5f9")
        for place, key in enumerate(each.keys):
            _draw_key(group, x + place * _BADGE, middle, key)
        _draw_dot(group, x + keys + 4, middle, each.required)
        left = x + keys + _DOT
        write(group, left, middle, each.name, name, 12, mono=True)
        write(group, left + name + _GAP, middle, each.type, type_, 12, mono=True, fill=QUIET)
        write(group, left + name + type_ + 2 * _GAP, middle, each.note, note, 11, fill=QUIET)
    dashes = {"stroke_dasharray": "6 3"} if card.entity.kind in ("view", "embedded") else {}
    box(group, rect, class_="box", fill="none", stroke=colour, stroke_width=1.5, **dashes)


def _draw_key(parent: ET.Element, x: int, y: int, key: str) -> None:
    fill, ink = _KEY_COLOURS[key]
    box(parent, Rect(x, y - 7, _BADGE - 4, 14), fill=fill, stroke=ink, stroke_width=0.6, rx=3)
    write(parent, x + _BADGE // 2 - 2, y, key, _BADGE, 9, fill=ink, font_weight="bold", text_anchor="middle")


def _draw_dot(parent: ET.Element, x: int, y: int, required: bool) -> None:
    node(parent, "circle", cx=x, cy=y, r=3, fill=QUIET if required else "#ffffff", stroke=QUIET)


def _draw_foot(parent: ET.Element, tip: Point, towards: Point, *, many: bool = False, source: bool = False) -> None:
    """The end of a line at a box: three toes for many, a bar for one, a circle where there may be none."""
    (x, y), dx, dy = tip, *(max(-1, min(1, b - a)) for a, b in zip(tip, towards, strict=True))

    def at(out: int, aside: int) -> str:
        return f"{x + dx * out - dy * aside},{y + dy * out + dx * aside}"

    bars = [] if many else [7] if source else [6, 11]
    toes = f"M{at(0, -6)}L{at(12, 0)}L{at(0, 6)}" if many else ""
    node(parent, "path", d=toes + "".join(f"M{at(out, -5)}L{at(out, 5)}" for out in bars))
    if source:
        node(parent, "circle", cx=x + dx * 15, cy=y + dy * 15, r=3, fill="#ffffff")


def _diagram_legend(diagram: Diagram) -> list[tuple[_svg.Sign, str]]:
    """The signs that this diagram uses."""
    kinds = {entity.kind for entity in diagram.entities}
    keys = {key for entity in diagram.entities for each in entity.fields for key in each.keys}
    legend: list[tuple[_svg.Sign, str]] = []
    for kind, colour in ENTITY_COLOURS.items():
        if kind in kinds:
            legend.append((swatch(colour, colour), kind))
    for key, meaning in zip(KEYS, ("primary key", "foreign key", "unique"), strict=True):
        if key in keys:
            legend.append((_right(partial(_draw_key, key=key), 8), meaning))
    if any(entity.fields for entity in diagram.entities):
        legend.append((_right(partial(_draw_dot, required=True), 26), "required"))
        legend.append((_right(partial(_draw_dot, required=False), 26), "may be null or absent"))
    ends = {relation.many for relation in diagram.relations}
    if ends:
        legend.append((partial(_draw_end_sign), "exactly one"))
    if True in ends:
        legend.append((partial(_draw_end_sign, many=True, source=True), "any number"))
    if False in ends:
        legend.append((partial(_draw_end_sign, source=True), "none or one"))
    return legend


def _right(sign: _svg.Sign, by: int) -> _svg.Sign:
    """A small sign close to its text."""
    return lambda root, x, y: sign(root, x + by, y)


def _draw_end_sign(parent: ET.Element, x: int, y: int, **end: bool) -> None:
    group = node(parent, "g", fill="none", stroke=_svg.INK, stroke_width=1.6)
    node(group, "path", d=f"M{x},{y}h26M{x},{y - 8}v16")
    _draw_foot(group, (x, y), (x + 26, y), **end)
