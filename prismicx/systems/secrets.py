"""What is secret in the configurations of a tenant's systems. Reference: `tenant_systems` Table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from prismicx.engines.scoped_sql import Sql
from prismicx.sealing.fields import CONFIGURATION, Field
from prismicx.sealing.places import Tally
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import is_sealed
from prismicx.statements import Statements
from prismicx.systems.declarations import Choices, Declaration, stored_choices, stored_declaration

queries = Statements("prismicx.systems", "secrets.sql")


def sealed_keys(choices: Choices) -> frozenset[str]:
    """The keys whose values are sealed."""
    return frozenset(key for key, value in choices.configuration.items() if is_sealed(value))


async def changed_choices(
    sealer: Sealer,
    system_id: str,
    declared: Declaration,
    held: Choices,
    configuration: Mapping[str, Any] | None,
    features: Mapping[str, bool] | None,
) -> Choices:
    """Choices after changes, see `Declaration.changed`, as they are stored: what is declared secret is sealed, and what
    was sealed before."""
    known = sealed_keys(held)
    opened = {key: await sealer.open(system_id, key, held.configuration[key]) for key in known}
    chosen = declared.changed(replace(held, configuration={**held.configuration, **opened}), configuration, features)
    secret = (declared.secrets | known) & chosen.configuration.keys()
    if not secret:
        return chosen
    writer = await sealer.writer()
    sealed = {key: writer.seal(system_id, key, chosen.configuration[key]) for key in secret}
    return replace(chosen, configuration={**chosen.configuration, **sealed})


class SecretConfigurations:
    """As `prismicx.sealing.places.Place` has it."""

    field: Field = CONFIGURATION

    def __init__(self, open_sql: Callable[[], Sql], sealer: Sealer) -> None:
        self._open_sql = open_sql
        self._sealer = sealer

    async def tally(self) -> Tally:
        """See `Place.tally`."""
        tally = Tally()
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.configurations)
        for row in rows:
            declared = stored_declaration(row["configuration"], None)
            held = stored_choices(row["configurations"], None)
            for key, value in held.configuration.items():
                if is_sealed(value):
                    tally.add(value)
                elif key in declared.secrets:
                    tally.plain += 1
        return tally

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """See `Place.reseal`."""
        count = 0
        async with self._open_sql() as sql:
            for row in await sql.fetch(queries.configurations_for_update):
                declared = stored_declaration(row["configuration"], None)
                held = stored_choices(row["configurations"], None)
                sealed = {}
                for key in sealed_keys(held) | (declared.secrets & held.configuration.keys()):
                    text = await self._sealer.renewed(row["system_id"], key, held.configuration[key])
                    if text is not None:
                        sealed[key] = text
                if sealed:
                    text = json.dumps({**held.configuration, **sealed})
                    await sql.execute(queries.set_configuration, row["system_id"], text)
                    count += len(sealed)
        progress(count)
        return count
