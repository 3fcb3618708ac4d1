"""HTTP function: one user on demand, and what is known."""

import azure.functions as func


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Answer `GET` and `POST` on `/api/sync` and `/api/sync/{user}`."""
    # Imported here, because the libraries behind it would slow the load of the function.
    from shared.api import answer  # noqa: PLC0415

    result = answer(req.method, req.route_params.get("user"), req.url, req.get_body())
    return func.HttpResponse(
        result.body, status_code=result.status, mimetype=result.mimetype, headers=result.headers
    )
