"""`insight`: what is known about the interests of a tenant's users."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import click

from prismicx.cli.door import Door, command, pairs, shown, time_value
from prismicx.cli.scope import changed, in_scope, of_tenant, paged, show_one, show_page, versioned
from prismicx.insights.values import Profile, Subtopic, Summary, Topic
from prismicx.scopes import TenantScope

_COLUMNS = ["user_id", "profile_completeness", "interest_score", "created_at", "updated_at"]

Function = Callable[..., None]


@click.group()
def insight() -> None:
    """Interests of users: topics, subtopics, key points, resources."""


def _of(*names: str) -> Callable[[Function], Function]:
    """Arguments with the ids of a user, a topic, a subtopic."""

    def decorate(function: Function) -> Function:
        for name in reversed(names):
            function = click.argument(f"{name}_id", metavar=name.upper())(function)
        return of_tenant(function)

    return decorate


_version = click.option("--version", help="Only if it still has this version.")
_order = click.argument("order", nargs=-1, required=True, metavar="ID...")


@command(insight, "show")
@_of("user")
def show(door: Door, user_id: str, tenant_id: str) -> None:
    """All that is known of a user."""
    found = in_scope(door, tenant_id, lambda scope: scope.insights.profile(user_id))
    door.show(_described(found), lambda _: _tree(found))


@command(insight, "list")
@of_tenant
@paged
def list_command(door: Door, tenant_id: str, **page: Any) -> None:
    """Of whom something is known."""
    found = in_scope(door, tenant_id, lambda scope: scope.insights.list(**page))
    show_page(door, "insights", found, _described, _COLUMNS)


@command(insight, "users")
@of_tenant
@click.option("--topic", required=True, help="The topic's name.")
@paged
def users(door: Door, tenant_id: str, topic: str, **page: Any) -> None:
    """Users that have a topic of this name."""
    found = in_scope(door, tenant_id, lambda scope: scope.insights.users_by_topic(topic, **page))
    show_page(door, "insights", found, _described, _COLUMNS)


@command(insight, "changed")
@of_tenant
@click.option("--since", required=True, help="At this time or later, as 2026-01-31T12:00; UTC unless it has a zone.")
@paged
def changed_command(door: Door, tenant_id: str, since: str, **page: Any) -> None:
    """What changed since a time, the longest unchanged first."""
    moment: Any = time_value("--since", since)
    found = in_scope(door, tenant_id, lambda scope: scope.insights.changed_since(moment, **page))
    show_page(door, "insights", found, _described, _COLUMNS)


@command(insight, "delete")
@_of("user")
def delete(door: Door, user_id: str, tenant_id: str) -> None:
    """Forget all that is known of a user."""
    in_scope(door, tenant_id, lambda scope: scope.insights.delete(user_id))
    door.show({"deleted": user_id}, pairs)


@command(insight, "add-topic")
@_of("user")
@click.argument("name")
@click.option("--description", help="What the topic is about.")
def add_topic(door: Door, user_id: str, tenant_id: str, **values: Any) -> None:
    """Note that a user is interested in something."""
    _show(door, tenant_id, lambda scope: scope.insights.add_topic(user_id, **values))


@command(insight, "update-topic")
@_of("user", "topic")
@_version
@click.option("--name", help="What it is called.")
@click.option("--description", help="What the topic is about; empty takes it away.")
def update_topic(
    door: Door, user_id: str, topic_id: str, tenant_id: str, version: str | None, **changes: str | None
) -> None:
    """Change a topic's name or description."""
    given = changed(changes, "description")
    _show(door, tenant_id, lambda scope: scope.insights.update_topic(user_id, topic_id, version=version, **given))


@command(insight, "remove-topic")
@_of("user", "topic")
@_version
def remove_topic(door: Door, user_id: str, topic_id: str, tenant_id: str, version: str | None) -> None:
    """Remove a topic with all that is in it."""
    in_scope(door, tenant_id, lambda scope: scope.insights.remove_topic(user_id, topic_id, version=version))
    door.show({"removed": topic_id}, pairs)


