"""`user`: the users of a tenant."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prismicx.cli.door import Door, command, json_object, pairs
from prismicx.cli.files import opened, progress, written
from prismicx.cli.scope import changed, in_scope, of_tenant, paged, show_one, show_page, versioned
from prismicx.errors import Denied
from prismicx.scopes import TenantScope
from prismicx.users.transfer import FORMATS, Format
from prismicx.users.values import STATUSES, User

_COLUMNS = ["id", "username", "email", "first_name", "last_name", "role", "status", "last_login_at"]


@click.group()
def user() -> None:
    """Users of a tenant: create, find, change, remove, import, export."""


@command(user, "create")
@of_tenant
@click.option("--username", required=True, help="Name the user goes by; several may have the same.")
@click.option("--email", required=True, help="Unique within the tenant, in capitals or small letters.")
@click.option("--first-name", help="Given name.")
@click.option("--last-name", help="Family name.")
@click.option("--role", default="user", show_default=True, help="Role, such as admin or user.")
@click.option("--metadata", help="A JSON object.")
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input; without it none is set.")
def create(door: Door, tenant_id: str, password_stdin: bool, metadata: str | None, **values: Any) -> None:
    """Make a user."""
    password = _password() if password_stdin else None
    held = json_object("metadata", metadata) if metadata is not None else None
    show_one(door, tenant_id, lambda scope: scope.users.create(password=password, metadata=held, **values))


@command(user, "list")
@of_tenant
@click.option("--status", type=click.Choice(STATUSES), help="Only those in this state.")
@click.option("--role", help="Role, such as admin or user.")
@click.option("--text", help="What username, address, first or last name holds.")
@paged
def list_command(door: Door, tenant_id: str, **filters: Any) -> None:
    """Users in the order of their addresses."""
    page = in_scope(door, tenant_id, lambda scope: scope.users.list(**filters))
    show_page(door, "users", page, versioned, _COLUMNS)


@command(user, "show")
@click.argument("who", metavar="ID|EMAIL|USERNAME")
@of_tenant
def show(door: Door, who: str, tenant_id: str) -> None:
    """A user, by id, address or username."""
    show_one(door, tenant_id, lambda scope: _found(scope, who))


@command(user, "update")
@click.argument("user_id", metavar="ID")
@of_tenant
@click.option("--version", help="Only if the user still has this version.")
@click.option("--username", help="Name the user goes by; several may have the same.")
@click.option("--email", help="Address, unique within the tenant.")
@click.option("--first-name", help="Given name; '' takes it away.")
@click.option("--last-name", help="Family name; '' takes it away.")
@click.option("--role", help="Role, such as admin or user.")
@click.option("--metadata", help="A JSON object, in place of the one before.")
def update(door: Door, user_id: str, tenant_id: str, version: str | None, metadata: str | None, **changes: Any) -> None:
    """Change some values of a user."""
    given = changed(changes, "first_name", "last_name")
    if metadata is not None:
        given["metadata"] = json_object("metadata", metadata)
    show_one(door, tenant_id, lambda scope: scope.users.update(user_id, version=version, **given))


@command(user, "activate")
@click.argument("user_id", metavar="ID")
@of_tenant
def activate(door: Door, user_id: str, tenant_id: str) -> None:
    """Let a user log in again."""
    show_one(door, tenant_id, lambda scope: scope.users.activate(user_id))


@command(user, "deactivate")
@click.argument("user_id", metavar="ID")
@of_tenant
def deactivate(door: Door, user_id: str, tenant_id: str) -> None:
    """Refuse a user's logins; what it has stays."""
    show_one(door, tenant_id, lambda scope: scope.users.deactivate(user_id))


@command(user, "delete")
@click.argument("user_id", metavar="ID")
@of_tenant
def delete(door: Door, user_id: str, tenant_id: str) -> None:
    """Remove a user and its preferences."""
    in_scope(door, tenant_id, lambda scope: scope.users.delete(user_id))
    door.show({"deleted": user_id}, pairs)


@command(user, "set-password")
@click.argument("user_id", metavar="ID")
@of_tenant
def set_password(door: Door, user_id: str, tenant_id: str) -> None:
    """Give a user the password that is read from standard input, or asked for at a terminal."""
    password = _password()
    in_scope(door, tenant_id, lambda scope: scope.users.set_password(user_id, password))
    door.show({"password_set": user_id}, pairs)


@command(user, "verify-password")
@click.argument("user_id", metavar="ID")
@of_tenant
def verify_password(door: Door, user_id: str, tenant_id: str) -> None:
    """See whether a password, from standard input or asked for, is the user's; nobody is logged in. Exit code 5 when
    not."""
    password = _password(again=False)
    found = in_scope(door, tenant_id, lambda scope: scope.users.verify_password(user_id, password))
    door.show({"matches": found}, pairs)
    if not found:
        sys.exit(Denied.exit_code)


@command(user, "login")
@click.argument("email")
@of_tenant
def login(door: Door, email: str, tenant_id: str) -> None:
    """See whether a password, from standard input or asked for, lets a user in. Exit code 5 when not."""
    password = _password(again=False)
    show_one(door, tenant_id, lambda scope: scope.users.login(email, password))


@command(user, "import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@of_tenant
@click.option("--format", "form", type=click.Choice(FORMATS), help="As the file's name says, unless given.")
@click.option("--skip-known", is_flag=True, help="Leave out addresses that are there already.")
def import_command(door: Door, file: Path, tenant_id: str, form: Any, skip_known: bool) -> None:
    """Add users from CSV or JSON lines (`-` for standard input), all or none of them. They get no password."""
    kind: Format = form or _format_of(file)
    with opened(file) as source, progress("users") as told:
        done = in_scope(
            door, tenant_id, lambda scope: scope.user_transfer.read(source, kind, skip_known=skip_known, progress=told)
        )
    door.show(asdict(done), pairs)


@command(user, "export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@of_tenant
@click.option("--format", "form", type=click.Choice(FORMATS), help="As the file's name says, unless given.")
@click.option(
    "--with-private", is_flag=True, help="Also what is private in metadata, opened: the file is a secret then."
)
def export(door: Door, file: Path, tenant_id: str, form: Any, with_private: bool) -> None:
    """Write all users to CSV or JSON lines (`-` for standard output), without passwords."""
    kind: Format = form or _format_of(file)
    with written(file) as target:
        done = in_scope(door, tenant_id, lambda scope: scope.user_transfer.write(target, kind, private=with_private))
    if done.private_left_out:
        door.tell(f"of {done.private_left_out} users what is private was left out: --with-private writes it")
    if str(file) != "-":
        door.show({"exported": done.users}, pairs)


async def _found(scope: TenantScope, who: str) -> User:
    if "@" in who:
        return await scope.users.by_email(who)
    if who.count("-") == 4 and len(who) == 36:
        return await scope.users.get(who)
    return await scope.users.by_username(who)


def _password(*, again: bool = True) -> str:
    """A password; at a terminal it is asked for again where it is to be kept, and was typed unseen."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=again, err=True))
    return sys.stdin.readline().rstrip("\n")


def _format_of(file: Path) -> Format:
    kinds: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    kind = kinds.get(file.suffix.lower())
    if kind is None:
        raise click.UsageError(f"{file} does not say its format: give --format csv or --format jsonl")
    return kind
