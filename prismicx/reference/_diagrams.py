"""Diagrams and architectures as values, and as Mermaid text. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from prismicx.reference import _svg
from prismicx.reference._svg import clean

# --- what can be drawn ----------------------------------------------------------------------------------

KEYS = ("PK", "FK", "UK")
ENTITY_COLOURS = {"table": "#1e4f8a", "view": "#6b3fa0", "collection": "#1b6b45", "embedded": "#4b6b2f"}
BOX_COLOURS = {  # kind -> fill, edge
    "door": ("#fdf0d5", "#b7791f"), "boundary": ("#fbe3e4", "#b3262d"), "postgres": ("#e1ecf9", "#1e4f8a"),
    "mongo": ("#e0f2e6", "#1b6b45"), "tenant": ("#efe6fa", "#6b3fa0"), "plain": ("#f3f4f6", "#6b7280"),
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A column or a document field.

    Attributes:
        key: ``PK``, ``FK``, ``UK``, or several of them with commas between.
        required: whether it is never null or absent.
        note: what else a reader needs, such as the values of an enumeration.

    Raises:
        ValueError: ``key`` holds another word.
    """

    name: str
    type: str
    key: str = ""
    required: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        for key in self.keys:
            _known("key", key, KEYS)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key.strip() for key in self.key.split(",") if key.strip())


@dataclass(frozen=True)
class Entity:
    """A ``table``, a ``view``, a ``collection``, or a document ``embedded`` in another; ``note`` is one line.

    Raises:
        ValueError: ``kind`` is another word.
    """

    name: str
    fields: tuple[Field, ...]
    kind: str = "table"
    note: str = ""

    def __post_init__(self) -> None:
        _known("kind of entity", self.kind, ENTITY_COLOURS)


@dataclass(frozen=True)
class Relation:
    """From ``source``, which holds the foreign key or is embedded, to ``target``, the one it belongs to.

    ``many`` says whether several sources may share a target. A ``label`` that names the referring field
    makes the line start at the row of that field.
    """

    source: str
    target: str
    label: str = ""
    many: bool = True


@dataclass(frozen=True)
class Diagram:
    """Entities, their relations, and (optional) ``groups``: name of a schema -> names of its entities.

    Raises:
        ValueError: two entities with one name, or a relation or a group that names an unknown entity, or an
            entity in two groups; the message names it.
    """

    title: str
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = _distinct("entity", (entity.name for entity in self.entities))
        for relation in self.relations:
            _known("entity in a relation", relation.source, names)
            _known("entity in a relation", relation.target, names)
        for name in _distinct("entity in the groups", chain.from_iterable(self.groups.values())):
            _known("entity in a group", name, names)


@dataclass(frozen=True)
class Box:
    """A part of an architecture; ``kind`` (door, boundary, postgres, mongo, tenant, plain) sets its colour.

    Raises:
        ValueError: ``kind`` is another word.
    """

    id: str
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "plain"

    def __post_init__(self) -> None:
        _known("kind of box", self.kind, BOX_COLOURS)


