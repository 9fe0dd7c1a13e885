"""What cannot be drawn is named."""

from __future__ import annotations

import pytest

from prismicx.reference import _svg
from prismicx.reference._drawing import (
    Architecture,
    Arrow,
    Box,
    Diagram,
    Entity,
    Field,
    Layer,
    Relation,
)


@pytest.mark.parametrize("relation", [Relation("ghost", "a"), Relation("a", "ghost")])
def test_a_relation_to_an_unknown_entity_is_named(relation: Relation) -> None:
    with pytest.raises(ValueError, match="unknown entity in a relation: 'ghost'"):
        Diagram("d", (Entity("a", ()),), (relation,))


def test_groups_name_known_entities_once() -> None:
    with pytest.raises(ValueError, match="unknown entity in a group: 'ghost'"):
        Diagram("d", (Entity("a", ()),), (), {"g": ("ghost",)})
    with pytest.raises(ValueError, match="entity in the groups given twice: 'a'"):
        Diagram("d", (Entity("a", ()),), (), {"g": ("a",), "h": ("a",)})


@pytest.mark.parametrize("arrow", [Arrow("ghost", "a"), Arrow("a", "ghost")])
def test_an_arrow_to_an_unknown_box_is_named(arrow: Arrow) -> None:
    with pytest.raises(ValueError, match="unknown box in an arrow: 'ghost'"):
        Architecture("d", (Layer("l", (Box("a", "A"),)),), (arrow,))


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="entity given twice: 'a'"):
        Diagram("d", (Entity("a", ()), Entity("a", ())))
    with pytest.raises(ValueError, match="box given twice: 'a'"):
        Architecture("d", (Layer("l", (Box("a", "A"),)), Layer("m", (Box("a", "B"),))))


def test_unknown_kinds_and_keys_are_named() -> None:
    with pytest.raises(ValueError, match="unknown kind of entity: 'tabel'"):
        Entity("a", (), kind="tabel")
    with pytest.raises(ValueError, match="unknown kind of box: 'window'"):
        Box("a", "A", kind="window")
    with pytest.raises(ValueError, match="unknown key: 'XK'"):
        Field("a", "int", "PK,XK")


def test_boxes_without_room_between_them_are_an_error() -> None:
    box = _svg.Rect(0, 0, 20, 20)
    walls = [_svg.Rect(40, -100, 20, 220)]
    router = _svg.Router(_svg.Rect(-60, -60, 300, 140), [box, *walls], [], [])
    with pytest.raises(RuntimeError, match="too close"):
        router.route([_svg.Port(20, 10, 1, 0)], [_svg.Port(60, 10, 1, 0)])
