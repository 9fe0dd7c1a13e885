"""What services registered of preferences: the schema their values obey, their defaults, and which are secret."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_json, check_object
from prismicx.clock import utc_now
from prismicx.engines.postgres import Postgres
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.json_schemas import flaw_of, problem_of
from prismicx.remembered import Remembered
from prismicx.sealing.values import check_plain
from prismicx.statements import Statements

queries = Statements("prismicx.users", "preference_types.sql")

INVALID = "preference.invalid"

_DATABASE = "system_users"
_READER, _WRITER = "users", "registry"
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}")
_ALL = "all"


@dataclass(frozen=True, slots=True)
class PreferenceType:
    """What is registered of a key.

    Attributes:
        schema: the JSON Schema its values obey.
        default: what a user has who set nothing; None for nothing.
        secret: whether its values are sealed where they are stored.
        registered_at: aware, UTC.
    """

    key: str
    schema: Mapping[str, Any]
    default: Any
    secret: bool
    registered_at: datetime

    def problem(self, value: Any, secret: bool = False) -> str:
        """What of a value breaks the schema, in words; empty where nothing does. Of a secret one it tells no value.

        Args:
            secret: it is secret, though the key is registered as none.
        """
        found = problem_of(self.schema, value)
        return "it breaks the schema" if found and (secret or self.secret) else found


class KnownTypes:
    """All that is registered, as it was known at one time."""

    def __init__(self, types: Sequence[PreferenceType]) -> None:
        self._types = {item.key: item for item in types}
        self.secret = frozenset(item.key for item in types if item.secret)
        self.defaults: Mapping[str, Any] = {item.key: item.default for item in types if item.default is not None}

    def check(self, key: str, value: Any, *, secret: bool = False) -> str:
        """The value as JSON, if it is what the key may have.

        Args:
            secret: tell no value, as of a key that is registered as secret.

        Raises:
            InvalidInput: ``preference.invalid``.
        """
        label = f"the preference {key}"
        text = check_json(INVALID, label, value)
        registered = self._types.get(key)
        problem = registered.problem(value, secret) if registered is not None else ""
        if registered is not None and problem:
            raise InvalidInput(INVALID, f"{label}: {problem}", f"its schema is {json.dumps(registered.schema)[:300]}")
        check_plain(INVALID, label, value)
        return text


class PreferenceTypes:
    """Registers what values of preferences are, for every process of the platform.

    Args:
        seconds: for which an answer is trusted; a process sees after at most so long what another one registered.
    """

    def __init__(self, postgres: Postgres, seconds: float, trace: Trace) -> None:
        self._postgres = postgres
        self._known: Remembered[str, KnownTypes] = Remembered(seconds)
        self._trace = trace

    @audited("preference_type.register", given=("key", "secret"))
    async def register(self, key: str, schema: Mapping[str, Any], *, default: Any = None, secret: bool = False) -> None:
        """Let values of a key obey a JSON schema from now on, in place of what was registered of it before. What is
        stored already stays, and is read as it is.

        Args:
            secret: seal the values where they are stored.
            default: what a user has who set nothing; it obeys the schema, unless it is None.

        Raises:
            InvalidInput: ``preference.invalid``.
        """
        check_key(key)
        label = f"the schema of {key}"
        text = check_object(INVALID, label, schema)
        flaw = flaw_of(dict(schema))
        if flaw is not None:
            raise InvalidInput(INVALID, f"{flaw.where} of {label} is {quoted(flaw.found)}", flaw.remedy)
        if not isinstance(secret, bool):
            raise InvalidInput(INVALID, f"secret is {quoted(secret)}", "give True or False")
        if secret and default is not None:
            raise InvalidInput(INVALID, f"{key} is secret and has a default", "leave it out: everybody could read it")
        moment = utc_now()
        made = PreferenceType(key, schema, default, secret, moment.replace(tzinfo=UTC))
        value = None if default is None else KnownTypes([made]).check(key, default)
        await self._write(queries.register, key, text, value, secret, moment)

    @audited("preference_type.unregister", given=("key",))
    async def unregister(self, key: str) -> None:
        """Let a key have any value again, as one of which nothing was registered. What was sealed stays so.

        Raises:
            InvalidInput: ``preference.invalid``.
            NotFound: ``preference.type_unknown``.
        """
        if not await self._write(queries.unregister, check_key(key)):
            raise NotFound(
                "preference.type_unknown",
                f"nothing is registered of {key}",
                "prismicx preference types shows what there is",
            )

    async def list(self) -> Sequence[PreferenceType]:
        """What is registered, by key."""
        pool = await self._postgres.pool(_READER, _DATABASE)
        rows = await pool.fetch(queries.all)
        return [
            PreferenceType(
                row["key"],
                json.loads(row["schema"]),
                None if row["value"] is None else json.loads(row["value"]),
                row["secret"],
                row["registered_at"].replace(tzinfo=UTC),
            )
            for row in rows
        ]

    async def known(self) -> KnownTypes:
        """What is registered, as it was at most some seconds ago."""
        found = self._known.get(_ALL)
        if found is None:
            asked = time.monotonic()
            found = KnownTypes(await self.list())
            self._known.keep(_ALL, found, asked)
        return found

    async def check_defaults(self, values: object) -> None:
        """See that values by key may be what a tenant's users prefer by default.

        Raises:
            InvalidInput: ``preference.invalid``.
        """
        if not isinstance(values, Mapping):
            raise InvalidInput(INVALID, f"the default preferences are {quoted(values)}", "give values by key")
        known = await self.known()
        for key, value in values.items():
            if check_key(key) in known.secret:
                raise InvalidInput(INVALID, f"{key} is secret and gets a default", "everybody could read it: set it")
            known.check(key, value)

    async def _write(self, statement: str, *values: Any) -> Sequence[Any]:
        pool = await self._postgres.pool(_WRITER, _DATABASE)
        rows: Sequence[Any] = await pool.fetch(statement, *values)
        self._known.forget(_ALL)
        return rows


def check_key(key: object) -> str:
    """The name of a preference.

    Raises:
        InvalidInput: ``preference.invalid``.
    """
    if isinstance(key, str) and _KEY.fullmatch(key):
        return key
    raise InvalidInput(
        INVALID,
        f"the key is {quoted(key)}",
        "give 1 to 100 of letters, digits and _ . : / -, not beginning with a sign",
    )
