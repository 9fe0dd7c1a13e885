"""What both pictures are made of: text that fits, shelves of boxes, a router for lines, SVG elements.

All lengths are px (SVG user units at scale 1). Nothing here knows tables or layers.
"""

from __future__ import annotations

import heapq
import itertools
import math
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

GRID = 10
"""Distance of two neighbouring routing lines; edges of boxes and frames lie on multiples of it."""
STUB = 20
"""Straight piece of a line in front of a box, long enough for a crow's foot or an arrow head."""
SANS = "'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
INK, QUIET = "#1f2937", "#52606d"
_LABEL_ROOM = 170
BOLD = 1.15
"""How much wider than plain sans-serif text its bold form is."""
LINE_COLOURS = ("#334155", "#9a3412", "#166534", "#6b21a8", "#1d4ed8", "#9d174d", "#155e75", "#713f12")

Point = tuple[int, int]


# --- text -----------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """The text on one line and without what XML 1.0 forbids or what would reorder or hide its neighbours."""
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif category in ("Cs", "Cn"):
            kept.append("\ufffd")
        elif category != "Cf":
            kept.append(character)
    return " ".join("".join(kept).split())


def text_width(text: str, size: int, *, mono: bool = False) -> float:
    """An upper estimate of the width: the reader's font is unknown, so wide common fonts set the measure."""
    return size * sum(_em(character, mono) for character in text)


def _em(character: str, mono: bool) -> float:
    if unicodedata.combining(character):
        return 0.0
    if ord(character) > 0x52F and character not in "…–—‘’“”•":  # past Cyrillic: drawn from a fallback font
        return 1.1
    if mono:
        return 0.61
    if character in " .,:;'|!ijlI":
        return 0.36
    if character in "()[]/-frt":
        return 0.43
    return 1.0 if character in "mwMW@%—…" else 0.76 if character.isupper() else 0.64


def fit(text: str, room: float, size: int, *, mono: bool = False) -> str:
    """The text, or its beginning and ``…`` where it is wider than ``room``."""
    if text_width(text, size, mono=mono) <= room:
        return text
    left = room - text_width("…", size, mono=mono)
    for count, character in enumerate(text):
        left -= size * _em(character, mono)
        if left < 0:
            return text[:count].rstrip() + "…"
    return text


