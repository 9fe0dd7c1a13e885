"""Diagrams: well-formed for any names, nothing overlaps, no line runs through a box."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.reference import _svg
from prismicx.reference._drawing import (
    Architecture,
    Diagram,
    Entity,
    Field,
    Relation,
    architecture_svg,
    svg,
)
from tests.unit.drawings import (
    ACTIVE,
    INSIGHTS,
    SYSTEM,
    TENANT_DATABASE,
    TENANTS,
    any_input,
    architectures,
    diagrams,
)

SVG = "{http://www.w3.org/2000/svg}"
Edges = tuple[float, float, float, float]


class Picture:
    """What a test asks of an SVG."""

    def __init__(self, text: str) -> None:
        self.root = ET.fromstring(text)
        self.boxes = self._rects("box")
        self.frames = self._rects("frame")
        self.labels = self._rects("label")
        links = [each for each in self.root.iter(f"{SVG}g") if each.get("class") == "link"]
        self.lines = [self._points(link) for link in links]
        self.texts = [each.text or "" for each in self.root.iter(f"{SVG}text")]
        self.tooltips = [each.text or "" for each in self.root.iter(f"{SVG}title")]

    def _rects(self, name: str) -> list[Edges]:
        found = [each for each in self.root.iter(f"{SVG}rect") if each.get("class") == name]
        sizes = [[float(each.attrib[key]) for key in ("x", "y", "width", "height")] for each in found]
        return [(x, y, x + width, y + height) for x, y, width, height in sizes]

    @staticmethod
    def _points(link: ET.Element) -> list[tuple[float, float]]:
        line = link.find(f"{SVG}polyline")
        assert line is not None
        pairs = [point.split(",") for point in line.attrib["points"].split()]
        return [(float(x), float(y)) for x, y in pairs]

    def check(self) -> None:
        """Every promise about geometry that holds for any input."""
        width, height = float(self.root.attrib["width"]), float(self.root.attrib["height"])
        assert self.root.attrib["viewBox"] == f"0 0 {width:g} {height:g}"
        for x, y, right, bottom in self.boxes + self.frames + self.labels:
            assert 0 <= x < right <= width and 0 <= y < bottom <= height
        for rects in (self.boxes, self.frames, self.labels):
            assert not any(overlap(one, other) for one, other in combinations(rects, 2))
        assert not any(overlap(label, box) for label in self.labels for box in self.boxes)
        for line in self.lines:
            assert line[0] != line[-1]
            assert any(on_edge(line[0], box) for box in self.boxes)
            assert any(on_edge(line[-1], box) for box in self.boxes)
            for (x, y), (to_x, to_y) in pairwise(line):
                assert (x == to_x) != (y == to_y), "a piece is neither horizontal nor vertical"
                piece = (min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))
                assert min(piece) >= 0 and piece[2] <= width and piece[3] <= height
                assert not any(overlap(piece, box) for box in self.boxes), "a line runs through a box"


def overlap(one: Edges, other: Edges) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def inside(inner: Edges, outer: Edges) -> bool:
    return outer[0] < inner[0] and outer[1] < inner[1] and inner[2] < outer[2] and inner[3] < outer[3]


def on_edge(point: tuple[float, float], box: Edges) -> bool:
    x, y = point
    upright = x in (box[0], box[2]) and box[1] < y < box[3]
    return upright or (y in (box[1], box[3]) and box[0] < x < box[2])


@any_input
@given(diagrams())
def test_any_diagram_is_well_formed_and_nothing_overlaps(diagram: Diagram) -> None:
    text = svg(diagram)
    text.encode("utf-8")
    picture = Picture(text)
    picture.check()
    assert len(picture.boxes) == len(diagram.entities)
    assert len(picture.lines) == len(diagram.relations)
    assert len(picture.frames) == len(diagram.groups)


@any_input
@given(architectures())
def test_any_architecture_is_well_formed_and_nothing_overlaps(architecture: Architecture) -> None:
    picture = Picture(architecture_svg(architecture))
    picture.check()
    assert len(picture.boxes) == sum(len(layer.boxes) for layer in architecture.layers)
    assert len(picture.lines) == len(architecture.arrows)
    assert len(picture.frames) == len(architecture.layers)


@given(st.text(max_size=40), st.floats(20, 400), st.booleans())
def test_what_fit_returns_fits_and_is_a_beginning(text: str, room: float, mono: bool) -> None:
    shown = _svg.fit(text, room, 12, mono=mono)
    assert _svg.text_width(shown, 12, mono=mono) <= room
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


# --- one diagram ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("diagram", [TENANT_DATABASE, INSIGHTS], ids=lambda each: each.title)
def test_a_diagram_shows_every_entity_field_and_label(diagram: Diagram) -> None:
    picture = Picture(svg(diagram))
    picture.check()
    for entity in diagram.entities:
        assert entity.name in picture.texts
        for field in entity.fields:
            assert {field.name, field.type, *field.keys} <= set(picture.texts)
    assert {relation.label for relation in diagram.relations} <= set(picture.texts)
    assert len(picture.labels) == len(diagram.relations)


def test_a_frame_holds_the_boxes_of_its_group_and_no_other() -> None:
    picture = Picture(svg(TENANT_DATABASE))
    held = [sum(inside(box, frame) for box in picture.boxes) for frame in picture.frames]
    assert held == [1, 3]
    assert {"registry", "user_data"} <= set(picture.texts)


def test_a_line_starts_at_the_row_that_refers_and_ends_at_the_primary_key() -> None:
    picture = Picture(svg(TENANT_DATABASE))
    boxes = dict(zip((entity.name for entity in TENANT_DATABASE.entities), picture.boxes, strict=True))
    (_, start), (_, end) = picture.lines[0][0], picture.lines[0][-1]
    assert start == boxes["user_data.users"][1] + 40 + 20 + 10  # header, row of id, middle of tenant_id
    assert end == boxes["registry.tenants"][1] + 40 + 10


def test_an_embedded_document_hangs_on_the_field_of_its_owner() -> None:
    picture = Picture(svg(INSIGHTS))
    (_, start), (_, end) = picture.lines[0][0], picture.lines[0][-1]
    assert start == picture.boxes[1][1] + 20  # its header
    assert end == picture.boxes[0][1] + 40 + 20 + 10  # the row of topics


def test_many_and_one_have_different_line_ends() -> None:
    ends = {}
    for many in (True, False):
        diagram = Diagram("d", (TENANTS, ACTIVE), (Relation(ACTIVE.name, TENANTS.name, many=many),))
        links = [each for each in ET.fromstring(svg(diagram)).iter(f"{SVG}g") if each.get("class") == "link"]
        ends[many] = [path.attrib["d"] for path in links[0].iter(f"{SVG}path")]
    assert ends[True][0] != ends[False][0]
    assert ends[True][1] == ends[False][1]


def test_what_is_cut_off_is_in_a_tooltip() -> None:
    long_type = "enum of " + "many words " * 20
    picture = Picture(svg(Diagram("d", (Entity("e", (Field("f", long_type),)),))))
    assert long_type.strip() in picture.tooltips
    assert any(text.startswith("enum of") and text.endswith("…") for text in picture.texts)
    assert long_type.strip() not in picture.texts


def test_the_picture_names_itself_and_its_relations() -> None:
    root = ET.fromstring(svg(TENANT_DATABASE))
    assert root.findtext(f"{SVG}title") == "Tenant database"
    assert "user_data.users to registry.tenants" in root.findtext(f"{SVG}desc", "")


def test_the_legend_has_only_what_the_diagram_uses() -> None:
    whole, small = Picture(svg(TENANT_DATABASE)), Picture(svg(Diagram("d", (TENANTS,))))
    assert {"primary key", "foreign key", "view", "any number", "none or one"} <= set(whole.texts)
    assert "primary key" in small.texts
    assert not {"foreign key", "view", "any number", "none or one"} & set(small.texts)


def test_entities_stand_right_of_those_they_refer_to_even_in_a_cycle() -> None:
    chain = [Entity(name, ()) for name in "abc"]
    relations = (Relation("b", "a"), Relation("c", "b"))
    a, b, c = Picture(svg(Diagram("d", tuple(chain), relations))).boxes
    assert a[2] < b[0] and b[2] < c[0]
    Picture(svg(Diagram("d", tuple(chain), (*relations, Relation("a", "c"))))).check()


def test_a_hub_with_more_relations_than_free_ends_is_still_drawn() -> None:
    leaves = tuple(Entity(f"leaf{number}", (Field("hub_id", "int", "FK"),)) for number in range(9))
    hub = Entity("hub", (Field("id", "int", "PK"),))
    picture = Picture(svg(Diagram("d", (hub, *leaves), tuple(Relation(e.name, "hub", "hub_id") for e in leaves))))
    picture.check()
    assert len(picture.lines) == 9


# --- one architecture -----------------------------------------------------------------------------------


def test_layers_stand_below_each_other_and_hold_their_boxes() -> None:
    picture = Picture(architecture_svg(SYSTEM))
    picture.check()
    assert all(above[3] < below[1] for above, below in pairwise(picture.frames))
    owners = [[inside(box, frame) for frame in picture.frames].index(True) for box in picture.boxes]
    assert owners == [0, 0, 1, 2, 2]
    assert {"CLI", "rewrites filters", "SET LOCAL", "Engines"} <= set(picture.texts)


def test_an_arrow_joins_its_two_boxes() -> None:
    picture = Picture(architecture_svg(SYSTEM))
    ids = [each.id for layer in SYSTEM.layers for each in layer.boxes]
    boxes = dict(zip(ids, picture.boxes, strict=True))
    for arrow, line in zip(SYSTEM.arrows, picture.lines, strict=True):
        assert on_edge(line[0], boxes[arrow.source])
        assert on_edge(line[-1], boxes[arrow.target])


# --- stability and errors -------------------------------------------------------------------------------


def test_the_output_does_not_depend_on_the_hash_seed() -> None:
    script = """
import drawings as m
from prismicx.reference._drawing import architecture_mermaid, architecture_svg, mermaid, svg
print(svg(m.TENANT_DATABASE), svg(m.INSIGHTS), mermaid(m.TENANT_DATABASE))
print(architecture_svg(m.SYSTEM), architecture_mermaid(m.SYSTEM))
"""
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    outputs = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout.decode())
    assert len(outputs) == 1
    assert svg(TENANT_DATABASE) in outputs.pop()
