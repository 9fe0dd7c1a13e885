"""`category`: the category trees of a tenant."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prismicx.categories.comparison import Comparison
from prismicx.categories.forms import FORMATS, Format
from prismicx.categories.repository import OF_CHILDREN
from prismicx.categories.values import ATTRIBUTE_TYPES, Attribute, Category, attributes_of
from prismicx.cli.door import Door, command, json_value, pairs, shown, table
from prismicx.cli.files import opened, progress, written
from prismicx.cli.scope import in_scope, of_tenant, paged, show_page, versioned
from prismicx.scopes import TenantScope

_COLUMNS = ["category_id", "name", "description"]
_READABLE = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)


@click.group()
def category() -> None:
    """Category trees: make, find, move, merge, remove, import, export."""


@command(category, "create")
@click.argument("name")
@of_tenant
@click.option("--parent", metavar="ID", help="The category above; none makes a root.")
@click.option("--description", help="What belongs in it.")
@click.option("--attributes", help='A JSON list such as [{"name": "color", "type": "text", "value": "red"}].')
def create(
    door: Door, name: str, tenant_id: str, parent: str | None, description: str | None, attributes: str | None
) -> None:
    """Make a category below another, or at the root."""
    given = () if attributes is None else attributes_of(json_value("attributes", attributes))
    _show(door, tenant_id, lambda scope: scope.categories.create(
        name, parent_id=parent, description=description, attributes=given))  # fmt: skip


@command(category, "show")
@click.argument("category_id", metavar="ID")
@of_tenant
def show(door: Door, category_id: str, tenant_id: str) -> None:
    """A category with its attributes."""
    _show(door, tenant_id, lambda scope: scope.categories.get(category_id))


@command(category, "children")
@click.argument("category_id", metavar="[ID]", required=False)
@of_tenant
@paged
def children(door: Door, category_id: str | None, tenant_id: str, **page: Any) -> None:
    """The categories directly below another, or at the root."""
    found = in_scope(door, tenant_id, lambda scope: scope.categories.children(category_id, **page))
    show_page(door, "categories", found, versioned, _COLUMNS)


@command(category, "tree")
@click.argument("category_id", metavar="[ID]", required=False)
@of_tenant
@click.option("--levels", type=int, help="Only so many levels.")
@click.option("--ids", is_flag=True, help="With the id of each.")
def tree(door: Door, category_id: str | None, tenant_id: str, levels: int | None, ids: bool) -> None:
    """A category and everything below it, or all trees."""
    found = in_scope(door, tenant_id, lambda scope: scope.categories.subtree(category_id, levels=levels))
    door.show([versioned(item) for item in found], lambda _: _draw(found, ids))


@command(category, "path")
@click.argument("category_id", metavar="ID")
@of_tenant
def path(door: Door, category_id: str, tenant_id: str) -> None:
    """The categories from the root down to one."""
    found = in_scope(door, tenant_id, lambda scope: scope.categories.path(category_id))
    door.show([versioned(item) for item in found], lambda _: click.echo(" > ".join(shown(item.name) for item in found)))


@command(category, "search")
@click.argument("text")
@of_tenant
@click.option("--under", metavar="ID", help="Only below this category.")
@paged
def search(door: Door, text: str, tenant_id: str, **filters: Any) -> None:
    """Categories whose names hold a text, in capitals or small letters."""
    found = in_scope(door, tenant_id, lambda scope: scope.categories.search(text, **filters))
    show_page(door, "categories", found, versioned, _COLUMNS)


@command(category, "rename")
@click.argument("category_id", metavar="ID")
@click.argument("name")
@of_tenant
@click.option("--version", help="Only if the category still has this version.")
def rename(door: Door, category_id: str, name: str, tenant_id: str, version: str | None) -> None:
    """Give a category another name."""
    _show(door, tenant_id, lambda scope: scope.categories.rename(category_id, name, version=version))


@command(category, "describe")
@click.argument("category_id", metavar="ID")
@click.argument("description", required=False)
@of_tenant
@click.option("--version", help="Only if the category still has this version.")
def describe(door: Door, category_id: str, description: str | None, tenant_id: str, version: str | None) -> None:
    """Say what belongs in a category; without a description it has none."""
    _show(door, tenant_id, lambda scope: scope.categories.describe(category_id, description, version=version))


@command(category, "set-attribute")
@click.argument("category_id", metavar="ID")
@click.argument("name")
@click.argument("value", required=False)
@of_tenant
@click.option("--type", "kind", type=click.Choice(ATTRIBUTE_TYPES),
              help="Of the value; that it has, or text, unless given. Numbers and booleans as in JSON.")  # fmt: skip
def set_attribute(door: Door, category_id: str, name: str, value: str | None, tenant_id: str, kind: Any) -> None:
    """Add an attribute or change its value; without a value it is only declared."""

    async def work(scope: TenantScope) -> Category:
        # The words of a command are texts: which they mean is said by the type.
        held = (await scope.categories.get(category_id)).attributes if kind is None else ()
        meant = next((item.type for item in held if item.name == name), kind)
        given = json_value("the value", value) if value is not None and meant in ("number", "boolean") else value
        return await scope.categories.set_attribute(category_id, name, given, type=kind)

    _show(door, tenant_id, work)


@command(category, "remove-attribute")
@click.argument("category_id", metavar="ID")
@click.argument("name")
@of_tenant
def remove_attribute(door: Door, category_id: str, name: str, tenant_id: str) -> None:
    """Take an attribute away."""
    _show(door, tenant_id, lambda scope: scope.categories.remove_attribute(category_id, name))


@command(category, "move")
@click.argument("category_id", metavar="ID")
@of_tenant
@click.option("--to", "parent_id", metavar="ID", help="The category it comes below.")
@click.option("--to-root", is_flag=True, help="Below no other.")
def move(door: Door, category_id: str, tenant_id: str, parent_id: str | None, to_root: bool) -> None:
    """Bring a category, with everything below it, below another."""
    if (parent_id is None) != to_root:
        raise click.UsageError("say where to: --to ID or --to-root")
    _show(door, tenant_id, lambda scope: scope.categories.move(category_id, parent_id))


@command(category, "merge")
@click.argument("source_id", metavar="SOURCE")
@of_tenant
@click.option("--into", "target_id", metavar="ID", required=True, help="The category that stays.")
def merge(door: Door, source_id: str, tenant_id: str, target_id: str) -> None:
    """Make one category of two, and of those of equal names below them."""
    _show(door, tenant_id, lambda scope: scope.categories.merge(source_id, target_id))


@command(category, "delete")
@click.argument("category_id", metavar="ID")
@of_tenant
@click.option("--children", "of_children", type=click.Choice(OF_CHILDREN), default="refuse", show_default=True,
              help="What becomes of those below it.")  # fmt: skip
def delete(door: Door, category_id: str, tenant_id: str, of_children: Any) -> None:
    """Remove a category."""
    count = in_scope(door, tenant_id, lambda scope: scope.categories.delete(category_id, children=of_children))
    door.show({"deleted": count}, pairs)


@command(category, "import")
@click.argument("file", type=_READABLE)
@of_tenant
@click.option("--format", "form", type=click.Choice(FORMATS), help="Found out by looking unless given.")
@click.option("--under", metavar="ID", help="The category the file's tree comes below.")
@click.option("--prune", is_flag=True, help="Remove what the file does not have.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def import_command(
    door: Door, file: Path, tenant_id: str, form: Format | None, under: str | None, prune: bool, dry_run: bool
) -> None:
    """Make the tree what a file says (`-` for standard input), all of it or nothing.

    Categories that are there keep their ids: they are found by what the file calls them, else by name and place.
    """
    with opened(file) as source, progress("categories") as told:
        found: Comparison = in_scope(
            door,
            tenant_id,
            lambda scope: (
                scope.category_transfer.diff(source, form, under=under, prune=prune)
                if dry_run
                else scope.category_transfer.read(source, form, under=under, prune=prune, progress=told)
            ),
        )
    counts = Counter(change.kind for change in found.changes)
    data = {
        "dry_run": dry_run,
        **{kind: counts[kind] for kind in ("added", "renamed", "moved", "changed", "missing", "removed")},
        "unchanged": found.unchanged,
        "changes": [asdict(change) for change in found.changes],
    }

    def text(_: Any) -> None:
        if dry_run:
            rows = [{**asdict(change), "path": " > ".join(change.path)} for change in found.changes]
            table(rows, ["kind", "path", "detail"])
        pairs({name: value for name, value in data.items() if name != "changes"})

    door.show(data, text)


@command(category, "export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@of_tenant
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="The form of the file.")
@click.option("--under", metavar="ID", help="Only this category and what is below it.")
def export(door: Door, file: Path, tenant_id: str, form: Format, under: str | None) -> None:
    """Write the trees to a file (`-` for standard output) that `category import` reads."""
    with written(file) as target:
        count = in_scope(door, tenant_id, lambda scope: scope.category_transfer.write(target, form, under=under))
    if str(file) != "-":
        door.show({"exported": count}, pairs)


@command(category, "check")
@of_tenant
@click.option("--repair", is_flag=True, help="Give every category the ancestors that its parents say.")
def check(door: Door, tenant_id: str, repair: bool) -> None:
    """What is wrong with the trees, which only documents written around these commands can make so. Exit code 1 if
    there is anything, or it is left after --repair."""
    found = in_scope(door, tenant_id, lambda scope: scope.categories.check(repair=repair))
    rows = [asdict(problem) for problem in found]
    if rows or door.json:
        door.show(rows, lambda _: table(rows, ["kind", "category_id", "name"]))
    else:
        click.echo("every category is in its place")
    if rows:
        sys.exit(1)


def _show(door: Door, tenant_id: str, work: Any) -> None:
    found = versioned(in_scope(door, tenant_id, work))
    found["attributes"] = found["attributes"] if door.json else _short(found["attributes"])
    door.show(found, pairs)


def _short(attributes: Iterable[Any]) -> str:
    held = [item if isinstance(item, Attribute) else Attribute(**item) for item in attributes]
    return ", ".join(f"{item.name} ({item.type})" + ("" if item.value is None else f": {item.value}") for item in held)


def _draw(found: list[Category], ids: bool) -> None:
    least = min((len(item.ancestors) for item in found), default=0)
    for item in found:
        indent = "  " * (len(item.ancestors) - least)
        click.echo(f"{indent}{shown(item.name)}" + (f"  {click.style(item.category_id, dim=True)}" if ids else ""))
