"""Which fields are sealed, and why. This is the one place that says so; `make docs` makes a table of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DataClass = Literal["registry", "users", "preferences", "systems", "tasks", "search"]

SEARCH: DataClass = "search"
"""The class of the keys that searchable values are hashed with; it seals nothing."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the reference that is sealed.

    Attributes:
        data_class: which of the tenant's keysets seals it.
        place: the table or collection, as ``database.schema.table`` or ``database.collection``.
        field: the column or field; KEY stands for what the caller names.
        row: what names the row; a sealed value opens in no other.
        when: which values are sealed.
        reason: why.
        searchable: whether a keyed hash is kept, so that equal values are found, and seen to be equal.
    """

    data_class: DataClass
    place: str
    field: str
    row: str
    when: str
    reason: str
    searchable: bool = False

    @property
    def path(self) -> str:
        """Place and field."""
        return f"{self.place}.{self.field}"


CONNECTION = Field(
    "registry",
    "tenant_registry.tenants",
    "database_config.connection_string",
    "tenant_id",
    "always",
    "it holds the password of the tenant's own MongoDB login: a copy of the registry would open all their databases",
)
PRIVATE = Field(
    "users",
    "system_users.user_data.users",
    "metadata.private",
    "id",
    "always, as one value",
    "what an application keeps of a person that operators of the databases have no business with",
)
PREFERENCE = Field(
    "preferences",
    "system_users.user_preferences.preferences",
    "preference_value of KEY",
    "user_id",
    "of keys registered as secret, or set as secret, until they are unset",
    "preferences may be tokens of other services, or say what concerns the person alone",
    searchable=True,
)
CONFIGURATION = Field(
    "systems",
    "management_system_repository.public.tenant_systems",
    "configurations.KEY",
    "system_id",
    'of keys that the version declares with "secret": true, and what was sealed before',
    "passwords and tokens with which a tenant's systems reach others",
)
PAYLOAD = Field(
    "tasks",
    "task_repository.tasks",
    "payload.KEY",
    "task_id",
    "of the key `secret`, and of keys that the task names as secret",
    "tasks carry credentials and personal data to workers, and stay when they are done",
    searchable=True,
)

FIELDS = (CONNECTION, PRIVATE, PREFERENCE, CONFIGURATION, PAYLOAD)

DATA_CLASSES: tuple[DataClass, ...] = (*dict.fromkeys(field.data_class for field in FIELDS), SEARCH)


def table() -> list[str]:
    """The declaration as a table in Markdown."""
    lines = [
        "| field | data class | bound to tenant, field and | sealed | searchable | reason |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for field in FIELDS:
        cells = (
            f"`{field.path}`",
            field.data_class,
            f"`{field.row}`",
            field.when,
            "by equality" if field.searchable else "no",
            field.reason,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
