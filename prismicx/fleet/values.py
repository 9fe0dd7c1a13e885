"""What a plan and a rollout are, and the rules their options obey. No engine."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from prismicx.checks import check_text
from prismicx.errors import Conflict, InvalidInput, quoted
from prismicx.names import check_tenant_id

Action = Literal["install", "upgrade", "rollback", "uninstall"]
ACTIONS: tuple[Action, ...] = get_args(Action)
State = Literal["running", "paused", "finished", "aborted", "interrupted"]
"""``interrupted`` is one that should run, and whose process is no more."""


INVALID = "rollout.invalid"

WAVES = ("1%", "10%")
"""The waves of a rollout over more than a handful of tenants, unless others are named; what is left comes last."""

_SHARE = re.compile(r"(\d{1,9})(%?)")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tenants are meant: all, those named, or those with a tag, a tier or a region. Checked.

    Attributes:
        tags: the tenant's setting ``tags`` holds one of them.

    Raises:
        InvalidInput: ``rollout.invalid`` or ``tenant.id_invalid``.
    """

    all_tenants: bool = False
    tenants: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for tenant_id in self.tenants:
            check_tenant_id(tenant_id)
        for label in ("tags", "tiers", "regions"):
            for value in getattr(self, label):
                check_text(INVALID, label, value, 50)
        if sum(map(bool, (self.all_tenants, self.tenants, self.tags or self.tiers or self.regions))) != 1:
            raise InvalidInput(
                INVALID,
                "it is not said which tenants are meant",
                "name tenants, or all tenants, or tags, tiers and regions",
            )


