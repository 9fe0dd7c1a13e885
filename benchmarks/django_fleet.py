"""django-tenants on the same server: how many tenants a second it installs and migrates.

It runs in a process of its own, because Django is configured once a process; its time without the start is taken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_APP = {
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/models.py": "",
    "customers/__init__.py": "",
    "customers/models.py": """
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

class Client(TenantMixin):
    name = models.CharField(max_length=100)
    auto_create_schema = False
    auto_drop_schema = True

class Domain(DomainMixin):
    pass
""",
    "shop/migrations/0001_initial.py": """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(name=f"T{n}", fields=[
            ("id", models.BigIntegerField(primary_key=True)),
            ("a", models.TextField(null=True)), ("b", models.IntegerField(null=True)),
            ("c", models.DateTimeField(null=True)), ("d", models.TextField(null=True)),
        ], options={"indexes": [
            models.Index(fields=["a"], name=f"t{n}_a"), models.Index(fields=["b"], name=f"t{n}_b"),
            models.Index(fields=["c"], name=f"t{n}_c"),
        ]})
        for n in range(TABLES)
    ]
""",
}
_SECOND = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("T0", "e", models.TextField(null=True)),
        migrations.AddField("T0", "f", models.IntegerField(null=True)),
        migrations.AddIndex("T0", models.Index(fields=["e"], name="t0_e")),
    ]
"""
_PROGRAM = """
import json, os, sys, time
from pathlib import Path
settings, number, second = json.loads(os.environ["DATABASE"]), int(sys.argv[1]), sys.argv[2]
import django
from django.conf import settings as conf
conf.configure(
    DATABASES={"default": {"ENGINE": "django_tenants.postgresql_backend", **settings}},
    DATABASE_ROUTERS=("django_tenants.routers.TenantSyncRouter",),
    SHARED_APPS=["django_tenants", "django.contrib.contenttypes", "customers"], TENANT_APPS=["shop"],
    INSTALLED_APPS=["django_tenants", "django.contrib.contenttypes", "customers", "shop"],
    TENANT_MODEL="customers.Client", TENANT_DOMAIN_MODEL="customers.Domain",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
)
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate_schemas", shared=True, run_syncdb=True, verbosity=0)
from customers.models import Client
tenants = [Client(schema_name=f"dj{n}", name=f"dj{n}") for n in range(number)]
for tenant in tenants:
    tenant.save()
begun = time.perf_counter()
for tenant in tenants:
    tenant.create_schema(check_if_exists=True, verbosity=0)
install = number / (time.perf_counter() - begun)
Path("shop/migrations/0002_more.py").write_text(second)
connection.set_schema_to_public()
begun = time.perf_counter()
call_command("migrate_schemas", tenant=True, verbosity=0)
upgrade = number / (time.perf_counter() - begun)
print(json.dumps({"install": install, "upgrade": upgrade}))
"""


@dataclass(frozen=True)
class Rates:
    """Tenants a second."""

    install: float
    upgrade: float


def rates(url: str, number: int, tables: int = 8) -> Rates:
    """So many tenants with so many tables installed and migrated, in a database that is made and dropped for it."""
    parts = urlsplit(url)
    name = f"django_{number}"
    held = {
        "NAME": name, "USER": unquote(parts.username or ""), "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname, "PORT": str(parts.port),
    }  # fmt: skip
    _sql(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _sql(url, f'CREATE DATABASE "{name}"')
    try:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in _APP.items():
                file = Path(folder) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text.replace("TABLES", str(tables)))
            words = [sys.executable, "-c", _PROGRAM, str(number), _SECOND]
            environ = {**os.environ, "DATABASE": json.dumps(held)}
            done = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True, env=environ)
            if done.returncode:
                raise RuntimeError(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
    finally:
        _sql(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    return Rates(found["install"], found["upgrade"])


def _sql(url: str, text: str) -> None:
    program = (
        "import asyncio, asyncpg, os, sys\n"
        "async def main():\n"
        "    c = await asyncpg.connect(os.environ['SERVER']); await c.execute(sys.argv[1]); await c.close()\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", program, text], check=True, env={**os.environ, "SERVER": url})
