"""Every operation of the library is recorded, or named among those that are not, with the reason."""

from __future__ import annotations

import inspect
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.audit.operations import LEFT, OPERATIONS
from prismicx.audit.trail import event_of_now
from prismicx.audit.values import acting, check_actor, current, default_actor, outcome_of, subject_or_none
from prismicx.categories.repository import Categories
from prismicx.categories.transfer import CategoryTransfer
from prismicx.errors import BoundaryViolation, Conflict, Denied, InvalidInput
from prismicx.extensions.repository import Extensions
from prismicx.fleet.fleet import Fleet
from prismicx.insights.repository import Insights
from prismicx.sealing.administration import KeyAdministration
from prismicx.systems.catalogue import Catalogue
from prismicx.systems.installation import Installations
from prismicx.tasks.repository import Tasks
from prismicx.tenants.tenants import Tenants
from prismicx.users.preference_types import PreferenceTypes
from prismicx.users.preferences import Preferences
from prismicx.users.repository import Users
from prismicx.users.transfer import Transfer

CLASSES = [
    Tenants, Catalogue, Installations, Fleet, Users, Transfer, Preferences, PreferenceTypes, Extensions, Categories,
    CategoryTransfer, Insights, Tasks, KeyAdministration,
]  # fmt: skip
NOT_OF_A_METHOD = {
    "db.apply",
    "isolation.verify",
    "credentials.show",
    "credentials.rotate",
    "credentials.retire",
    "scope.open",
    "scope.statement",
    "scope.documents",
    "rollout.tenant",
}


def methods() -> dict[str, str | None]:
    """Every public operation, and what it is recorded as."""
    return {
        f"{kind.__name__}.{name}": getattr(method, "__audited__", None)
        for kind in CLASSES
        for name, method in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def test_every_operation_is_recorded_or_left_out_with_a_reason() -> None:
    left = {name for group in LEFT for name in group.what if "." in name}
    undecided = {name for name, operation in methods().items() if operation is None} - left
    assert undecided == set(), "declare them in prismicx/audit/operations.py"
    assert left <= methods().keys()
    assert {name for name in left if methods()[name] is not None} <= {"Users.login"}


def test_every_operation_that_is_declared_is_there() -> None:
    recorded = {operation for operation in methods().values() if operation is not None}
    assert recorded | NOT_OF_A_METHOD == OPERATIONS.keys()


def test_what_is_no_id_is_not_written_down() -> None:
    secret = "hunter2 Correct-Horse"
    for operation, declared in OPERATIONS.items():
        details = {**dict.fromkeys(declared.details, secret), "password": secret, "other": 1}
        event = event_of_now("ada", operation, "done", tenant_id=secret, subject=secret, details=details)
        assert "hunter2" not in str(event.as_json())
        assert event.details.keys() == set(declared.details)
        assert (event.tenant_id, event.subject) == (None, None)


@given(st.text())
def test_a_subject_is_a_uuid_or_a_systems_id(text: str) -> None:
    try:
        wanted = str(uuid.UUID(text))
    except ValueError:
        wanted = None
    assert subject_or_none("user.update", text) == wanted


def test_numbers_states_and_ids_are_kept() -> None:
    key = uuid.uuid4()
    event = event_of_now(
        "ada", "rollout.start", "done", subject=key, details={"system": "crm", "tenants": 3, "status": "finished"}
    )
    assert event.subject == str(key)
    assert event.details == {"system": "crm", "tenants": 3, "status": "finished"}


def test_the_outcome_of_an_error_is_its_code_and_never_its_message() -> None:
    assert outcome_of(Conflict("user.email_taken", "the address 'x' …")) == ("failed", "user.email_taken")
    assert outcome_of(Denied("tenant.suspended", "…")) == ("denied", "tenant.suspended")
    assert outcome_of(BoundaryViolation("boundary.statement", "…")) == ("denied", "boundary.statement")
    assert outcome_of(ValueError("secret")) == ("failed", "error.ValueError")


def test_who_acts_is_the_user_of_the_process_unless_somebody_is_named() -> None:
    assert default_actor().partition("@")[0]
    assert current("ada") == ("library", "ada")
    with acting("grace", door="api"):
        assert current("ada") == ("api", "grace")
        with acting("eve"):
            assert current("ada") == ("api", "eve")
        assert current("ada") == ("api", "grace")
    assert current("ada") == ("library", "ada")


@pytest.mark.parametrize("name", ["", " ada", "ada\n", "a\x1b[31m", "\u202eada", "x" * 201, 7, None])
def test_a_name_that_would_mislead_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_actor(name)
    assert caught.value.code == "audit.actor_invalid"
