"""What a user is, and the rules its values obey. Reference: `users` Table."""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from prismicx.checks import check_id, check_object, check_text
from prismicx.engines.scoped_sql import Record
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.versions import version_of

Status = Literal["active", "inactive"]
STATUSES: tuple[Status, ...] = ("active", "inactive")

INVALID = "user.invalid"


@dataclass(frozen=True, slots=True)
class User:
    """A user as everybody may see it: the hash of its password stays in the library.

    Attributes:
        email: in small letters, unique within the tenant.
        created_at, updated_at, last_login_at: aware, UTC.
        metadata: a JSON object of at most 16 KiB. What is under ``private`` is sealed where it is stored; where that
            cannot be opened, asking for it raises why, and the rest is there.
    """

    id: uuid.UUID
    username: str
    email: str
    role: str
    status: Status
    created_at: datetime
    updated_at: datetime
    first_name: str | None = None
    last_name: str | None = None
    last_login_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Changes with every change of the user, logging in aside; for `Users.update`."""
        return version_of(self.updated_at)


@dataclass(frozen=True, slots=True)
class UserValues:
    """The values of a user that may be given, checked.

    Attributes:
        metadata_text: the metadata as JSON.

    Raises:
        InvalidInput: ``user.invalid``.
    """

    username: str
    email: str
    first_name: str | None = None
    last_name: str | None = None
    role: str = "user"
    status: Status = "active"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metadata_text: str = field(init=False)

    def __post_init__(self) -> None:
        check_text(INVALID, "username", self.username, 100)
        object.__setattr__(self, "email", normal_email(self.email))
        if self.first_name is not None:
            check_text(INVALID, "first_name", self.first_name, 100)
        if self.last_name is not None:
            check_text(INVALID, "last_name", self.last_name, 100)
        check_text(INVALID, "role", self.role, 50)
        check_status(self.status)
        object.__setattr__(self, "metadata_text", check_object(INVALID, "metadata", self.metadata))


def normal_email(value: object) -> str:
    """The address as it is kept and compared: composed characters, small letters.

    Raises:
        InvalidInput: ``user.invalid``.
    """
    text = value.lower() if isinstance(value, str) else ""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    local, at, domain = text.rpartition("@")
    if at and local and domain and "@" not in local and text.isprintable() and " " not in text:
        return check_text(INVALID, "email", text, 255)
    raise InvalidInput(INVALID, f"email is {quoted(value)}", "give an address such as ada@acme.example")


def check_user_id(value: object) -> uuid.UUID:
    """The id of a user.

    Raises:
        InvalidInput: ``user.id_invalid``.
    """
    return check_id("user.id_invalid", "the user's id", value)


def unknown_user(key: object) -> NotFound:
    """What is said of a user that is not there, or another tenant's: the same."""
    return NotFound("user.unknown", f"there is no user {quoted(str(key))}", "prismicx user list shows those there are")


def check_status(value: object) -> None:
    """See that a value is a state of users.

    Raises:
        InvalidInput: ``user.invalid``.
    """
    if value not in STATUSES:
        raise InvalidInput(INVALID, f"status is {quoted(value)}", f"use one of {', '.join(STATUSES)}")


def user_of(row: Record, metadata: Mapping[str, Any] | None = None) -> User:
    """The user of a row of `queries.sql`.

    Args:
        metadata: with what is sealed of it opened; as it is stored unless given.
    """
    if metadata is None:
        metadata = json.loads(row["metadata"]) if row["metadata"] else {}
    return User(
        row["id"],
        row["username"],
        row["email"],
        row["role"],
        row["status"],
        row["created_at"].replace(tzinfo=UTC),
        row["updated_at"].replace(tzinfo=UTC),
        row["first_name"],
        row["last_name"],
        row["last_login_at"].replace(tzinfo=UTC) if row["last_login_at"] else None,
        metadata,
    )