# --- boxes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle; ``x`` and ``y`` are its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def centre(self) -> Point:
        return self.x + self.width // 2, self.y + self.height // 2

    def moved(self, dx: int, dy: int) -> Rect:
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def grown(self, by: int) -> Rect:
        return Rect(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)

    def overlaps(self, other: Rect) -> bool:
        """Whether the two share more than an edge."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom


def snap(length: float) -> int:
    """The length rounded up to an even number of grid steps, so that its middle is on the grid too."""
    return math.ceil(length / (2 * GRID)) * 2 * GRID


def around(rects: Iterable[Rect]) -> Rect:
    """The smallest rectangle that holds them all; of no rectangles, an empty one."""
    every = list(rects) or [Rect(0, 0, 0, 0)]
    x, y = min(r.x for r in every), min(r.y for r in every)
    return Rect(x, y, max(r.right for r in every) - x, max(r.bottom for r in every) - y)


def shelves(sizes: Sequence[tuple[int, int]], limit: int, gap: int) -> list[Rect]:
    """Places for (width, height) from left to right, in a new row wherever ``limit`` would be passed."""
    places: list[Rect] = []
    x = y = row = 0
    for width, height in sizes:
        if x and x + width > limit:
            x, y, row = 0, y + row + gap, 0
        places.append(Rect(x, y, width, height))
        x, row = x + width + gap, max(row, height)
    return places


# --- lines ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Port:
    """A point on the edge of a box where a line may end, its outward direction, and how unwelcome it is."""

    x: int
    y: int
    dx: int
    dy: int
    cost: int = 0

    def out(self, distance: int) -> Point:
        return self.x + self.dx * distance, self.y + self.dy * distance


_BEND, _CROSSING, _SHARING = 3, 6, 60
_DIRECTIONS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
_Step = tuple[int, int, int, int]  # a grid point and the direction in which it was entered


class Router:
    """Finds orthogonal lines that pass no box: A* on the grid, where bends and other lines cost extra.

    A line may always share the path of an earlier one (at a price) and ``area`` leaves a free margin round
    all boxes, so there is a way between any two boxes that stand at least 6 grid steps apart.
    """

    def __init__(self, area: Rect, boxes: Iterable[Rect], frames: Iterable[Rect], captions: Iterable[Rect]):
        """Lines stay in ``area``, off ``boxes`` and ``captions``, and may cross the edges of ``frames``."""
        self._limits = (area.x, area.right, area.y, area.bottom)
        self._used: dict[Point, set[bool]] = {}  # grid point -> directions of lines there, True: horizontal
        # A line next to a box would look like its edge: the closest grid line is left to the stubs.
        self._blocked = {point for box in boxes for point in _points(box.grown(GRID))}
        self._blocked.update(point for caption in captions for point in _points(caption))
        for frame in frames:
            corners = [
                (frame.x, frame.y), (frame.right, frame.y), (frame.right, frame.bottom), (frame.x, frame.bottom),
            ]  # fmt: skip
            self._mark([*corners, corners[0]])

    def route(self, starts: Sequence[Port], ends: Sequence[Port]) -> list[Point]:
        """The corner points of the cheapest line from one of the starts to one of the ends."""
        goals = {end.out(STUB): end for end in ends}
        west, east = min(x for x, _ in goals), max(x for x, _ in goals)
        north, south = min(y for _, y in goals), max(y for _, y in goals)
        best: dict[_Step, int] = {}
        came: dict[_Step, _Step | Port] = {}
        queue: list[tuple[int, int, int, _Step, Port | None]] = []
        order = itertools.count()  # among equal costs the first found wins, so that the picture is stable

        def visit(cost: int, step: _Step, before: _Step | Port) -> None:
            if step not in best or cost < best[step]:
                best[step], came[step] = cost, before
                x, y = step[:2]
                far = max(0, west - x, x - east) + max(0, north - y, y - south)
                heapq.heappush(queue, (cost + far // GRID, next(order), cost, step, None))

        for port in starts:
            visit(port.cost + self._stub_cost(port), (*port.out(STUB), port.dx, port.dy), port)
        while queue:
            _, _, cost, step, end = heapq.heappop(queue)
            if end is not None:
                return self._finish(came, step, end)
            if cost > best[step]:
                continue
            x, y, dx, dy = step
            goal = goals.get((x, y))
            if goal and (dx, dy) != (goal.dx, goal.dy):  # else it would have to turn back on itself
                total = cost + goal.cost + self._stub_cost(goal) + _BEND * ((dx, dy) != (-goal.dx, -goal.dy))
                heapq.heappush(queue, (total, next(order), total, step, goal))
            for ahead in _DIRECTIONS:
                point = (x + ahead[0] * GRID, y + ahead[1] * GRID)
                if ahead != (-dx, -dy) and point not in self._blocked and self._inside(point):
                    bend = _BEND * (ahead != (dx, dy))
                    visit(cost + 1 + bend + self._toll(point, ahead[0] != 0), (*point, *ahead), step)
        raise RuntimeError("boxes stand too close together for a line between them")

    def _inside(self, point: Point) -> bool:
        west, east, north, south = self._limits
        return west <= point[0] <= east and north <= point[1] <= south

    def _toll(self, point: Point, horizontal: bool) -> int:
        used = self._used.get(point)
        return 0 if not used else _SHARING if horizontal in used else _CROSSING

    def _stub_cost(self, port: Port) -> int:
        return sum(self._toll(port.out(step), port.dx != 0) for step in (0, GRID, STUB))

    def _finish(self, came: dict[_Step, _Step | Port], step: _Step, end: Port) -> list[Point]:
        points = [end.out(0), end.out(STUB)]
        at: _Step | Port = step
        while not isinstance(at, Port):
            points.append(at[:2])
            at = came[at]
        points.append(at.out(0))
        line = _corners(points[::-1])
        self._mark(line)
        return line

    def _mark(self, line: Sequence[Point]) -> None:
        for start, stop in itertools.pairwise(line):
            for point in _points(around((Rect(*start, 0, 0), Rect(*stop, 0, 0)))):
                self._used.setdefault(point, set()).add(start[1] == stop[1])


def _points(rect: Rect) -> list[Point]:
    columns = range(rect.x // GRID * GRID, rect.right + 1, GRID)
    return [(x, y) for x in columns for y in range(rect.y // GRID * GRID, rect.bottom + 1, GRID)]


def _corners(points: Sequence[Point]) -> list[Point]:
    """The points without repetitions and without those in the middle of a straight piece."""
    line: list[Point] = []
    for point in points:
        if line and line[-1] == point:
            continue
        if len(line) > 1 and (line[-2][0] == line[-1][0] == point[0] or line[-2][1] == line[-1][1] == point[1]):
            line.pop()
        line.append(point)
    return line


def segments(line: Sequence[Point]) -> list[Rect]:
    """The straight pieces of a line as rectangles without width or without height."""
    return [around((Rect(*a, 0, 0), Rect(*b, 0, 0))) for a, b in itertools.pairwise(line)]


def label_place(
    line: Sequence[Point], size: tuple[int, int], area: Rect, keep_off: Sequence[Rect], others: Sequence[Rect]
) -> Rect | None:
    """Where in ``area`` a label sits best, on the line or beside it: never on ``keep_off``, rather not on others."""
    width, height = size
    found: list[tuple[int, Rect]] = []
    for piece in segments(line):
        flat = piece.width > 0
        length = max(piece.width, piece.height)
        beside = 0 if flat else width // 2 + 4
        for step, aside in itertools.product(range(0, length + 1, GRID), sorted({0, beside, -beside})):
            x, y = (piece.x + step, piece.y) if flat else (piece.x + aside, piece.y + step)
            place = Rect(x - width // 2, y - height // 2, width, height)
            if around((area, place)) != area or any(place.overlaps(rect) for rect in keep_off):
                continue
            hides_corner = min(step, length - step) < (width if flat else height) // 2 + 6
            covered = sum(place.overlaps(other.grown(2)) for other in others)
            off_middle = abs(step - length // 2) // GRID
            cost = 100 * covered + 60 * hides_corner + 8 * (not flat) + 8 * (aside != 0) + off_middle
            found.append((cost, place))
    return min(found, key=lambda each: each[0])[1] if found else None


# --- SVG ------------------------------------------------------------------------------------------------

Sign = Callable[[ET.Element, int, int], object]
"""Draws a sign of the legend from x on, 30 px wide, its middle at height y."""


def document(title: str, description: str, area: Rect, legend: Sequence[tuple[Sign, str]]) -> ET.Element:
    """A picture on white, with room for lines in ``area`` and the legend below, and with its title.

    The title and the description also speak to readers who do not see the picture.
    """
    width, height = area.right, around([area, *_legend_places(area, legend)]).bottom + 20
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    root.attrib.update(width=str(width), height=str(height), viewBox=f"0 0 {width} {height}")
    root.set("font-family", SANS)
    node(root, "title", clean(title))
    node(root, "desc", clean(description))
    node(root, "rect", width=width, height=height, fill="#ffffff")
    write(root, 20, 28, title, width - 40, 18, font_weight="bold")
    return root


def node(parent: ET.Element, tag: str, text: str = "", /, **attributes: object) -> ET.Element:
    """A new element; ``_`` in the name of an attribute stands for ``-`` (and ``class_`` for ``class``)."""
    names = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    element = ET.SubElement(parent, tag, names)
    element.text = text or None
    return element


def box(parent: ET.Element, rect: Rect, **attributes: object) -> ET.Element:
    return node(parent, "rect", x=rect.x, y=rect.y, width=rect.width, height=rect.height, **attributes)


def write(
    parent: ET.Element, x: float, y: float, text: str, room: float, size: int, *, mono: bool = False,
    fill: str = INK, **attributes: object,
) -> None:  # fmt: skip
    """Text whose middle is at height ``y``; what is cut off to fit ``room`` is shown as a tooltip."""
    whole = clean(text)
    bold = BOLD if attributes.get("font_weight") == "bold" and not mono else 1
    shown = fit(whole, room / bold, size, mono=mono)
    if shown != whole:
        parent = node(parent, "g")
        node(parent, "title", whole)
    if mono:
        attributes["font_family"] = MONO
    node(parent, "text", shown, x=f"{x:g}", y=f"{y + size * 0.36:g}", font_size=size, fill=fill, **attributes)


def draw_line(root: ET.Element, line: Sequence[Point], colour: str, tooltip: str) -> ET.Element:
    """A connector; returns the group that holds it, for its ends."""
    group = node(root, "g", class_="link", fill="none", stroke=colour, stroke_width=1.6)
    node(group, "title", clean(tooltip))
    node(group, "polyline", points=" ".join(f"{x},{y}" for x, y in line), stroke_linejoin="round")
    return group


def draw_labels(
    root: ET.Element,
    area: Rect,
    lines: Sequence[Sequence[Point]],
    labels: Sequence[tuple[str, str]],
    keep_off: Sequence[Rect],
) -> None:
    """A label (text, colour) on each line, off boxes, line ends and each other.

    Where there is no such place the label is left out; the tooltip of the line says it anyway.
    """
    taken = list(keep_off)
    for line in lines:
        ends = segments(line)
        taken += [_end(line[0], ends[0]), _end(line[-1], ends[-1])]
    for index in sorted(range(len(lines)), key=lambda each: -len(labels[each][0])):  # long ones fit in few places
        line, (text, colour) = lines[index], labels[index]
        others = [piece for other, each in enumerate(lines) if other != index for piece in segments(each)]
        place = label_place(line, (label_width(text), 16), area, taken, others)
        if place and clean(text):
            taken.append(place)
            box(root, place, fill="#ffffff", class_="label", rx=3)
            write(root, *place.centre, text, _LABEL_ROOM, 11, fill=colour, text_anchor="middle")


def label_width(text: str) -> int:
    """The width of a label with its white ground."""
    return math.ceil(text_width(fit(clean(text), _LABEL_ROOM, 11), 11)) + 8


def _end(point: Point, piece: Rect) -> Rect:
    """The part of a line's first or last piece that a crow's foot or an arrow head covers."""
    near = Rect(point[0] - STUB, point[1] - STUB, 2 * STUB, 2 * STUB)
    x, y = max(near.x, piece.x), max(near.y, piece.y)
    return Rect(x, y, min(near.right, piece.right) - x, min(near.bottom, piece.bottom) - y).grown(6)


def draw_legend(root: ET.Element, area: Rect, legend: Sequence[tuple[Sign, str]]) -> None:
    """What the signs mean, below ``area``."""
    for (sign, text), place in zip(legend, _legend_places(area, legend), strict=True):
        sign(root, place.x, place.centre[1])
        write(root, place.x + 36, place.centre[1], text, place.width - 36, 11, fill=QUIET)


def _legend_places(area: Rect, legend: Sequence[tuple[Sign, str]]) -> list[Rect]:
    sizes = [(math.ceil(text_width(text, 11)) + 40, 20) for _, text in legend]
    return [place.moved(20, area.bottom) for place in shelves(sizes, area.width - 40, 16)]


def render(root: ET.Element) -> str:
    """The document as text."""
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"
