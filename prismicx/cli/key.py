"""`key`: the key service, its store and the tokens of those who use it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from prismicx.cli import sealing
from prismicx.cli.door import Door, command, pairs, table
from prismicx.engines.embedded import keys as embedded
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.endpoints import locate_keys
from prismicx.keys import root, server
from prismicx.keys.client import Keys
from prismicx.keys.names import check_name
from prismicx.keys.root import RootKey
from prismicx.keys.store import Store, check_free
from prismicx.keys.tokens import OPERATIONS, ROLES, Tokens
from prismicx.keys.uselog import UseLog, changing

_FILE = click.Path(path_type=Path, dir_okay=False)


def of_store(function: Callable[..., None]) -> Callable[..., None]:
    """The options that name a store and what opens it."""
    for option in (
        click.option("--passphrase-file", type=_FILE, metavar="FILE", help="File of the passphrase, mode 0600."),
        click.option("--root-key-file", type=_FILE, metavar="FILE", help="File of the root key, mode 0600."),
        click.option("--store", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
                     help="The key store; that of the data directory unless given."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group()
def key() -> None:
    """The key service: serve, status, its store and its tokens; keys of tenants: rotate, seal, destroy.

    The root key is taken from --root-key-file, --passphrase-file or the variable PRISMICX_ROOT_KEY; without any of them
    it is root.key of the data directory.
    """


for item in (sealing.rotate, sealing.seal, sealing.destroy):
    key.add_command(item)


@command(key, "init")
@of_store
def init(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None) -> None:
    """Make a key store, and the file of the root key if it is not there."""
    path = _path(door, store)
    check_free(path)
    if root_key_file is not None and not root_key_file.exists():
        root.make_file(root_key_file)
        door.tell(f"made {root_key_file}: keep it apart from the backups of the store")
    Store.create(path, root.choose(root_key_file, passphrase_file))
    log = UseLog(path / server.LOG)  # there was no place for it before
    log.write(actor=_actor(door), operation="init", result="done")
    log.close()
    door.show({"store": str(path)}, pairs)


@command(key, "serve")
@of_store
@click.option("--listen", default="127.0.0.1:8200", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="The certificate, needed beyond loopback.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key, mode 0600.")
@click.option("--log", type=_FILE, metavar="FILE", help="The log of uses; use.log of the store unless given.")
def serve(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None, listen: str,
          tls_cert: Path | None, tls_key: Path | None, log: Path | None) -> None:  # fmt: skip
    """Serve a key store until Ctrl-C, by Vault's transit interface."""
    host, port = server.listen_address(listen)
    options = server.Options(_path(door, store), host, port, tls_cert, tls_key, log)
    server.serve(
        options, _root(door, root_key_file, passphrase_file), lambda url: door.tell(f"serving wrapping keys on {url}")
    )


@command(key, "status")
@click.option("--tenant", "tenant_id", metavar="ID", help="Instead: a tenant's keys, and what each sealed.")
def status(door: Door, tenant_id: str | None) -> None:
    """The key service of the settings, and whether it takes our tokens. Exit code 6 when it does not answer."""
    if tenant_id is not None:
        sealing.show_tenant(door, tenant_id)
        return

    async def ask() -> dict[str, Any]:
        endpoint = locate_keys(door.settings)
        client = Keys(endpoint, door.settings.connect_timeout)
        try:
            version = await client.health()
            await client.check()
            return {"url": endpoint.url, "source": endpoint.source, "version": version}
        finally:
            client.close()

    door.show(door.run(ask()), pairs)


@command(key, "check")
@of_store
def check(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None) -> None:
    """Read every file of a store, and of a backup of one; exit code 1 when one is cut or changed."""
    opened = Store.open(_path(door, store), _root(door, root_key_file, passphrase_file))
    damaged = opened.damage()
    found = {"keys": len(opened.names()), "damaged": damaged}
    door.show(found, lambda _: click.echo("\n".join(damaged) or f"{found['keys']} keys, nothing is damaged"))
    if damaged:
        sys.exit(1)


