"""The application that `prismicx up` serves."""

from __future__ import annotations

from fastapi import FastAPI, Response

from prismicx import doctor
from prismicx.reference.apply import RELEASE
from prismicx.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application of one platform."""
    app = FastAPI(title="PrismicX", version=RELEASE, docs_url=None, redoc_url=None)

    @app.get("/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get(
        "/health/ready",
        summary="Both engines answer and the reference is applied",
        responses={503: {"description": "Something does not answer; the body names it"}},
    )
    async def ready(response: Response) -> dict[str, object]:
        state = await doctor.state(settings)
        if not state.serving:
            response.status_code = 503
        return {
            "status": "ready" if state.serving else "not ready",
            "postgres": state.postgres.problem.code if state.postgres.problem else "ready",
            "mongo": state.mongo.problem.code if state.mongo.problem else "ready",
            "keys": state.keys.problem.code if state.keys.problem else "ready",
            "reference": "applied" if state.applied else "not applied",
        }

    return app
