"""How a filter, an update, a document or a pipeline is kept inside one tenant: pure functions.

What cannot be made safe is refused. Unknown stages are refused too: the list below is what was looked at.
`$graphLookup` is not in it: what keeps it inside a tenant is `restrictSearchWithMatch` alone, and a server of the
protocol that ignores it (SecantusDB does) would hand out everybody's documents without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prismicx.errors import BoundaryViolation, InvalidInput, quoted

TENANT = "tenant_id"

Document = dict[str, Any]

SCRIPTS = frozenset({"$where", "$function", "$accumulator"})
"""Run JavaScript on the server, which cannot be checked from outside."""

PLAIN_STAGES = frozenset(
    "$addFields $bucket $bucketAuto $count $densify $fill $group $limit $match $project $redact $replaceRoot "
    "$replaceWith $sample $set $setWindowFields $skip $sort $sortByCount $unset $unwind".split()
)
"""Work on the documents they are given and name no collection."""

UPDATE_STAGES = frozenset({"$addFields", "$project", "$replaceRoot", "$replaceWith", "$set", "$unset"})


def scoped_filter(tenant_id: str, given: Mapping[str, Any] | None) -> Document:
    """The filter, narrowed to the tenant.

    Raises:
        InvalidInput: ``documents.filter_invalid``.
        BoundaryViolation: ``boundary.script``.
    """
    if given is None:
        return {TENANT: tenant_id}
    if not isinstance(given, Mapping):
        raise InvalidInput("documents.filter_invalid", f"the filter is {quoted(given)}", "give a mapping")
    copy = plain(given)
    if TENANT in copy:
        return {"$and": [{TENANT: tenant_id}, copy]}
    return {**copy, TENANT: tenant_id}


def scoped_document(tenant_id: str, given: Mapping[str, Any]) -> Document:
    """The document to insert, with its tenant.

    Raises:
        InvalidInput: ``documents.document_invalid``.
        BoundaryViolation: ``boundary.other_tenant`` when it names another tenant.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput("documents.document_invalid", f"the document is {quoted(given)}", "give a mapping")
    copy = plain(given, data=True)
    if copy.get(TENANT, tenant_id) != tenant_id:
        raise _other_tenant(copy[TENANT])
    return {**copy, TENANT: tenant_id}


def scoped_update(tenant_id: str, given: Mapping[str, Any] | Sequence[Mapping[str, Any]], upsert: bool = False) -> Any:
    """The update, unable to change the tenant of what it touches; what an upsert inserts is the tenant's.

    Raises:
        InvalidInput: ``documents.update_invalid``.
        BoundaryViolation: ``boundary.tenant_changed``, ``boundary.stage`` or ``boundary.script``.
    """
    given = plain(given)
    if isinstance(given, list):
        for stage in given:
            name, _ = _stage(stage)
            if name not in UPDATE_STAGES:
                raise _stage_refused(name)
        # Whatever the stages made of it, the document ends as this tenant's.
        return [*given, {"$set": {TENANT: {"$literal": tenant_id}}}]
    if not isinstance(given, Mapping) or not given:
        raise InvalidInput("documents.update_invalid", f"the update is {quoted(given)}", "give update operators")
    for operator, changes in given.items():
        if not str(operator).startswith("$") or not isinstance(changes, Mapping):
            raise InvalidInput(
                "documents.update_invalid",
                f"the update holds {quoted(operator)}",
                "use operators such as $set with a mapping of fields; replace_one replaces a document",
            )
        for path, value in changes.items():
            targets = [path, value] if operator == "$rename" else [path]
            if any(_root(target) == TENANT for target in targets):
                raise BoundaryViolation(
                    "boundary.tenant_changed",
                    f"{operator} would change {TENANT}",
                    "a document stays with its tenant; leave the field out",
                )
    if upsert:
        return {**given, "$setOnInsert": {**given.get("$setOnInsert", {}), TENANT: tenant_id}}
    return given


def scoped_pipeline(tenant_id: str, given: Sequence[Mapping[str, Any]], collections: Iterable[str]) -> list[Document]:
    """The pipeline, reading this tenant's documents only, at every depth.

    Args:
        collections: those of the same database that hold tenants' documents; stages may name them and no others.

    Raises:
        InvalidInput: ``documents.pipeline_invalid``.
        BoundaryViolation: ``boundary.stage``, ``boundary.collection`` or ``boundary.script``.
    """
    stages = _stages(tenant_id, plain(given), frozenset(collections))
    if stages and "$match" in stages[0]:
        # One $match, so that what must come first ($text) still does.
        return [{"$match": {"$and": [{TENANT: tenant_id}, stages[0]["$match"]]}}, *stages[1:]]
    return [{"$match": {TENANT: tenant_id}}, *stages]


