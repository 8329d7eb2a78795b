"""Who may ask the Prefect server that is started here."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from debias.flows.prefect_server import guarded


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:4200"}, 200),
        ({"host": "127.0.0.1:4200", "origin": "http://localhost:4200"}, 200),
        ({"host": "[::1]:4200"}, 200),
        ({"host": "rebound.example:4200"}, 403),
        ({"host": "127.0.0.1.rebound.example"}, 403),
        ({"host": "localhost:4200", "origin": "http://elsewhere.example"}, 403),
        ({"host": "localhost:4200", "origin": "null"}, 403),
    ],
)
def test_it_answers_to_its_own_names_only(headers, status):
    create = guarded(Starlette)
    app = create()
    app.add_route("/", lambda request: PlainTextResponse("api"), methods=["POST"])
    assert TestClient(app).post("/", headers=headers).status_code == status
