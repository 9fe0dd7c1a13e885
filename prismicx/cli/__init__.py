"""The command line: words in, an operation of the library, words or JSON out. It holds no rules of its own."""

from __future__ import annotations

from importlib import import_module

import click

from prismicx.cli.door import PrismicXGroup

_PLACES = {
    "up": "engines:up", "down": "engines:down", "status": "engines:status", "doctor": "engines:doctor_command",
    "audit": "audit:audit", "category": "category:category", "credentials": "credentials:credentials", "db": "db:db",
    "extension": "extension:extension", "insight": "insight:insight", "isolation": "isolation:isolation",
    "key": "key:key", "preference": "preference:preference", "system": "fleet:system", "task": "task:task",
    "tenant": "tenant:tenant", "user": "user:user",
}  # fmt: skip


class _Main(PrismicXGroup):
    """Loads the module of a command when it is asked for: each brings with it what it needs of the library."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, name = _PLACES.get(cmd_name, "").partition(":")
        return getattr(import_module(f"{__name__}.{module}"), name) if module else None


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="prismicx", prog_name="prismicx")
def main() -> None:
    """One tenant boundary over PostgreSQL and MongoDB.

    \b
    Begin with:   prismicx up --detach
                  prismicx tenant create acme --name "Acme Ltd"
                  prismicx tenant show acme
    End with:     prismicx down

    Data goes to standard output, everything else to standard error; --json gives data as JSON.

    \b
    Exit codes:   0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 denied, 6 unavailable, 130 stopped
    """