@command(insight, "reorder-topics")
@_of("user")
@_order
def reorder_topics(door: Door, user_id: str, tenant_id: str, order: tuple[str, ...]) -> None:
    """Put a user's topics into this order; name each of them once."""
    in_scope(door, tenant_id, lambda scope: scope.insights.reorder_topics(user_id, order))
    door.show({"reordered": len(order)}, pairs)


@command(insight, "add-subtopic")
@_of("user", "topic")
@click.argument("name")
@click.option("--key-point", "key_points", multiple=True, metavar="TEXT", help="A key point; may be given often.")
@click.option("--resource", "resources", multiple=True, metavar="URL", help="A resource; may be given often.")
def add_subtopic(door: Door, user_id: str, topic_id: str, tenant_id: str, **values: Any) -> None:
    """Add a part to a topic."""
    _show(door, tenant_id, lambda scope: scope.insights.add_subtopic(user_id, topic_id, **values))


@command(insight, "update-subtopic")
@_of("user", "topic", "subtopic")
@_version
@click.option("--name", required=True, help="What it is called.")
def update_subtopic(door: Door, tenant_id: str, version: str | None, name: str, **ids: str) -> None:
    """Change a subtopic's name."""
    _show(door, tenant_id, lambda scope: scope.insights.update_subtopic(**ids, version=version, name=name))


@command(insight, "remove-subtopic")
@_of("user", "topic", "subtopic")
@_version
def remove_subtopic(door: Door, tenant_id: str, version: str | None, **ids: str) -> None:
    """Remove a subtopic with all that is in it; prints the topic without it."""
    _show(door, tenant_id, lambda scope: scope.insights.remove_subtopic(**ids, version=version))


@command(insight, "reorder-subtopics")
@_of("user", "topic")
@_order
def reorder_subtopics(door: Door, user_id: str, topic_id: str, tenant_id: str, order: tuple[str, ...]) -> None:
    """Put a topic's subtopics into this order; name each of them once."""
    _show(door, tenant_id, lambda scope: scope.insights.reorder_subtopics(user_id, topic_id, order))


def _commands_of(noun: str, word: str) -> None:
    """The commands for the key points, or for the resources, of a subtopic.

    Args:
        word: what the library's methods call the text of one.
    """

    def add(verb: str, help: str, *arguments: Callable[[Function], Function]) -> None:
        method = f"{verb} {noun}".replace(" ", "_")

        def run(door: Door, tenant_id: str, **words: Any) -> None:
            _show(door, tenant_id, lambda scope: getattr(scope.insights, method)(**words))

        for argument in reversed(arguments):
            run = argument(run)
        command(insight, method.replace("_", "-"))(_of("user", "topic", "subtopic")(run)).help = help

    text = click.argument(word)
    add("add", f"Add a {noun} to a subtopic.", text)
    add("change", f"Put another {noun} in the place of one.", text, click.argument("new"))
    add("remove", f"Remove a {noun}.", text)
    noun += "s"
    order = click.argument("order", nargs=-1, required=True, metavar=f"{word.upper()}...")
    add("reorder", f"Put a subtopic's {noun} into this order; name each of them once.", order)


_commands_of("key point", "text")
_commands_of("resource", "url")


def _show(door: Door, tenant_id: str, work: Callable[[TenantScope], Coroutine[Any, Any, Topic | Subtopic]]) -> None:
    show_one(door, tenant_id, work, _described)


def _described(found: Summary | Topic | Subtopic) -> dict[str, Any]:
    held = versioned(found)
    if isinstance(found, Profile):
        held["topics"] = [_described(topic) for topic in found.topics]
    elif isinstance(found, Topic):
        held["subtopics"] = [_described(subtopic) for subtopic in found.subtopics]
    return held


def _tree(found: Profile) -> None:
    """A profile as indented lines, with the ids by which its parts are reached."""
    head = {field: value for field, value in _described(found).items() if field != "topics"}
    pairs(head)
    for topic in found.topics:
        click.echo(f"\n{shown(topic.name)}  {topic.topic_id}")
        if topic.description is not None:
            click.echo(f"  {shown(topic.description)}")
        for subtopic in topic.subtopics:
            click.echo(f"  {shown(subtopic.name)}  {subtopic.subtopic_id}")
            for line in (*subtopic.key_points, *subtopic.resources):
                click.echo(f"    - {shown(line)}")
