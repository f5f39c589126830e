"""`GET /api/executions/{id}/export`: everything of one execution, as one document."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.ingress import edge
from services.ingress.why import explained, shown
from shared.api.executions import Exported
from shared.export import export
from shared.openapi.operations import on


async def get_export(request: Request) -> Response:
    """One JSON document, sent page by page. If it cannot be finished the connection breaks off, and half of it is no JSON."""
    deps, tenant = edge.known(request)
    execution = request.path_params["id"]
    why = shown(*await explained(deps, tenant, execution))
    parts = await export(deps.reader, execution, tenant, why=why)
    headers = {"Content-Disposition": f'attachment; filename="{execution}.json"'}
    return StreamingResponse(parts, media_type="application/json", headers=headers)


ROUTES: Final = [on("GET", "/api/executions/{id}/export", get_export, Exported)]
