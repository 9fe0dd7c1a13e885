"""Diagrams to draw: some that are known, and any."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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

USERS = Entity(
    "user_data.users",
    (
        Field("id", "integer", "PK", required=True),
        Field("tenant_id", "varchar(50)", "FK", required=True),
        Field("created_at", "timestamp without time zone"),
        Field("status", "text", note="active | suspended"),
    ),
    note="row-level security: tenant_isolation_policy",
)
PROFILES = Entity("user_data.profiles", (Field("user_id", "integer", "PK,FK", required=True),))
TENANTS = Entity("registry.tenants", (Field("tenant_id", "varchar(50)", "PK"), Field("name", "text", "UK")))
ACTIVE = Entity("user_data.active_users", (Field("id", "integer"),), kind="view")
TENANT_DATABASE = Diagram(
    "Tenant database",
    (USERS, PROFILES, TENANTS, ACTIVE),
    (
        Relation("user_data.users", "registry.tenants", "tenant_id"),
        Relation("user_data.profiles", "user_data.users", "user_id", many=False),
        Relation("user_data.users", "user_data.users", "invited by"),
    ),
    {"registry": ("registry.tenants",), "user_data": (USERS.name, PROFILES.name, ACTIVE.name)},
)
INSIGHTS = Diagram(
    "User insights",
    (
        Entity("user_insights", (Field("_id", "objectId", "PK"), Field("topics", "array")), kind="collection"),
        Entity("topics", (Field("name", "string"), Field("subtopics", "array")), kind="embedded"),
        Entity("topics.subtopics", (Field("name", "string"),), kind="embedded"),
    ),
    (Relation("topics", "user_insights", "topics"), Relation("topics.subtopics", "topics", "subtopics")),
)
SYSTEM = Architecture(
    "One boundary",
    (
        Layer("Doors", (Box("cli", "CLI", ("prismicx",), "door"), Box("api", "HTTP API", (), "door"))),
        Layer("Boundary", (Box("boundary", "Boundary", ("sets the tenant", "rewrites filters"), "boundary"),)),
        Layer("Engines", (Box("pg", "PostgreSQL", (), "postgres"), Box("mongo", "MongoDB", (), "mongo"))),
    ),
    (
        Arrow("cli", "boundary"),
        Arrow("api", "boundary", "token"),
        Arrow("boundary", "pg", "SET LOCAL"),
        Arrow("boundary", "mongo"),
        Arrow("cli", "pg", "backup"),
        Arrow("pg", "pg", "vacuum"),
    ),
)


# --- any input ------------------------------------------------------------------------------------------

NASTY = ["", '"', "<b>&amp;</b>", "]]>", "a\nb", "\x00\x1b", "pk", "FK-1", "%%{init: {}}%%", "direction TB", "x" * 300]
texts = st.one_of(
    st.sampled_from([*NASTY, "\ud800", "\ufffe", "\u202eabc", "名前", "subgraph", "end", "1. one", "`", "#quot;"]),
    st.text(st.characters(exclude_categories=()), max_size=12),
)
fields = st.builds(
    Field, texts, texts, st.sampled_from(["", "PK", "FK", "UK", "PK,FK", "PK, FK, UK"]), st.booleans(), texts
)
kinds = st.sampled_from(["table", "view", "collection", "embedded"])


@st.composite
def diagrams(draw: st.DrawFn) -> Diagram:
    names = draw(st.lists(texts, max_size=6, unique=True))
    entities = tuple(
        Entity(name, tuple(draw(st.lists(fields, max_size=4))), draw(kinds), draw(texts)) for name in names
    )
    ends = st.sampled_from(names) if names else st.nothing()
    relations = st.lists(st.builds(Relation, ends, ends, texts, st.booleans()), max_size=6 if names else 0)
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        if (group := draw(st.sampled_from([None, "one", "<two>", "a long name of a group \n" * 9]))) is not None:
            groups[group] = (*groups.get(group, ()), name)
    return Diagram(draw(texts), entities, tuple(draw(relations)), groups)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    ids = draw(st.lists(texts, max_size=8, unique=True))
    box_kinds = st.sampled_from(["door", "boundary", "postgres", "mongo", "tenant", "plain"])
    lines = st.lists(texts, max_size=3).map(tuple)
    boxes = [Box(each, draw(texts), draw(lines), draw(box_kinds)) for each in ids]
    cuts = sorted(draw(st.lists(st.integers(0, len(boxes)), max_size=3)))
    layers = [Layer(draw(texts), tuple(boxes[a:b])) for a, b in pairwise([0, *cuts, len(boxes)])]
    ends = st.sampled_from(ids) if ids else st.nothing()
    arrows = st.lists(st.builds(Arrow, ends, ends, texts), max_size=6 if ids else 0)
    return Architecture(draw(texts), tuple(layers), tuple(draw(arrows)))


any_input = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
