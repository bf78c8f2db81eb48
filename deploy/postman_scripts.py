"""The scripts in the Postman collection: signing in, and looking at each answer."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

Json = dict[str, Any]


class Saved(NamedTuple):
    """A variable, and where it stands in an answer. In time it will be there, unless it `may_lack`: then the
    requests that need it are skipped."""

    variable: str
    place: str
    may_lack: bool = False


# What operations leave behind for those after them.
SAVED = {
    "post_lead": Saved("lead_id", "data.id"),
    "post_user": Saved("user_id", "data.id"),
    "post_access_token": Saved("token_id", "id"),
    "list_logs": Saved("request_id", "data.items[0]?.requestId"),
    "list_quarantined": Saved("quarantine_id", "data.items[0]?.id", may_lack=True),
}
MAY_LACK = {saved.variable for saved in SAVED.values() if saved.may_lack}
CONFLICT = 409  # what may lack may have been dealt with already
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

SKIP = """
if (!pm.environment.get("VARIABLE")) {
    pm.execution.skipRequest();
}
"""

WAIT_AND_SAVE = """
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

SAVE_IF_THERE = """
pm.environment.set("VARIABLE", pm.response.json().PLACE || "");
"""

CHECK_ALL = """
pm.test("the answer has a request id", () => pm.response.to.have.header("X-Request-ID"));
"""


def skip_script(path: str) -> str:
    """Skips an operation that needs what is not there; nothing for all others."""
    needed = MAY_LACK.intersection(re.findall(r"{(\w+)}", path))
    return "".join(SKIP.replace("VARIABLE", variable) for variable in sorted(needed))


def check_script(path: str, words: Json, document: Json) -> str:
    """Looks at the answer to an operation: a status of success, the body as the document has it."""
    good = {int(status): answer for status, answer in words["responses"].items() if int(status) < 400}
    schemas = {}
    for status, answer in good.items():
        for media_type, content in answer.get("content", {}).items():
            if media_type == "application/json":
                schemas[status] = _inlined(content["schema"], document)
    statuses = [
        *sorted(good),
        *([CONFLICT] if skip_script(path) and str(CONFLICT) in words["responses"] else []),
    ]
    lines = [f'pm.test("it succeeds", () => pm.expect(pm.response.code).to.be.oneOf({statuses}));']
    if schemas:
        lines += [
            f"const schemas = {json.dumps(schemas, indent=1)};",
            'pm.test("the body is what the document says", () => {',
            "    pm.response.to.have.jsonSchema(schemas[pm.response.code] || {});",
            "});",
        ]
    if words["operationId"] in SAVED:
        saved = SAVED[words["operationId"]]
        script = SAVE_IF_THERE if saved.may_lack else WAIT_AND_SAVE
        lines.append(script.replace("PLACE", saved.place).replace("VARIABLE", saved.variable).strip())
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
