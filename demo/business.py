"""What the tenants do with the platform: users, extensions, tasks, insights, a CRM. All through their scopes."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from demo.taxonomy import Node
from prismicx import TenantScope
from prismicx.statements import Statements

statements = Statements("demo", "statements.sql")


@dataclass(frozen=True)
class Company:
    """One tenant of the demo."""

    tenant_id: str
    name: str
    isolation: Literal["dedicated", "shared"]
    region: str
    tier: str
    people: tuple[str, ...]
    systems: tuple[str, ...]


COMPANIES = (
    Company("northwind", "Northwind Traders", "dedicated", "eu", "enterprise",
            ("Ada Lindqvist", "Bruno Keller", "Chiara Rossi", "Dev Patel"), ("crm", "sales", "marketing")),
    Company("rosewood", "Rosewood Clinics", "dedicated", "us", "pro",
            ("Edith Moreau", "Farid Haddad", "Grace Okafor"), ("crm", "sales")),
    Company("bluebird", "Bluebird Bakery", "shared", "eu", "free",
            ("Hana Suzuki", "Ivo Novak"), ("crm", "marketing")),
    Company("oak-and-iron", "Oak & Iron Joinery", "shared", "us", "free",
            ("Jonas Weber", "Kaya Demir"), ("crm",)),
)  # fmt: skip

FACTORS = {
    "Calendar sync": (("speed", 8, 1.0), ("ease of use", 9, 2.0), ("reliability", 6, 3.0)),
    "Invoice scanner": (("speed", 5, 1.0), ("accuracy", 9, 2.5)),
    "Dark mode": (("ease of use", 10, 0.5),),
}
"""Extensions and their rated factors: name, value from 1 to 10, weight."""


def practicality(name: str) -> float:
    """The weighted mean, worked out here, to compare with what the view says."""
    factors = FACTORS[name]
    return sum(value * weight for _, value, weight in factors) / sum(weight for _, _, weight in factors)


def _naive_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # the reference's TIMESTAMP holds UTC


async def add_users(tenant: TenantScope, company: Company) -> dict[str, uuid.UUID]:
    """Users with two preferences each; their ids by name."""
    moment, users = _naive_now(), {}
    async with tenant.sql("system_users") as sql:
        for number, person in enumerate(company.people):
            given, family = person.split(" ", 1)
            users[person] = user = uuid.uuid4()
            email = f"{given.lower()}@{company.tenant_id}.example"
            role = "user" if number else "admin"
            await sql.execute(
                statements.add_user, user, company.tenant_id, given.lower(), email, "!", given, family, role, moment
            )
            for key, value in (("language", company.region), ("dashboard", {"columns": number + 1, "dark": True})):
                await sql.execute(statements.add_preference, user, key, json.dumps(value), moment)
    return users


async def add_extensions(tenant: TenantScope, user: uuid.UUID) -> list[Any]:
    """The extensions of one user with their factors; how practical each is, by name."""
    moment = _naive_now()
    async with tenant.sql("system_users", service="extensions") as sql:
        for priority, (name, factors) in enumerate(FACTORS.items()):
            extension = uuid.uuid4()
            await sql.execute(
                statements.add_extension,
                extension, user, tenant.tenant_id, "widget", name, f"{name} for everyday work", priority, moment,
            )  # fmt: skip
            await sql.execute(statements.add_metrics, uuid.uuid4(), extension, 10 * priority, moment, 4.5)
            for factor, value, weight in factors:
                await sql.execute(statements.add_factor, uuid.uuid4(), extension, factor, value, weight, moment)
        return await sql.fetch(statements.practicality)


async def work_off_tasks(tenant: TenantScope, people: tuple[str, ...]) -> dict[str, int]:
    """Enqueue a task a person, claim each as a worker would, complete all but the last; how many are in which state."""
    tasks = await tenant.collection("tasks")
    moment = datetime.now(UTC)
    queued = [
        {
            "task_id": str(uuid.uuid4()), "service_id": "mailer", "type": "welcome", "status": "pending",
            "priority": len(people) - number, "payload": {"to": person}, "created_at": moment + timedelta(0, number),
        }
        for number, person in enumerate(people)
    ]  # fmt: skip
    await tasks.insert_many(queued)
    for task in await tasks.find({"status": "pending"}, sort=[("priority", -1)]).to_list():
        claim = {"task_id": task["task_id"], "status": "pending"}
        begun = {"status": "running", "started_at": datetime.now(UTC), "updated_at": datetime.now(UTC)}
        if (await tasks.update_one(claim, {"$set": begun})).modified_count and task["payload"]["to"] != people[-1]:
            done = {"status": "completed", "result": {"sent": True}, "completed_at": datetime.now(UTC)}
            await tasks.update_one({"task_id": task["task_id"], "status": "running"}, {"$set": done})
    counted = await tasks.aggregate([{"$group": {"_id": "$status", "n": {"$sum": 1}}}])
    return {row["_id"]: row["n"] async for row in counted}


async def record_insights(tenant: TenantScope, users: dict[str, uuid.UUID], nodes: list[Node]) -> int:
    """What each user is interested in, as topics of the taxonomy with subtopics; how many documents there are."""
    roots = [node for node in nodes if len(node["path"]) == 1]
    insights = await tenant.collection("user_insights")
    moment = datetime.now(UTC)
    times = {"created_at": moment, "updated_at": moment}
    for number, user in enumerate(users.values()):
        topic = roots[(number * 7 + len(tenant.tenant_id)) % len(roots)]
        below = [node for node in nodes if node["path"][:-1] == topic["path"]][:3]
        subtopics = [
            {
                "subtopic_id": node["id"], "name": node["label"], **times,
                "content": {"key_points": [f"asked about {node['label']}"], "resources": ["https://example.com/"]},
            }
            for node in below
        ]  # fmt: skip
        document = {
            "user_id": str(user), **times,
            "topics": [{"topic_id": topic["id"], "name": topic["label"], "subtopics": subtopics, **times}],
            "metadata": {"profile_completeness": 0.25 * (number + 1), "interest_score": 7.5},
        }  # fmt: skip
        await insights.insert_one(document)
    return await insights.count_documents()


async def fill_crm(tenant: TenantScope, company: Company) -> None:
    """Companies, contacts and deals in the CRM of version 1.0.0: names are whole, a company has one address."""
    async with tenant.system("crm").sql() as sql:
        await sql.execute(statements.add_pipeline)
        for number, other in enumerate(one for one in COMPANIES if one is not company):
            key = await sql.fetchval(
                statements.add_company, other.name, f"https://{other.tenant_id}.example", f"{number + 1} Market Street"
            )
            for person in other.people:
                email = f"{person.split()[0].lower()}@{other.tenant_id}.example"
                contact = await sql.fetchval(statements.add_contact, key, person, email)
                worth = Decimal(1250 * (number + 1) * len(person)) / 10
                await sql.execute(statements.add_deal, key, contact, f"Order of {person}", worth, "Offer")
