"""What errors of MongoDB are to who has a tenant's collection."""

from __future__ import annotations

import pytest
from pymongo.errors import OperationFailure

from prismicx.engines.scoped_documents import _translated
from prismicx.errors import PrismicXError


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (13, "not authorized on crm to execute command { find: 'tasks', $db: 'crm' }", "boundary.refused"),
        (13, "not authorized on crm (filter: requires authentication)", "boundary.refused"),
        (13, "Command find requires authentication", "mongo.login_replaced"),
        (13, "command getMore requires authentication", "mongo.login_replaced"),
        (18, "Authentication failed.", "mongo.login_replaced"),
    ],
)
def test_a_login_that_was_ended_is_no_attempt_to_leave_the_tenant(code: int, said: str, told: str) -> None:
    error = _translated(OperationFailure(said, code, {"ok": 0.0, "errmsg": said, "code": code}))
    assert isinstance(error, PrismicXError)
    assert error.code == told
    assert said in error.message
