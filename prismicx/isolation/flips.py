"""Statements that change whose transaction it is while they run, after the proof was looked at.

A policy that asks once a statement whether there is a proof, and compares rows with a setting that is read with every
row, lets them through: the first row is the tenant's own, then the setting is changed, and the second is another's.
What is compared with rows must be what was proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.isolation.catalogue import TENANT, Relation
from prismicx.isolation.made_rows import Row, insert

PLANS = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off"
"""What makes the server take one row after the other; anybody may set it."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A statement whose first value is above 0 where it reached a row.

    Attributes:
        writes: whether it changes what it reaches.
        before: a statement to run first, with its values.
    """

    operation: str
    text: str
    values: list[Any]
    writes: bool = False
    before: tuple[str, list[Any]] | None = None


def flips(
    relation: Relation, other: str, mine: Row, theirs: Row, fresh: tuple[Mapping[str, Any], Mapping[str, Any]] | None
) -> Iterator[Flip]:
    """The attempts of one tenant on a row of another.

    Args:
        other: the tenant that is attacked.
        mine, theirs: a row of each.
        fresh: values for a new row of each, where one can be made.
    """
    turn = (
        f"(SELECT n, CASE WHEN n = 2 THEN set_config('app.current_tenant_id', '{other}', true) END AS named "
        "FROM generate_series(1, 2) AS n OFFSET 0) AS turn"
    )
    turned = "turn.named IS NOT DISTINCT FROM turn.named"
    types = {column.name: column.type for column in relation.columns}
    key = [name for name in relation.key or [TENANT] if name in mine and name in theirs]
    if not key:
        return
    values = _turns(key, mine, theirs)
    same = " AND ".join(
        f't."{name}" = CASE turn.n WHEN 1 THEN ${2 * at + 1}::{types[name]} ELSE ${2 * at + 2}::{types[name]} END'
        for at, name in enumerate(key)
    )
    yield Flip(
        "flip: SELECT",
        f"SELECT count(*) FILTER (WHERE turn.n = 2) FROM {turn} CROSS JOIN LATERAL "
        f"(SELECT 1 FROM {relation.name} AS t WHERE {same} AND {turned} OFFSET 0) AS found",
        values,
    )
    if not relation.is_table:
        return
    end = f"WHERE {same} AND {turned} RETURNING turn.n) SELECT count(*) FROM done WHERE n = 2"
    change = f'UPDATE {relation.name} AS t SET "{key[0]}" = t."{key[0]}" FROM {turn}'
    yield Flip("flip: UPDATE", f"WITH done AS ({change} {end}", values, True)
    if fresh and all(name in fresh[0] for name in key):
        # A row of one's own that nothing refers to: a foreign key that refuses shall be about the other's.
        delete = f"WITH done AS (DELETE FROM {relation.name} AS t USING {turn} {end}"
        before = (f"{insert(relation, fresh[0])} ON CONFLICT DO NOTHING", [*fresh[0].values()])
        yield Flip("flip: DELETE", delete, _turns(key, fresh[0], theirs), True, before)
    if fresh:
        names = [name for name in fresh[0] if name in fresh[1]]
        chosen = ", ".join(
            f"CASE turn.n WHEN 1 THEN ${2 * at + 1}::{types[name]} ELSE ${2 * at + 2}::{types[name]} END"
            for at, name in enumerate(names)
        )
        into = ", ".join(f'"{name}"' for name in names)
        yield Flip(
            "flip: INSERT … SELECT",
            f"WITH done AS (INSERT INTO {relation.name} ({into}) SELECT {chosen} FROM {turn} WHERE {turned} "
            # Policies refuse by an error, and before a conflict is looked for.
            "ON CONFLICT DO NOTHING RETURNING 1) SELECT 1 + count(*) FROM done",
            _turns(names, *fresh),
            True,
        )


def _turns(names: Iterable[str], first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Any]:
    return [row[name] for name in names for row in (first, second)]
