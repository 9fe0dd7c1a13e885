"""How a filter, an update, a document or a pipeline is kept inside one tenant: pure functions.

What cannot be made safe is refused, and so is what nobody has looked at: operators of updates, stages
(`aggregation_stages`), options of stages. No option of MongoDB that changes how texts compare is taken: with a
collation the tenant `a-b` could be found where `ab` is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prismicx.engines.aggregation_stages import STAGES
from prismicx.engines.plain_values import plain
from prismicx.errors import BoundaryViolation, InvalidInput, quoted

TENANT = "tenant_id"

Document = dict[str, Any]

UPDATE_OPERATORS = frozenset(
    "$addToSet $bit $currentDate $inc $max $min $mul $pop $pull $pullAll $push $rename $set $setOnInsert $unset".split()
)
"""Change the fields they name and no others."""

_JOINED = frozenset({"from", "localField", "foreignField", "let", "pipeline", "as"})
_UNITED = frozenset({"coll", "pipeline"})


def scoped_filter(tenant_id: str, given: Mapping[str, Any] | None) -> Document:
    """The filter, narrowed to the tenant.

    Raises:
        InvalidInput: ``documents.filter_invalid``.
        BoundaryViolation: ``boundary.script``, ``boundary.operator`` or ``boundary.variable``.
    """
    if given is None:
        return {TENANT: tenant_id}
    if not isinstance(given, Mapping):
        raise InvalidInput("documents.filter_invalid", f"the filter is {quoted(given)}", "give a mapping")
    copy: Document = plain(given)
    if copy.get(TENANT, tenant_id) == tenant_id:
        return {**copy, TENANT: tenant_id}
    return {"$and": [{TENANT: tenant_id}, copy]}


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


def scoped_batch(tenant_id: str, given: Iterable[Mapping[str, Any]]) -> list[Document]:
    """The documents to insert, with their tenant.

    Raises:
        InvalidInput, BoundaryViolation: as `scoped_document`, and where there are no documents.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInput("documents.document_invalid", f"the documents are {quoted(given)}", "give a list")
    made = [scoped_document(tenant_id, document) for document in given]
    if not made:
        raise InvalidInput("documents.document_invalid", "there are no documents", "give one document or more")
    return made


def scoped_replacement(tenant_id: str, given: Mapping[str, Any]) -> Document:
    """The document to put in another's place, with its tenant.

    Raises:
        InvalidInput, BoundaryViolation: as `scoped_document`.
    """
    made = scoped_document(tenant_id, given)
    operators = [name for name in made if name.startswith("$")]
    if operators:  # a server might take the whole for an update
        raise InvalidInput(
            "documents.document_invalid",
            f"the document holds {quoted(operators[0])}",
            "name fields; update_one takes operators",
        )
    return made


def scoped_update(tenant_id: str, given: Mapping[str, Any] | Sequence[Mapping[str, Any]], upsert: bool = False) -> Any:
    """The update, unable to change the tenant of what it touches; what an upsert inserts is the tenant's.

    Raises:
        InvalidInput: ``documents.update_invalid``.
        BoundaryViolation: ``boundary.tenant_changed``, ``boundary.stage`` or ``boundary.script``.
    """
    if not isinstance(given, Mapping):
        return _scoped_steps(tenant_id, given)
    changes = plain(given, data=True)
    if not changes:
        raise InvalidInput("documents.update_invalid", "the update is empty", "give update operators")
    for operator, fields in changes.items():
        _check_changes(operator, fields)
    if upsert:
        return {**changes, "$setOnInsert": {**changes.get("$setOnInsert", {}), TENANT: tenant_id}}
    return changes


def _scoped_steps(tenant_id: str, given: Any) -> list[Document]:
    steps = plain(given)
    if not isinstance(steps, list):
        raise InvalidInput("documents.update_invalid", f"the update is {quoted(given)}", "give update operators")
    for step in steps:
        name, _ = _stage(step)
        if name not in STAGES or not STAGES[name].in_update:
            raise _stage_refused(name)
    # Whatever the stages made of it, the document ends as this tenant's.
    return [*steps, {"$set": {TENANT: {"$literal": tenant_id}}}]


def _check_changes(operator: str, fields: Any) -> None:
    if operator not in UPDATE_OPERATORS or not isinstance(fields, Mapping):
        raise InvalidInput(
            "documents.update_invalid",
            f"the update holds {quoted(operator)}",
            f"give a mapping of fields to {', '.join(sorted(UPDATE_OPERATORS))}; replace_one replaces a document",
        )
    if operator == "$pull":  # the one whose values are conditions
        plain(fields)
    for path, value in fields.items():
        targets = [path, value] if operator == "$rename" else [path]
        if any(_root(target) == TENANT for target in targets):
            raise BoundaryViolation(
                "boundary.tenant_changed",
                f"{operator} would change {TENANT}",
                "a document stays with its tenant; leave the field out",
            )


def scoped_pipeline(tenant_id: str, given: Sequence[Mapping[str, Any]], collections: Iterable[str]) -> list[Document]:
    """The pipeline, reading this tenant's documents only, at every depth.

    Args:
        collections: those of the same database that hold tenants' documents; stages may name them and no others.

    Raises:
        InvalidInput: ``documents.pipeline_invalid``.
        BoundaryViolation: ``boundary.stage``, ``boundary.collection`` or ``boundary.script``.
    """
    return _narrowed(tenant_id, plain(given), frozenset(collections))