@dataclass(frozen=True, slots=True)
class Options:
    """How a rollout goes about it, checked.

    Attributes:
        canaries: tenants of a wave of their own, before all others.
        waves: how many tenants are done after each wave, as a number or a share (``10%``); what is left is the last.
        concurrency: tenants at once.
        max_failures: how many may fail before it pauses, as a number or a share of the tenants.
        lock_milliseconds: how long a statement waits for a lock before the step is undone and tried again.
        patience: seconds for which a step is tried again.
        statement_milliseconds: how long a statement may run; 0 is without a limit.
        force: take tenants, too, whose schemas are not what their versions make.

    Raises:
        InvalidInput: ``rollout.invalid``.
    """

    canaries: tuple[str, ...] = ()
    waves: tuple[str, ...] | None = None
    concurrency: int = 4
    max_failures: str = "1%"
    lock_milliseconds: int = 300
    patience: float = 30.0
    statement_milliseconds: int = 0
    force: bool = False

    def __post_init__(self) -> None:
        for tenant_id in self.canaries:
            check_tenant_id(tenant_id)
        for share in (*(self.waves or ()), self.max_failures):
            _amount(share, 100)
        for label, least, most in (
            ("concurrency", 1, 64),
            ("lock_milliseconds", 1, 60_000),
            ("statement_milliseconds", 0, 86_400_000),
            ("patience", 0, 3_600),
        ):
            value = getattr(self, label)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (label == "patience" and isinstance(value, float))) or not least <= value <= most:
                raise InvalidInput(INVALID, f"{label} is {quoted(value)}", f"give a number, {least} to {most:,}")

    def allowed_failures(self, tenants: int) -> int:
        """How many of so many tenants may fail."""
        return _amount(self.max_failures, tenants)

    def in_waves(self, tenants: Sequence[str], named: bool) -> list[list[str]]:
        """The tenants by wave: canaries, then as the waves say, then the rest. Within a wave their order says
        nothing, so that the first ones are not all of one kind.

        Args:
            named: the tenants were named one by one, and go at once unless waves were asked for.
        """
        first = [tenant_id for tenant_id in self.canaries if tenant_id in set(tenants)]
        rest = sorted(set(tenants) - set(first), key=lambda tenant_id: hashlib.sha256(tenant_id.encode()).digest())
        shares = self.waves if self.waves is not None else () if named else WAVES
        ends = [min(max(_amount(share, len(rest)), 1), len(rest)) for share in shares]
        waves, begin = [first], 0
        for end in [*ends, len(rest)]:
            waves.append(rest[begin:end])
            begin = max(begin, end)
        return [wave for wave in waves if wave]

    def to_json(self) -> str:
        """As the rollout keeps them."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @staticmethod
    def from_json(text: str) -> Options:
        """As they were kept."""
        held = json.loads(text)
        waves = held.pop("waves")
        return Options(canaries=tuple(held.pop("canaries")), waves=None if waves is None else tuple(waves), **held)


@dataclass(frozen=True, slots=True)
class Group:
    """Tenants that take the same way.

    Attributes:
        path: the versions on the way, the first one left out; empty where the system is removed.
        from_snapshot: the version is made at once, not by its history.
        locks: what each step locks and rewrites, as its trial showed; by version, table and kind. None from a snapshot.
        seconds: an estimate, from trials on empty tables: at least so long.
    """

    version_from: str | None
    path: tuple[str, ...]
    from_snapshot: bool
    tenants: tuple[str, ...]
    locks: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Blocked:
    """A tenant that is left out, and why.

    Attributes:
        code, exit_code: of the error that the tenant by itself would meet.
    """

    tenant_id: str
    version: str | None
    code: str
    reason: str
    exit_code: int = Conflict.exit_code


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout would do.

    Attributes:
        done: how many tenants are there already.
        waves: ids of the tenants, wave by wave.
        seconds: an estimate of the time; see `Group`.
        made_at: when the tenants were looked at, aware, UTC.
        is_named: the tenants were named one by one.
    """

    system_id: str
    action: Action
    version: str | None
    groups: tuple[Group, ...]
    blocked: tuple[Blocked, ...]
    done: int
    waves: tuple[tuple[str, ...], ...]
    options: Options
    seconds: float
    made_at: datetime
    is_named: bool = False

    @property
    def tenants(self) -> int:
        """How many tenants are to change."""
        return sum(len(wave) for wave in self.waves)

    @property
    def digest(self) -> str:
        """Changes when the plan does."""
        parts: list[Any] = [self.system_id, self.action, self.version, self.waves, self.options.to_json()]
        parts += [(group.version_from, group.path, group.from_snapshot, group.tenants) for group in self.groups]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout and how far it is; times are aware, UTC.

    Attributes:
        version: tenants are brought to; None where they lose the system.
        tenants, done, failed: counted, as the ledger has it now.
        reason: why it is paused, or was aborted.
    """

    rollout_id: uuid.UUID
    system_id: str
    action: Action
    version: str | None
    status: State
    reason: str | None
    tenants: int
    done: int
    failed: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    options: Options = field(repr=False)

    @property
    def is_open(self) -> bool:
        """Whether something is left that `resume` could do."""
        return self.status in ("running", "paused", "interrupted") or (self.status == "finished" and self.failed > 0)


def begun(plan: Plan, rollout_id: uuid.UUID, moment: datetime) -> Rollout:
    """The rollout of a plan at its beginning, whose time has no zone and is UTC: nobody is done, and nobody failed."""
    at = moment.replace(tzinfo=UTC)
    return Rollout(
        rollout_id, plan.system_id, plan.action, plan.version, "running", None, plan.tenants, 0, 0, at, at, None,
        plan.options,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failures:
    """Tenants that failed for one cause.

    Attributes:
        code: SQLSTATE or code of the error.
        message: as it was for the first of them.
    """

    code: str
    message: str
    tenants: tuple[str, ...]


def grouped(items: Sequence[tuple[str, str, str]]) -> list[Failures]:
    """Code, message and tenant of each failure, grouped by code and what the message says before it gets particular."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for code, message, tenant_id in items:
        cause = message.partition("; ")[0].replace(tenant_id, "")
        found.setdefault((code, cause), (message, []))[1].append(tenant_id)
    return [Failures(code, message, tuple(tenants)) for (code, _), (message, tenants) in found.items()]


def _amount(text: object, of: int) -> int:
    """A number, or a share of a number."""
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if match is None or (match[2] and int(match[1]) > 100):
        raise InvalidInput(INVALID, f"{quoted(text)} is no number and no share", "give one such as 25 or 10%")
    return of * int(match[1]) // 100 if match[2] else int(match[1])
