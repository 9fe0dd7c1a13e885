"""Many tasks at once, from a file. Reference: `tasks` Collection."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from typing import TextIO

from prismicx.checks import check_file
from prismicx.errors import InvalidInput
from prismicx.tasks.values import NewTask

FILE_LIMIT = 16 * 1024 * 1024
"""Bytes that a file of tasks may have."""
TASKS_LIMIT = 100_000
"""Tasks that one file may hold."""

_INVALID = "task.file_invalid"


def read_tasks(
    source: TextIO, *, service: str, type: str, priority: float = 0, secret: Collection[str] = ()
) -> list[NewTask]:
    """The tasks of a file that has a payload a line, as JSON; blank lines are none.

    Raises:
        InvalidInput: ``task.file_invalid`` with the line that is wrong, or the limit of the file; ``task.invalid`` for
            what all of them have.
    """
    NewTask(service, type, priority=priority)
    tasks: list[NewTask] = []
    for number, line in enumerate(io.StringIO(check_file(_INVALID, source, FILE_LIMIT)), 1):
        if not line.strip():
            continue
        if len(tasks) == TASKS_LIMIT:
            raise InvalidInput(_INVALID, f"the file has more than {TASKS_LIMIT:,} tasks", "give them in several files")
        try:
            tasks.append(NewTask(service, type, json.loads(line), priority, secret))
        except InvalidInput as error:
            raise InvalidInput(_INVALID, f"line {number}: {error.message}", error.remedy) from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput(_INVALID, f"line {number} is no JSON: {error}", "give an object a line") from error
    return tasks
