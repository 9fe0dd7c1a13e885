"""How complete a profile is and how interested its user: worked out by the server from the document itself.

It is done in the same statement as the edit, so that no reader sees the one without the other and no death of a
process can come between them.
"""

from __future__ import annotations

from typing import Any

Expression = dict[str, Any]

TOPIC_POINTS = 5
SUBTOPIC_POINTS = 3
LINE_POINTS = 1
"""Points of a key point, and of a resource."""
HALF_WAY = 100
"""The points at which the interest score is 50."""


def listed(path: str) -> Expression:
    """The list at a path; an empty one where there is none."""
    return {"$ifNull": [path, []]}


def _scores() -> Expression:
    """Both scores, of the document in a stage of an update.

    A topic has two places, for a description and for subtopics, and a subtopic two, for key points and for
    resources: ``profile_completeness`` is the part of all places where there is something, 0 without topics.

    ``interest_score`` is 100 p / (p + 100) of points p: 5 for a topic, 3 for a subtopic, 1 for a key point or a
    resource. So it grows with everything that is known, ever slower, and stays below 100.
    """
    # First the numbers, then what follows from them, so that the texts are gone through once.
    part = {
        "key_points": _size(listed("$$subtopic.content.key_points")),
        "resources": _size(listed("$$subtopic.content.resources")),
    }
    topic = {
        "described": {"$cond": [{"$gt": ["$$topic.description", None]}, 1, 0]},
        "parts": {"$map": {"input": listed("$$topic.subtopics"), "as": "subtopic", "in": part}},
    }
    topics = {"$map": {"input": listed("$topics"), "as": "topic", "in": topic}}
    parts = {"$reduce": {"input": "$$topics", "initialValue": [], "in": {"$concatArrays": ["$$value", "$$this.parts"]}}}
    places = {"$multiply": [2, {"$add": [_size("$$topics"), _size("$$parts")]}]}
    filled = {
        "$add": [
            _total("$$topics", "$$one.described"),
            _total("$$topics", {"$min": [_size("$$one.parts"), 1]}),
            _total("$$parts", {"$add": [{"$min": ["$$one.key_points", 1]}, {"$min": ["$$one.resources", 1]}]}),
        ]
    }
    points = {
        "$add": [
            {"$multiply": [TOPIC_POINTS, _size("$$topics")]},
            {"$multiply": [SUBTOPIC_POINTS, _size("$$parts")]},
            {"$multiply": [LINE_POINTS, _total("$$parts", {"$add": ["$$one.key_points", "$$one.resources"]})]},
        ]
    }
    completeness = {"$cond": [{"$eq": ["$$places", 0]}, 0.0, {"$divide": ["$$filled", "$$places"]}]}
    interest = {"$divide": [{"$multiply": [100, "$$points"]}, {"$add": ["$$points", HALF_WAY]}]}
    scores = {"profile_completeness": completeness, "interest_score": interest}
    return _with(
        {"topics": topics},
        _with({"parts": parts}, _with({"places": places, "filled": filled, "points": points}, scores)),
    )


def _with(variables: Expression, body: Expression) -> Expression:
    return {"$let": {"vars": variables, "in": body}}


def _size(items: Any) -> Expression:
    return {"$size": items}


def _total(items: str, number: Any) -> Expression:
    return {"$sum": {"$map": {"input": items, "as": "one", "in": number}}}


SCORES = _scores()
