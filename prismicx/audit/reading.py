"""Reading the trail: pages of it, where it ends, and whether it is unbroken."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prismicx.audit.chain import START, Broken, Walk
from prismicx.audit.operations import OPERATIONS
from prismicx.audit.trail import DATABASE, SERVICE, queries
from prismicx.audit.values import OUTCOMES, AuditEvent, Outcome, check_actor, event_of
from prismicx.checks import check_moment
from prismicx.engines.lost import told_when_lost
from prismicx.engines.postgres import Pool, Postgres
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.names import check_tenant_id
from prismicx.pages import Page, check_limit, cursor_of, key_of

_HASH = re.compile(r"[0-9a-f]{64}")
_END = 2**63 - 1
_STEP = 2_000
_NO_HEAD = {"sequence": 0, "hash": START}  # somebody removed the row: the walk finds that it is not the end


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends. Kept elsewhere, it tells later whether rows were cut off or all were written anew."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the chain found.

    Attributes:
        rows: how many were found right.
        head: the last of them.
        broken: the first that is wrong; None where none is.
        unfinished: how many operations began and have no outcome: they run now, or were killed.
    """

    rows: int
    head: Head
    broken: Broken | None
    unfinished: int

    @property
    def ok(self) -> bool:
        """The chain is unbroken."""
        return self.broken is None


class Audit:
    """The trail of a platform, to be read."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def head(self) -> Head:
        """Where the chain ends."""
        row: Any = await (await self._pool()).fetchrow(queries.head) or _NO_HEAD
        return Head(row["sequence"], row["hash"])

    async def list(
        self,
        *,
        tenant: str | None = None,
        operation: str | None = None,
        actor: str | None = None,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        unfinished: bool = False,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[AuditEvent]:
        """Events, the newest first.

        Args:
            since: only those that were written down at this time or later.
            unfinished: only operations that began and have no outcome.
            after: the ``next`` of the page before.

        Raises:
            InvalidInput: ``audit.operation_unknown``, ``audit.outcome_invalid``, ``audit.time_invalid``,
                ``audit.actor_invalid``, ``tenant.id_invalid``, ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        size = check_limit(limit)
        (before,) = key_of("audit", after, int) if after is not None else (_END,)
        if not -_END <= before <= _END:
            raise InvalidInput("page.cursor_invalid", "after holds no place", "give the `next` of the page before")
        if tenant is not None:
            check_tenant_id(tenant)
        if operation is not None and operation not in OPERATIONS:
            raise InvalidInput(
                "audit.operation_unknown",
                f"the operation is {quoted(operation)}",
                f"use one of {', '.join(OPERATIONS)}",
            )
        if actor is not None:
            check_actor(actor)
        if outcome is not None and outcome not in OUTCOMES:
            raise InvalidInput(
                "audit.outcome_invalid", f"the outcome is {quoted(outcome)}", f"use one of {', '.join(OUTCOMES)}"
            )
        moment = None if since is None else check_moment("audit.time_invalid", "since", since).replace(tzinfo=None)
        rows = await (await self._pool()).fetch(
            queries.list, before, tenant, operation, actor, outcome, moment, unfinished, size + 1
        )
        items = [event_of(row) for row in rows[:size]]
        return Page(items, cursor_of("audit", items[-1].sequence) if len(rows) > size else None)

    @told_when_lost
    async def verify(
        self, *, start: int = 1, expect: str | None = None, progress: Callable[[int, int], None] = lambda _a, _b: None
    ) -> Verdict:
        """Walk the chain and work out every hash anew, up to the first row that is wrong.

        Args:
            start: the first row that is looked at; the hash of the one before is taken on trust.
            expect: the hash of a row, kept elsewhere: there must be one with it.
            progress: told how many of how many rows were looked at.

        Raises:
            InvalidInput: ``audit.start_invalid`` or ``audit.hash_invalid``.
            NotFound: ``audit.row_unknown`` when the chain is not so long.
        """
        if not isinstance(start, int) or isinstance(start, bool) or start < 1:
            raise InvalidInput("audit.start_invalid", f"the first row is {quoted(start)}", "use 1 or more")
        if expect is not None and (not isinstance(expect, str) or not _HASH.fullmatch(expect)):
            raise InvalidInput(
                "audit.hash_invalid", f"the hash is {quoted(expect)}", "give the 64 digits of `prismicx audit head`"
            )
        async with (await self._pool()).acquire() as connection, connection.transaction(
            isolation="repeatable_read", readonly=True
        ):  # fmt: skip
            end: Any = await connection.fetchrow(queries.head) or _NO_HEAD
            walk, wanted, begun = Walk(), expect, set[int]()
            if start > 1:
                if start > end["sequence"]:
                    raise NotFound("audit.row_unknown", f"there is no row {start}", f"the last is {end['sequence']}")
                walk = Walk(start - 2)
            cursor = await connection.cursor(queries.walk, max(start - 1, 1))
            broken: Broken | None = None
            while broken is None and (rows := await cursor.fetch(_STEP)):
                for row in rows:
                    if start > 1 and not walk.rows:
                        walk = Walk(start - 2, row["previous_hash"])  # the row before the first is taken on trust
                    broken = walk.take(row)
                    if broken is not None:
                        break
                    if row["outcome"] == "begun":
                        begun.add(row["sequence"])
                    begun.discard(row["begun"])
                    wanted = None if row["hash"] == wanted else wanted
                progress(walk.sequence, end["sequence"])
        broken = broken or walk.end(end["sequence"], end["hash"])
        if broken is None and wanted not in (None, START):
            broken = Broken(None, "anchor", "no row has the hash that was expected: rows were cut off or written anew")
        return Verdict(walk.rows, Head(walk.sequence, walk.hash), broken, len(begun))

    async def _pool(self) -> Pool:
        return await self._postgres.pool(SERVICE, DATABASE)
