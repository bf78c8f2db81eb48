"""The floor: a Flask app whose one view answers 201 with a fixed body, on our own gunicorn settings.

It does: everything that gunicorn's worker, Werkzeug and Flask do for any request.
It does not: read the body, know its caller, count, validate, publish, set a header of its own.
"""

from __future__ import annotations

from flask import Flask, Response

from shared.running import runs_beside

ANSWER = b'{"status":"success","code":201,"message":"Lead accepted"}'

app = Flask(__name__, static_folder=None)
runs_beside(app)  # nothing, which our gunicorn settings stop at the end


@app.post("/api/leads")
def post_lead() -> Response:
    return Response(ANSWER, 201, mimetype="application/json")
