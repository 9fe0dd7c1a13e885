"""What a picture of entities and one of layers share: measures, frames, the order of routing. Lengths are px."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle

from prismicx.reference import _svg
from prismicx.reference._svg import QUIET, Rect, around, box, clean, write

ROW, HEAD, PAD = 20, 40, 10
FRAME, FRAME_TOP, CAPTION = 40, 60, 20  # from the edges of a frame to its boxes; height of its caption
MARGIN, TITLE = 40, 40
BETWEEN = 60  # from box to box and from frame to frame, wide enough for lines


def colours() -> Iterator[str]:
    return cycle(_svg.LINE_COLOURS)


def area_of(rects: Iterable[Rect]) -> Rect:
    """The part of the page for boxes and lines; wide enough for a title of some words."""
    return around([*rects, Rect(MARGIN, MARGIN + TITLE, 400, 0)]).grown(MARGIN)


def captions_of(frames: Iterable[tuple[str, Rect]]) -> list[Rect]:
    """The places of the names of frames, which no line may cross."""
    return [
        Rect(frame.x, frame.y, min(frame.width, 30 + math.ceil(_svg.BOLD * _svg.text_width(clean(name), 12))), CAPTION)
        for name, frame in frames
    ]


def shortest_first(places: Mapping[str, Rect], links: Sequence[tuple[str, str]]) -> list[int]:
    """The order in which to route links: a short line has one good way, a long one has many.

    Links from a box to itself come last, because they can choose the emptier side.
    """

    def distance(index: int) -> tuple[bool, int]:
        (x, y), (other_x, other_y) = (places[name].centre for name in links[index])
        return links[index][0] == links[index][1], abs(x - other_x) + abs(y - other_y)

    return sorted(range(len(links)), key=distance)


def draw_frame(root: ET.Element, frame: Rect, name: str, caption: Rect) -> None:
    box(root, frame, class_="frame", fill="#f8fafc", stroke="#a3b1c2", rx=4, stroke_dasharray="6 4")
    room = caption.width - 20
    write(root, frame.x + 10, frame.y + 14, name, room, 12, fill=QUIET, font_weight="bold")


def swatch(fill: str, edge: str) -> _svg.Sign:
    """The sign of a colour."""
    return lambda root, x, y: box(root, Rect(x, y - 7, 30, 14), fill=fill, stroke=edge, rx=3)
