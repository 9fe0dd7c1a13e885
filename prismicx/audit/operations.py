"""The one table of what is recorded, and of what is not and why. docs/reference/audit.md is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Recorded = Literal["around", "after", "when denied"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of operation.

    Attributes:
        recorded: ``around``: a row before it begins, without which it does not begin, and one with its outcome;
            ``after``: one row when it has ended; ``when denied``: only refusals, repeated ones counted together.
        subject: what the id is of, in words.
        details: the only names that may be among its details.
    """

    text: str
    recorded: Recorded
    subject: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """Operations that leave no row, and why."""

    what: tuple[str, ...]
    why: str


OPERATIONS: dict[str, Operation] = {
    "db.apply": Operation(
        "The reference is applied, also where there is no trail yet that could be written before",
        "around", "", ("changes", "release", "reset_credentials"),
    ),
    "credentials.show": Operation("The URLs with the administrators' logins are shown", "after"),
    "credentials.rotate": Operation("Services get other logins and passwords", "around"),
    "credentials.retire": Operation("The logins from before a rotation are ended", "around"),
    "isolation.verify": Operation("The platform was attacked, as a check", "after", "", ("attempts", "through")),
    "tenant.create": Operation("A tenant is made, or finished", "around", "", ("isolation",)),
    "tenant.update": Operation("What is known of a tenant is changed", "around"),
    "tenant.suspend": Operation("A tenant is refused for a while", "around"),
    "tenant.resume": Operation("A suspended tenant is let in again", "around"),
    "tenant.deactivate": Operation("A tenant is closed", "around"),
    "tenant.activate": Operation("A closed tenant is let in again", "around"),
    "key.rotate_wrapping": Operation("A tenant's wrapping key gets another version", "around", "", ("version",)),
    "key.rotate_data": Operation(
        "A tenant's keysets get a new key each, and its values are sealed anew", "around", "",
        ("sealed", "left", "retired"),
    ),
    "key.seal": Operation(
        "What is plain or under older keys is sealed anew", "around", "", ("sealed", "left", "retired")
    ),
    "key.destroy": Operation("A tenant's wrapping key is destroyed", "around", "", ("receipt",)),
    "catalogue.publish": Operation("Versions of a system are published", "around", "system", ("added", "latest")),
    "catalogue.deprecate": Operation("A system is not installed anew any more", "around", "system"),
    "catalogue.restore": Operation("A deprecated system may be installed again", "around", "system"),
    "system.install": Operation("A system is installed for a tenant", "around", "system", ("version",)),
    "system.migrate": Operation(
        "A tenant's system is brought to another version", "around", "system", ("version", "force")
    ),
    "system.configure": Operation("What a tenant chose for a system is changed", "around", "system"),
    "system.uninstall": Operation("A tenant's system is removed with its data", "around", "system"),
    "rollout.start": Operation(
        "A change of many tenants is begun", "around", "rollout",
        ("system", "action", "version", "tenants", "status", "done", "failed"),
    ),
    "rollout.resume": Operation("A rollout goes on", "around", "rollout", ("retry_failed", "status", "done", "failed")),
    "rollout.pause": Operation("A rollout is stopped for a while", "around", "rollout"),
    "rollout.abort": Operation("A rollout is stopped for good", "around", "rollout"),
    "rollout.tenant": Operation(
        "A rollout has changed one tenant, or failed to", "after", "rollout", ("system", "action", "version")
    ),
    "scope.open": Operation("A tenant's scope was asked for in vain", "when denied", "tenant", ("times",)),
    "scope.statement": Operation("A statement would have left its tenant", "when denied", "", ("times",)),
    "scope.documents": Operation("An operation on documents would have left its tenant", "when denied", "", ("times",)),
    "user.create": Operation("A user is made", "after", "user"),
    "user.update": Operation("A user is changed", "after", "user"),
    "user.activate": Operation("A user may log in again", "after", "user"),
    "user.deactivate": Operation("A user's logins are refused", "after", "user"),
    "user.delete": Operation("A user is removed", "around", "user"),
    "user.password": Operation("A user is given a password", "after", "user"),
    "user.login": Operation("A login was refused", "when denied", "", ("times",)),
    "user.import": Operation("Users are read from a file", "around", "", ("added", "skipped")),
    "user.export": Operation(
        "Users are written to a file, with what is private of them if asked", "around", "", ("count", "private")
    ),
    "preference.set": Operation("A user's preferences are set", "after", "user"),
    "preference.merge": Operation("Parts of a user's preference are changed", "after", "user"),
    "preference.unset": Operation("A user's preferences are forgotten", "after", "user", ("count",)),
    "preference_type.register": Operation(
        "It is registered what values of a preference are", "after", "", ("key", "secret")
    ),
    "preference_type.unregister": Operation("What was registered of a preference is removed", "after", "", ("key",)),
    "extension.create": Operation("A user is given an extension", "after", "extension"),
    "extension.delete": Operation("An extension is removed", "around", "extension"),
    "category.move": Operation("A category is put elsewhere, with what is below it", "after", "category"),
    "category.merge": Operation("A category becomes part of another", "around", "category"),
    "category.delete": Operation("A category is removed", "around", "category", ("count",)),
    "category.repair": Operation("A category tree is checked, and mended if asked", "after", "", ("count", "repair")),
    "category.import": Operation("A category tree is read from a file", "around"),
    "category.export": Operation("A category tree is written to a file", "around", "", ("count",)),
    "insight.delete": Operation("All that is known of a user's interests is removed", "around", "user"),
}  # fmt: skip
"""Every operation that is recorded, by name."""

