"""What an insight is, and the rules its values obey. Reference: `user_insights` Collection."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from prismicx.checks import check_id, check_text
from prismicx.errors import InvalidInput, quoted
from prismicx.versions import version_of

INVALID = "insight.invalid"

TOPICS_LIMIT = 50
"""Topics of a user."""
SUBTOPICS_LIMIT = 50
"""Subtopics of a topic."""
LINES_LIMIT = 50
"""Key points of a subtopic, and resources of a subtopic."""
NAME_LIMIT = 200
DESCRIPTION_LIMIT = 2_000
KEY_POINT_LIMIT = 1_000
URL_LIMIT = 2_048
PROFILE_LIMIT = 1024 * 1024
"""Bytes of all that is known of a user, as MongoDB keeps it. The counts alone would allow more than its 16 MB."""

_NOT_IN_URLS = frozenset('<>"{}|\\^`')


@dataclass(frozen=True, slots=True)
class Subtopic:
    """A part of a topic.

    Attributes:
        key_points: texts, each there once.
        resources: URLs, each there once.
        created_at, updated_at: aware, UTC.
    """

    subtopic_id: str
    name: str
    key_points: tuple[str, ...]
    resources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime

    @property
    def version(self) -> str:
        """Changes with every change of the subtopic and of what is in it."""
        return version_of(self.updated_at)


@dataclass(frozen=True, slots=True)
class Topic:
    """Something a user is interested in.

    Attributes:
        created_at, updated_at: aware, UTC.
    """

    topic_id: str
    name: str
    description: str | None
    subtopics: tuple[Subtopic, ...]
    created_at: datetime
    updated_at: datetime

    @property
    def version(self) -> str:
        """Changes with every change of the topic and of what is in it."""
        return version_of(self.updated_at)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list says of a user's insights.

    Attributes:
        profile_completeness: 0 to 1; None in a document that was written past this repository.
        interest_score: 0 to 100; None likewise.
        created_at, updated_at: aware, UTC.
    """

    user_id: str
    profile_completeness: float | None
    interest_score: float | None
    created_at: datetime
    updated_at: datetime

    @property
    def version(self) -> str:
        """Changes with every change of what is known of the user."""
        return version_of(self.updated_at)


@dataclass(frozen=True, slots=True)
class Profile(Summary):
    """All that is known about the interests of a user."""

    topics: tuple[Topic, ...]


def check_user(value: object) -> str:
    """The id of a user.

    Raises:
        InvalidInput: ``user.id_invalid``.
    """
    return str(check_id("user.id_invalid", "the user's id", value))


def check_key(noun: str, value: object) -> str:
    """The id of a topic or a subtopic.

    Raises:
        InvalidInput: ``insight.id_invalid``.
    """
    return str(check_id("insight.id_invalid", f"the {noun}'s id", value))


def check_name(value: object) -> str:
    """The name of a topic or a subtopic.

    Raises:
        InvalidInput: ``insight.invalid``.
    """
    return check_text(INVALID, "name", value, NAME_LIMIT)


def check_description(value: object) -> str | None:
    """The description of a topic, or None for none.

    Raises:
        InvalidInput: ``insight.invalid``.
    """
    return None if value is None else check_text(INVALID, "description", value, DESCRIPTION_LIMIT)


def check_key_point(value: object) -> str:
    """The text of a key point.

    Raises:
        InvalidInput: ``insight.invalid``.
    """
    return check_text(INVALID, "key point", value, KEY_POINT_LIMIT)


def check_resource(value: object) -> str:
    """The URL of a resource: of the web, absolute, without credentials, and in the form it would be sent.

    Raises:
        InvalidInput: ``insight.invalid``.
    """
    url = check_text(INVALID, "resource", value, URL_LIMIT)
    if any(not char.isprintable() or char.isspace() or char in _NOT_IN_URLS for char in url):
        raise _bad_url(url, "has a character that URLs have encoded only", "encode it, as %20 for a blank")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # it is read when asked for, and may be no number
    except ValueError as error:
        raise _bad_url(url, f"is no URL: {error}", "give one as https://example.org/page") from error
    if parts.scheme not in ("http", "https"):
        raise _bad_url(url, "is not of the web", "give a URL that begins with http:// or https://")
    if not host:
        raise _bad_url(url, "names no host", "give one as https://example.org/page")
    if "@" in parts.netloc:
        raise _bad_url(url, "holds a login", "leave out what is before the @")
    return url


def check_list(label: str, values: object, check: Callable[[object], str], most: int) -> list[str]:
    """A list or a tuple of at most so many values, each checked and there once.

    Raises:
        InvalidInput: ``insight.invalid``, or what the check of a value raises.
    """
    if not isinstance(values, (list, tuple)):
        raise InvalidInput(INVALID, f"{label} are {quoted(values)}", "give a list")
    if len(values) > most:
        raise InvalidInput(INVALID, f"{label} are {len(values)}", f"give at most {most}")
    checked = [check(value) for value in values]
    twice = next((value for place, value in enumerate(checked) if value in checked[:place]), None)
    if twice is not None:
        raise InvalidInput(INVALID, f"{label} have {quoted(twice)} twice", "give each of them once")
    return checked


def new_id() -> str:
    """An id for a topic or a subtopic."""
    return str(uuid.uuid4())


def subtopic_of(part: Mapping[str, Any]) -> Subtopic:
    """The subtopic of a part of a document."""
    content = part.get("content", {})
    return Subtopic(
        part["subtopic_id"],
        part["name"],
        tuple(content.get("key_points", ())),
        tuple(content.get("resources", ())),
        part["created_at"],
        part["updated_at"],
    )


def topic_of(part: Mapping[str, Any]) -> Topic:
    """The topic of a part of a document."""
    return Topic(
        part["topic_id"],
        part["name"],
        part.get("description"),
        tuple(subtopic_of(inner) for inner in part.get("subtopics", ())),
        part["created_at"],
        part["updated_at"],
    )


def summary_of(document: Mapping[str, Any]) -> Summary:
    """What a list says of a document."""
    return Summary(**_head(document))


def profile_of(document: Mapping[str, Any]) -> Profile:
    """The profile of a document; what later versions keep beside it is left out."""
    return Profile(**_head(document), topics=tuple(topic_of(part) for part in document.get("topics", ())))


def _head(document: Mapping[str, Any]) -> dict[str, Any]:
    scores = document.get("metadata", {})
    return {
        **{field: document[field] for field in ("user_id", "created_at", "updated_at")},
        **{field: scores.get(field) for field in ("profile_completeness", "interest_score")},
    }


def _bad_url(url: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(INVALID, f"the resource {quoted(url)} {problem}", remedy)
