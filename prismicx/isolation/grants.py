"""Rights that are nobody's: on the server's own catalogue, on the key of proofs, and those of strangers."""

from __future__ import annotations

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import sql
from prismicx.isolation.roles import Kinds
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference.definitions import OWNER

SERVER = Check("grants.server", "PostgreSQL", "Nobody has rights on what the server brings beyond those it came with")
STRANGERS = Check("grants.strangers", "PostgreSQL", "Nobody but services of the platform has a right on its tables")
PROOFS = Check("grants.proofs", "PostgreSQL", "Nobody but the owner reads or changes what proofs are made with")
CHECKS = (SERVER, STRANGERS, PROOFS)

_BROUGHT = ("pg_catalog.", "information_schema.", "parameter ")


async def check_grants(connection: Connection, names: Names, database: str, tally: Tally) -> None:
    """Look at the rights on every relation, column, function and parameter that the catalogue knows."""
    kinds = Kinds(names)
    for row in await connection.fetch(sql.added_rights):
        kind, who, what = kinds.of(row["role"]), row["role"], row["name"]
        if what.startswith(_BROUGHT):
            check, allowed = SERVER, not kind and who != "public"
        else:
            check, allowed = STRANGERS, kind != "" and not kind.startswith("a tenant")
        tally.note(check, kind or who, what, row["privilege"], "" if allowed else f"{who} has it")
    # What holds is an attempt as well: without it the report would show none where nothing was granted.
    tally.note(SERVER, "everybody", database, "rights on catalogues, functions and parameters")
    tally.note(STRANGERS, "everybody", database, "rights on tables")
    for row in await connection.fetch(sql.key_rights, names.service(OWNER)):
        how = f"{row['role']} may" if row["held"] else ""
        tally.note(PROOFS, kinds.of(row["role"]) or "a stranger", "prismicx.context_key", "read or change", how)
