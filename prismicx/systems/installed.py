"""What is known of a system that a tenant has installed. Reference: `tenant_systems` Table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from prismicx.names import Names
from prismicx.systems.declarations import Choices, Declaration, stored_choices, stored_declaration
from prismicx.systems.secrets import sealed_keys
from prismicx.systems.step import Limits
from prismicx.versions import version_of


@dataclass(frozen=True, slots=True)
class Installation:
    """A system of a tenant and the schema that holds its tables; times are aware, UTC.

    Attributes:
        configuration: what counts: what was set, over what the version gives by default. Where a secret cannot be
            opened, asking for it raises why.
        features: of those the version has, which are on.
        secrets: keys of the configuration that are sealed where they are stored.
        version: of the system; `revision` is that of what is known here.
    """

    system_id: str
    type: str
    version: str
    status: str
    schema: str
    installed_at: datetime
    updated_at: datetime
    error_message: str | None
    configuration: Mapping[str, Any]
    features: Mapping[str, bool]
    secrets: frozenset[str] = frozenset()

    @property
    def revision(self) -> str:
        """Changes with every change of the installation; for `Installations.configure`."""
        return version_of(self.updated_at)


Direction = Literal["upgrade", "rollback"]


@dataclass(frozen=True, slots=True)
class Change:
    """What is asked of a system of a tenant; None leaves it as it is, and the version the latest.

    Attributes:
        limits: how long a statement may wait for a lock, and run.
        patience: seconds for which it is tried again while others hold locks.
    """

    version: str | None = None
    configuration: Mapping[str, Any] | None = None
    features: Mapping[str, bool] | None = None
    force: bool = False
    limits: Limits = Limits()
    patience: float | None = None


def version_told(installed: Installation) -> dict[str, str]:
    """What the audit trail is told of a change."""
    return {"version": installed.version}


def installation_of(names: Names, tenant_id: str, row: Any) -> Installation:
    """The installation of a row; its secrets stay sealed."""
    declared, chosen = declared_of(row), choices_of(row)
    return Installation(
        row["system_id"],
        row["type"],
        row["version"],
        row["status"],
        names.schema(tenant_id, row["type"]),
        row["installed_at"].replace(tzinfo=UTC),
        row["updated_at"].replace(tzinfo=UTC),
        row["error_message"],
        declared.effective_configuration(chosen.configuration),
        declared.effective_features(chosen.features),
        declared.secrets | sealed_keys(chosen),
    )


def declared_of(row: Any) -> Declaration:
    """What the version of a row lets a tenant choose."""
    return stored_declaration(row["configuration"], row["features"])


def choices_of(row: Any) -> Choices:
    """What was set in a row, as it is stored; nothing where there is no row."""
    return Choices() if row is None else stored_choices(row["configurations"], row["features_enabled"])