@dataclass(frozen=True)
class Layer:
    """Boxes side by side, in a band with a title."""

    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Arrow:
    """From box ``source`` to box ``target``, both by id."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Architecture:
    """Layers from top to bottom and the arrows between their boxes.

    Raises:
        ValueError: two boxes with one id, or an arrow that names an unknown box; the message names it.
    """

    title: str
    layers: tuple[Layer, ...]
    arrows: tuple[Arrow, ...] = ()

    def __post_init__(self) -> None:
        ids = _distinct("box", (each.id for layer in self.layers for each in layer.boxes))
        for arrow in self.arrows:
            _known("box in an arrow", arrow.source, ids)
            _known("box in an arrow", arrow.target, ids)


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what}: {name!r}")


def _distinct(what: str, names: Iterable[str]) -> dict[str, None]:
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f"{what} given twice: {name!r}")
        seen[name] = None
    return seen


# --- Mermaid --------------------------------------------------------------------------------------------


def mermaid(diagram: Diagram) -> str:
    """The diagram as a Mermaid ``erDiagram``, its title as front matter.

    Mermaid allows few characters in types and attribute names; others become ``_``, and a changed attribute
    name is repeated in the comment. Groups only order the entities: frames need a Mermaid newer than most.
    """
    lines = [*_front_matter(diagram.title), "erDiagram"]
    for group, entities in grouped(diagram):
        if group:
            lines.append(f"    %% {clean(group)}")
        for entity in entities:
            about = [entity.kind] * (entity.kind != "table") + [entity.note] * bool(clean(entity.note))
            alias = f"[{_quoted(entity.name + ' (' + ', '.join(about) + ')')}]" if about else ""
            lines.append(f"    {_quoted(entity.name)}{alias} {{")
            lines += [f"        {_attribute(each)}" for each in entity.fields]
            lines.append("    }")
    for relation in diagram.relations:
        ends = f"{_quoted(relation.target)} ||--{'o{' if relation.many else 'o|'} {_quoted(relation.source)}"
        lines.append(f"    {ends} : {_quoted(relation.label, empty='')}")
    return "\n".join(lines) + "\n"


def _attribute(each: Field) -> str:
    name = _word(each.name)
    about = [clean(each.name)] * (name != each.name) + ["required"] * each.required + [clean(each.note)]
    comment = "; ".join(part for part in about if part)
    words = [_word(each.type), name, ", ".join(each.keys), _quoted(comment) if comment else ""]
    return " ".join(word for word in words if word)


def _word(text: str) -> str:
    """The text as an attribute word of Mermaid, which is never empty and never starts like a key."""
    word = re.sub(r"[^\w\-\[\]()]", "_", "_".join(clean(text).split()), flags=re.ASCII)
    odd_start = not re.match(r"[A-Za-z_]", word) or re.match(r"(?:PK|FK|UK)\b", word, re.IGNORECASE)
    return f"_{word}" if odd_start else word


def _quoted(text: str, empty: str = "_") -> str:
    """The text in quotes; characters and words that Mermaid reads as syntax even there become entity codes."""
    safe = re.sub(r"[\"%\\#<>&`]", lambda found: f"#{ord(found[0])};", clean(text))
    safe = re.sub(r"d(?=irection )", "#100;", safe)
    safe = re.sub(r"^(\d*)([.*+-])", lambda found: f"{found[1]}#{ord(found[2])};", safe)  # no Markdown list
    return f'"{safe or empty}"'


def _front_matter(title: str) -> list[str]:
    # A JSON string is a YAML string, too.
    return ["---", f"title: {json.dumps(clean(title), ensure_ascii=False)}", "---"]


def architecture_mermaid(architecture: Architecture) -> str:
    """The architecture as a Mermaid ``flowchart TB``, a subgraph for each layer, its title as front matter."""
    lines = [*_front_matter(architecture.title), "flowchart TB"]
    boxes = [each for layer in architecture.layers for each in layer.boxes]
    ids = {each.id: f"b{number}" for number, each in enumerate(boxes)}
    for number, layer in enumerate(architecture.layers):
        lines.append(f"    subgraph layer{number}[{_quoted(layer.title)}]")
        for each in layer.boxes:
            texts = "<br/>".join(_quoted(text)[1:-1] for text in (each.title, *each.lines))
            lines.append(f'        {ids[each.id]}["{texts}"]')
        lines.append("    end")
    for arrow in architecture.arrows:
        label = f"|{_quoted(arrow.label)}|" if clean(arrow.label) else ""
        lines.append(f"    {ids[arrow.source]} -->{label} {ids[arrow.target]}")
    for kind, (fill, edge) in BOX_COLOURS.items():
        if members := [ids[each.id] for each in boxes if each.kind == kind]:
            lines.append(f"    classDef {kind}Box fill:{fill},stroke:{edge},color:{_svg.INK}")
            lines.append(f"    class {','.join(members)} {kind}Box")
    return "\n".join(lines) + "\n"


def grouped(diagram: Diagram) -> list[tuple[str, list[Entity]]]:
    """Groups with their entities; those in no group last, under an empty name."""
    group_of = {name: group for group, names in diagram.groups.items() for name in names}
    found: dict[str, list[Entity]] = {group: [] for group in [*diagram.groups, ""]}
    for entity in diagram.entities:
        found[group_of.get(entity.name, "")].append(entity)
    return [(group, entities) for group, entities in found.items() if entities]