def _narrowed(tenant_id: str, given: Any, known: frozenset[str]) -> list[Document]:
    stages = _stages(tenant_id, given, known)
    if stages and "$match" in stages[0]:
        # One $match, so that what must come first ($text) still does.
        return [{"$match": {"$and": [{TENANT: tenant_id}, stages[0]["$match"]]}}, *stages[1:]]
    return [{"$match": {TENANT: tenant_id}}, *stages]


def watched_pipeline(tenant_id: str, given: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The pipeline of a change stream that shows changes of this tenant's documents.

    An event tells its tenant by the document: as it is now, or as it was before. A deletion has only the latter, where
    the collection keeps such images; without it the event names no tenant, and is not shown. Neither are events of
    the whole collection.

    Raises:
        BoundaryViolation: ``boundary.stage`` or ``boundary.script``.
    """
    stages = plain(given)
    if not isinstance(stages, list):
        raise InvalidInput("documents.pipeline_invalid", f"the pipeline is {quoted(given)}", "give a list of stages")
    for stage in stages:
        name, _ = _stage(stage)
        if name not in STAGES or not STAGES[name].in_stream:
            raise _stage_refused(name)
    now, before = f"fullDocument.{TENANT}", f"fullDocumentBeforeChange.{TENANT}"
    # The document is looked up when the event is read: where an `_id` was used again, what was before may be another
    # tenant's, and so may be the description of the change.
    ours = {
        "$and": [
            {"$or": [{now: tenant_id}, {before: tenant_id, "operationType": "delete"}]},
            {"$or": [{before: tenant_id}, {"fullDocumentBeforeChange": None}]},
        ]
    }
    return [{"$match": ours}, {"$unset": "updateDescription"}, *stages]


def ordering(given: Any) -> list[tuple[str, Any]] | None:
    """How to sort, checked.

    Raises:
        InvalidInput: ``documents.sort_invalid``.
    """
    pairs = _pairs(plain(given))
    if given is not None and not pairs:
        raise InvalidInput("documents.sort_invalid", f"the sort is {quoted(given)}", 'give pairs such as ("name", 1)')
    return pairs


def index_hint(given: Any) -> str | list[tuple[str, Any]] | None:
    """The index to use, by name or by its fields, checked.

    Raises:
        InvalidInput: ``documents.hint_invalid``.
    """
    found = plain(given)
    pairs = _pairs(found)
    if given is not None and not pairs and not isinstance(found, str):
        raise InvalidInput("documents.hint_invalid", f"the hint is {quoted(given)}", "name an index or its fields")
    return pairs or found


def _pairs(copy: Any) -> list[tuple[str, Any]] | None:
    pairs = list(copy.items()) if isinstance(copy, dict) else copy
    if not isinstance(pairs, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        return None
    return [(field, way) for field, way in pairs]


def _stages(tenant_id: str, given: Any, known: frozenset[str]) -> list[Document]:
    if not isinstance(given, list):
        raise InvalidInput("documents.pipeline_invalid", f"the pipeline is {quoted(given)}", "give a list of stages")
    return [_scoped_stage(tenant_id, *_stage(stage), known) for stage in given]


def _scoped_stage(tenant_id: str, name: str, body: Any, known: frozenset[str]) -> Document:
    if name not in STAGES or STAGES[name].treatment == "refused":
        raise _stage_refused(name)
    if STAGES[name].treatment == "plain":
        return {name: body}
    if name == "$unionWith" and isinstance(body, str):
        body = {"coll": body}
    if not isinstance(body, Mapping):
        raise InvalidInput("documents.pipeline_invalid", f"{name} is {quoted(body)}", f"give {name} a mapping")
    if name == "$facet":
        return {name: {output: _stages(tenant_id, part, known) for output, part in body.items()}}
    collection, options = ("from", _JOINED) if name == "$lookup" else ("coll", _UNITED)
    _known_collection(name, body.get(collection), known)
    odd = sorted(body.keys() - options)
    if odd:
        raise BoundaryViolation(
            "boundary.option", f"{name} has the option {quoted(odd[0])}", f"options are {', '.join(sorted(options))}"
        )
    return {name: {**body, "pipeline": _narrowed(tenant_id, body.get("pipeline", []), known)}}


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
    stage = STAGES.get(name)
    why = f"it {stage.why}" if stage else "it is not known"
    if stage and stage.treatment != "refused":
        why = "it has no place here"
    return BoundaryViolation(
        "boundary.stage",
        f"the stage {quoted(name)} is not allowed in a tenant's scope: {why}",
        "docs/reference/stages.md lists what is",
    )


def _other_tenant(value: Any) -> BoundaryViolation:
    return BoundaryViolation(
        "boundary.other_tenant",
        f"the document names the tenant {quoted(value)}",
        "leave the field out: the scope sets it",
    )


def _root(path: Any) -> Any:
    return path.split(".", 1)[0] if isinstance(path, str) else path
