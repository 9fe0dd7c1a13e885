"""The command line: words in, an operation of the library, words or JSON out. It holds no rules of its own."""

from __future__ import annotations

import click

from prismicx.cli import (
    audit,
    category,
    credentials,
    db,
    engines,
    extension,
    fleet,
    insight,
    isolation,
    key,
    preference,
    task,
    tenant,
    user,
)
from prismicx.cli.door import PrismicXGroup
from prismicx.reference.apply import RELEASE


@click.group(cls=PrismicXGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(RELEASE, prog_name="prismicx")
def main() -> None:
    """One tenant boundary over PostgreSQL and MongoDB.

    \b
    Begin with:   prismicx up --detach
                  prismicx tenant create acme --name "Acme Ltd"
                  prismicx tenant show acme
    End with:     prismicx down

    Data goes to standard output, everything else to standard error; --json gives data as JSON.

    \b
    Exit codes:   0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 denied, 6 unavailable
    """


for command in (engines.up, engines.down, engines.status, engines.doctor_command):
    main.add_command(command)
for group in (
    db.db, tenant.tenant, user.user, preference.preference, extension.extension, task.task,
    category.category, insight.insight, fleet.system, isolation.isolation, credentials.credentials,
    audit.audit, key.key,
):  # fmt: skip
    main.add_command(group)
