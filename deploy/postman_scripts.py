"""The scripts in the Postman collection: signing in, and looking at each answer."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

# What a request leaves behind for those after it: a variable, and where it stands in the answer. A list that
# is empty is asked for again.
SAVED = {
    "post_lead": ("lead_id", "data.id"),
    "post_user": ("user_id", "data.id"),
    "post_access_token": ("token_id", "id"),
    "list_logs": ("request_id", "data.items[0]?.requestId"),
}
# Words that say nothing to a validator, or are of a later draft than Postman's.
SKIPPED = {"examples", "description", "format", "default", "title"}

SIGN_IN = """
// A token is asked for when there is none or when it will not last another minute.
const expires = Number(pm.collectionVariables.get("tokenExpires") || 0);
const user = pm.environment.get("email");
const isGood = Date.now() < expires - 60000 && pm.collectionVariables.get("tokenOf") === user;
if (pm.request.auth?.type !== "noauth" && !isGood) {
    pm.sendRequest({
        url: pm.environment.get("baseUrl") + "/api/login_check",
        method: "POST",
        header: {"Content-Type": "application/json"},
        body: {mode: "raw", raw: JSON.stringify({email: user, password: pm.environment.get("password")})},
    }, (error, answer) => {
        if (error || answer.code !== 200) {
            console.error("Signing in failed: is the right environment chosen?", error || answer.text());
            return;
        }
        pm.environment.set("token", answer.json().token);
        pm.collectionVariables.set("tokenExpires", String(Date.now() + answer.json().expiresIn * 1000));
        pm.collectionVariables.set("tokenOf", user);
    });
}
"""

SAVE = """
const found = pm.response.json().PLACE;
const tries = Number(pm.collectionVariables.get("tries") || 0);
if (found === undefined && tries < 50) {
    pm.collectionVariables.set("tries", String(tries + 1));
    setTimeout(() => pm.execution.setNextRequest(pm.info.requestId), 200);
} else {
    pm.collectionVariables.set("tries", "0");
    pm.environment.set("VARIABLE", found);
}
"""

CHECK_ALL = """
pm.test("the answer has a request id", () => pm.response.to.have.header("X-Request-ID"));
"""


def check_script(words: Json, document: Json) -> str:
    """Looks at the answer to an operation: a status of success, the body as the document has it."""
    good = {int(status): answer for status, answer in words["responses"].items() if int(status) < 400}
    schemas = {}
    for status, answer in good.items():
        for media_type, content in answer.get("content", {}).items():
            if media_type == "application/json":
                schemas[status] = _inlined(content["schema"], document)
    lines = [
        f'pm.test("it succeeds", () => pm.expect(pm.response.code).to.be.oneOf({json.dumps(sorted(good))}));'
    ]
    if schemas:
        lines += [
            f"const schemas = {json.dumps(schemas, indent=1)};",
            'pm.test("the body is what the document says", () => {',
            "    pm.response.to.have.jsonSchema(schemas[pm.response.code]);",
            "});",
        ]
    if words["operationId"] in SAVED:
        variable, place = SAVED[words["operationId"]]
        lines.append(SAVE.replace("PLACE", place).replace("VARIABLE", variable).strip())
    return "\n".join(lines)


def _inlined(schema: Any, document: Json) -> Any:
    """The schema without references and without words that only people read."""
    if isinstance(schema, list):
        return [_inlined(item, document) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    # Under `properties` the names are those of fields, whose values are schemas.
    kept = {name: value for name, value in schema.items() if name not in SKIPPED or isinstance(value, dict)}
    return {
        name: value if name in ("const", "enum", "required") else _inlined(value, document)
        for name, value in kept.items()
    }