def watched_pipeline(tenant_id: str, given: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The pipeline of a change stream that shows changes of this tenant's documents.

    An event without the document (a deletion) names no tenant, so it is not shown.

    Raises:
        BoundaryViolation: ``boundary.stage`` or ``boundary.script``.
    """
    stages = plain(given)
    for stage in stages:
        name, _ = _stage(stage)
        if name not in UPDATE_STAGES | {"$match", "$redact"}:
            raise _stage_refused(name)
    # The document is looked up when the event is read, the description is of when it happened: where an `_id` was
    # used again, the one may be this tenant's and the other another's.
    ours = [{"$match": {f"fullDocument.{TENANT}": tenant_id}}, {"$unset": "updateDescription"}]
    return [*ours, *stages]


def plain(given: Any, *, data: bool = False) -> Any:
    """A copy in dictionaries and lists only, that nobody else can change between the check and the sending.

    A mapping or a sequence of another class could also show the driver something else than it showed the check.

    Args:
        data: it is a document, where the name of an operator is a name like any other.

    Raises:
        BoundaryViolation: ``boundary.script``.
    """
    if isinstance(given, Mapping):
        for key in given:
            if key in SCRIPTS and not data:
                raise BoundaryViolation(
                    "boundary.script", f"{key} runs JavaScript on the server", "say it with operators"
                )
        return {key: plain(value, data=data) for key, value in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes, bytearray, memoryview)):
        return [plain(value, data=data) for value in given]
    return given


def _stages(tenant_id: str, given: Any, known: frozenset[str]) -> list[Document]:
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InvalidInput("documents.pipeline_invalid", f"the pipeline is {quoted(given)}", "give a list of stages")
    return [_scoped_stage(tenant_id, *_stage(stage), known) for stage in given]


def _scoped_stage(tenant_id: str, name: str, body: Any, known: frozenset[str]) -> Document:
    if name in PLAIN_STAGES:
        return {name: body}
    if name == "$facet" and isinstance(body, Mapping):
        return {name: {output: _stages(tenant_id, part, known) for output, part in body.items()}}
    if name == "$lookup" and isinstance(body, Mapping):
        _known_collection(name, body.get("from"), known)
        inner = scoped_pipeline(tenant_id, body.get("pipeline", []), known)
        return {name: {**body, "pipeline": inner}}
    if name == "$unionWith":
        whole: Any = {"coll": body} if isinstance(body, str) else body
        if isinstance(whole, Mapping):
            _known_collection(name, whole.get("coll"), known)
            return {name: {**whole, "pipeline": scoped_pipeline(tenant_id, whole.get("pipeline", []), known)}}
    raise _stage_refused(name)


def _stage(stage: Any) -> tuple[str, Any]:
    if not isinstance(stage, Mapping) or len(stage) != 1:
        raise InvalidInput(
            "documents.pipeline_invalid", f"{quoted(stage)} is no stage", "a stage is a mapping with one key"
        )
    name, body = next(iter(stage.items()))
    return str(name), body


def _known_collection(stage: str, name: Any, known: frozenset[str]) -> None:
    if not isinstance(name, str) or name not in known:
        raise BoundaryViolation(
            "boundary.collection",
            f"{stage} names {quoted(name)}",
            f"stages may name {', '.join(sorted(known))}",
        )


def _stage_refused(name: str) -> BoundaryViolation:
    return BoundaryViolation(
        "boundary.stage",
        f"the stage {quoted(name)} is not allowed in a tenant's scope",
        f"allowed are {', '.join(sorted(PLAIN_STAGES))}, $facet, $lookup and $unionWith",
    )


def _other_tenant(value: Any) -> BoundaryViolation:
    return BoundaryViolation(
        "boundary.other_tenant",
        f"the document names the tenant {quoted(value)}",
        "leave the field out: the scope sets it",
    )


def _root(path: Any) -> Any:
    return path.split(".", 1)[0] if isinstance(path, str) else path