LEFT: tuple[Left, ...] = (
    Left(
        (
            "Tenants.get", "Tenants.list", "Tenants.databases", "Catalogue.get", "Catalogue.list", "Catalogue.versions",
            "Catalogue.path", "Installations.list", "Installations.of_type",
            "Installations.place_of_type", "Fleet.plan", "Fleet.get", "Fleet.list",
            "Fleet.failures", "Fleet.status", "Fleet.errors", "Fleet.drift", "Users.get", "Users.by_email",
            "Users.by_username", "Users.list", "Preferences.list", "Preferences.get",
            "Preferences.find", "PreferenceTypes.list", "PreferenceTypes.known", "PreferenceTypes.check_defaults",
            "KeyAdministration.status",
            "Extensions.get", "Extensions.list", "Extensions.factors", "Extensions.practicality",
            "Extensions.what_if", "Extensions.ranking", "Tasks.get", "Tasks.list", "Tasks.counts", "Categories.get",
            "Categories.children", "Categories.subtree", "Categories.path",
            "Categories.search", "CategoryTransfer.diff", "Insights.profile", "Insights.list",
            "Insights.users_by_topic", "Insights.changed_since",
        ),
        "They read one thing or a page, many times a second, and change nothing. Exports, which take everything with "
        "them, are recorded.",
    ),
    Left(
        ("Users.verify_password",),
        "It tells whether a password is a user's, and gives nobody anything. All it changes is a weaker hash, which is "
        "made anew of the same password.",
    ),
    Left(
        (
            "Insights.add_topic", "Insights.update_topic", "Insights.remove_topic", "Insights.reorder_topics",
            "Insights.add_subtopic", "Insights.update_subtopic", "Insights.remove_subtopic",
            "Insights.reorder_subtopics", "Insights.add_key_point", "Insights.change_key_point",
            "Insights.remove_key_point", "Insights.reorder_key_points", "Insights.add_resource",
            "Insights.change_resource", "Insights.remove_resource", "Insights.reorder_resources",
        ),
        "Services edit insights all the time; each document tells when it was last changed. A row for each would be "
        "most of the trail, and all tenants' edits would wait for one chain.",
    ),
    Left(
        ("Extensions.record_use", "Extensions.record_feedback", "Extensions.rate", "Extensions.unrate"),
        "Counters and ratings: they come with every use, and give nobody any right.",
    ),
    Left(
        ("Extensions.update", "Extensions.enable", "Extensions.disable", "Extensions.reorder"),
        "Settings of a user's own extensions, changed at a click; that there is an extension is recorded.",
    ),
    Left(
        ("Tasks.enqueue", "Tasks.enqueue_many", "Tasks.cancel", "Tasks.retry"),
        "Services enqueue tasks all the time; each document tells for whom, when, and in which state it is. Who did "
        "it is not kept.",
    ),
    Left(
        (
            "Categories.create", "Categories.update", "Categories.rename", "Categories.describe",
            "Categories.set_attribute", "Categories.remove_attribute", "Categories.restructure",
        ),
        "Single edits of a tree; what moves, removes or replaces parts of it is recorded.",
    ),
    Left(
        ("Installations.record_failure",),
        "Part of an operation that is recorded.",
    ),
    Left(
        ("Users.login",),
        "A login that succeeds writes `last_login_at`; those that are refused are recorded.",
    ),
    Left(
        ("the scoped transactions and collections",),
        "What a service writes through them is its own data; what is refused there is recorded.",
    ),
)  # fmt: skip
"""What leaves no row, by class and method, and why."""
