"""Diagrams as Mermaid texts: within its grammar for any names."""

from __future__ import annotations

import re

from hypothesis import given

from prismicx.reference._drawing import (
    Architecture,
    Diagram,
    Entity,
    Field,
    architecture_mermaid,
    mermaid,
)
from tests.unit.drawings import (
    SYSTEM,
    TENANT_DATABASE,
    any_input,
    architectures,
    diagrams,
)

QUOTED = r'"[^"%\\\x00-\x1f]*"'
NAME = r'"[^"%\\\x00-\x1f]+"'
ER_LINE = re.compile(
    rf" {{4}}(?:%% .*|{NAME}(?:\[{NAME}\])? \{{|\}}|{NAME} \|\|--o[{{|] {NAME} : {QUOTED})"
    rf"| {{8}}[A-Za-z_][\w\-\[\]()]* [A-Za-z_][\w\-\[\]()]*(?: [PFU]K(?:, [PFU]K)*)?(?: {NAME})?",
    re.ASCII,
)
FLOW_LINE = re.compile(
    rf" {{4}}subgraph layer\d+\[{NAME}\]| {{8}}b\d+\[{NAME}\]| {{4}}end| {{4}}b\d+ -->(?:\|{NAME}\|)? b\d+"
    r"| {4}classDef \w+Box [\w#:,]+| {4}class b\d+(?:,b\d+)* \w+Box"
)


@any_input
@given(diagrams())
def test_any_diagram_keeps_to_the_grammar_of_mermaid(diagram: Diagram) -> None:
    front, title, close, kind, *lines = mermaid(diagram).rstrip("\n").split("\n")
    assert (front, close, kind) == ("---", "---", "erDiagram")
    assert re.fullmatch(r'title: ".*"', title)
    for line in lines:
        assert ER_LINE.fullmatch(line), line
        assert not re.search(r"direction\s+(TB|BT|LR|RL)", line) or line.startswith("    %%")
    attributes = [line.split() for line in lines if line.startswith(" " * 8)]
    assert len(attributes) == sum(len(entity.fields) for entity in diagram.entities)
    # Mermaid would read such a word as a key instead of a type or a name.
    assert not any(re.match(r"(pk|fk|uk)\b", word, re.I) for words in attributes for word in words[:2])


@any_input
@given(architectures())
def test_any_architecture_keeps_to_the_grammar_of_mermaid(architecture: Architecture) -> None:
    *front, kind = mermaid_lines = architecture_mermaid(architecture).rstrip("\n").split("\n")[:4]
    assert (front[0], front[2], kind) == ("---", "---", "flowchart TB")
    for line in architecture_mermaid(architecture).rstrip("\n").split("\n")[len(mermaid_lines) :]:
        assert FLOW_LINE.fullmatch(line), line


def test_mermaid_of_a_diagram() -> None:
    text = mermaid(TENANT_DATABASE)
    assert '"user_data.users"["user_data.users (row-level security: tenant_isolation_policy)"] {' in text
    assert '        varchar(50) tenant_id FK "required"\n' in text
    assert "        timestamp_without_time_zone created_at\n" in text
    assert '        text status "active | suspended"\n' in text
    assert '        integer user_id PK, FK "required"\n' in text
    assert '    "registry.tenants" ||--o{ "user_data.users" : "tenant_id"\n' in text
    assert '    "user_data.users" ||--o| "user_data.profiles" : "user_id"\n' in text
    assert text.index("%% registry") < text.index('"registry.tenants"') < text.index("%% user_data")


def test_mermaid_keeps_a_changed_name_in_the_comment() -> None:
    assert '_ _pk "pk; note"' in mermaid(Diagram("d", (Entity("e", (Field("pk", "", note="note"),)),)))
    assert 'a_b c_d "c.d"' in mermaid(Diagram("d", (Entity("e", (Field("c.d", "a b"),)),)))


def test_mermaid_of_an_architecture() -> None:
    text = architecture_mermaid(SYSTEM)
    assert '    subgraph layer0["Doors"]\n        b0["CLI<br/>prismicx"]\n' in text
    assert '    b1 -->|"token"| b2\n' in text
    assert "    b0 --> b2\n" in text
    assert "    class b0,b1 doorBox\n" in text