@command(key, "reseal")
@of_store
@click.option("--new-root-key-file", type=_FILE, metavar="FILE", help="The next root key; made if it is not there.")
@click.option("--new-passphrase-file", type=_FILE, metavar="FILE", help="The next passphrase.")
def reseal(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None,
           new_root_key_file: Path | None, new_passphrase_file: Path | None) -> None:  # fmt: skip
    """Put a store under another root key. Backups of it stay under the old one."""
    opened = Store.open(_path(door, store), _root(door, root_key_file, passphrase_file))
    with _logged(door, opened.path, "reseal"):
        if new_root_key_file is not None and not new_root_key_file.exists():
            root.make_file(new_root_key_file)
        opened.reseal(root.choose(new_root_key_file, new_passphrase_file))
    door.show({"resealed": str(opened.path)}, pairs)


@key.group()
def token() -> None:
    """The tokens of a store: create, list, revoke. A service that runs sees a change at once."""


@command(token, "create")
@click.argument("name")
@of_store
@click.option("--role", type=click.Choice(list(ROLES)), help="What it may do, as a set.")
@click.option("--allow", multiple=True, type=click.Choice(OPERATIONS), help="An operation; may be repeated.")
@click.option("--keys", multiple=True, default=["*"], show_default=True, metavar="PATTERN",
              help="Keys it may use, as tenant_*; may be repeated.")  # fmt: skip
def create(door: Door, name: str, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None,
           role: str | None, allow: tuple[str, ...], keys: tuple[str, ...]) -> None:  # fmt: skip
    """Make a token; it is shown once."""
    tokens, operations = _tokens(door, store, root_key_file, passphrase_file), (*ROLES.get(role or "", ()), *allow)
    with _logged(door, _path(door, store), "token.create", name=check_name(name)):
        made = tokens.create(name, operations, keys)
    door.show({"token": made}, lambda data: click.echo(data["token"]))


@command(token, "list")
@of_store
def list_command(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None) -> None:
    """The tokens and what each may do."""
    rows = []
    for held in _tokens(door, store, root_key_file, passphrase_file).list():
        row = asdict(held)
        del row["digest"]
        for moment in ("created", "revoked"):
            row[moment] = row[moment] and datetime.fromtimestamp(row[moment], UTC)
        rows.append(row)
    door.show({"tokens": rows}, lambda _: table(rows, ["name", "operations", "keys", "created", "revoked"]))


@command(token, "revoke")
@click.argument("name")
@of_store
def revoke(door: Door, name: str, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None) -> None:
    """Let a token be used no more, at once."""
    tokens = _tokens(door, store, root_key_file, passphrase_file)
    with _logged(door, _path(door, store), "token.revoke", name=check_name(name)):
        tokens.revoke(name)
    door.show({"revoked": name}, pairs)


def _path(door: Door, store: Path | None) -> Path:
    return store or embedded.store_path(DataDirectory(door.settings.data))


def _root(door: Door, root_key_file: Path | None, passphrase_file: Path | None) -> RootKey:
    return root.choose(root_key_file, passphrase_file, embedded.root_path(DataDirectory(door.settings.data)))


def _tokens(door: Door, store: Path | None, root_key_file: Path | None, passphrase_file: Path | None) -> Tokens:
    return Tokens(Store.open(_path(door, store), _root(door, root_key_file, passphrase_file)))


def _logged(door: Door, store: Path, operation: str, **entry: str) -> AbstractContextManager[None]:
    """Have a change in the log of uses, since a key service has no audit trail."""
    return changing(store / server.LOG, actor=_actor(door), operation=operation, **entry)


def _actor(door: Door) -> str:
    from prismicx.audit.values import check_actor, default_actor

    return check_actor(door.settings.actor) if door.settings.actor else default_actor()
