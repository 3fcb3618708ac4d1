"""HTTP function: the two pages for people who are signed in with Entra ID."""

import azure.functions as func


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Answer `GET`, `HEAD` and `POST` below `/api/portal`."""
    # Imported here, because the libraries behind it would slow the load of the function.
    from shared.portal import Request, answer  # noqa: PLC0415

    result = answer(
        Request(
            method=req.method,
            path=req.route_params.get("path") or "",
            query=dict(req.params),
            headers=dict(req.headers),
            body=req.get_body(),
        )
    )
    return func.HttpResponse(
        result.body, status_code=result.status, mimetype=result.mimetype, headers=result.headers
    )
