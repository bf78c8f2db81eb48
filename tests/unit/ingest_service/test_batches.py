"""`POST /api/leads/batch`: each lead has its result, and all that are good share one message."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ingest_service.batches import BODY_BYTES, MESSAGE_BYTES
from ingest_service.idempotency import hash_of_key
from shared.times import parse_time
from tests.factories import lead_body
from tests.fakes import FakeProducer
from tests.unit.shared.refusals import EMAIL, OPTIONAL

Headers = dict[str, str]
URL = "/api/leads/batch"
BAD = {"email": "x"}


def post(client: FlaskClient, headers: Headers, *leads: Any, query: str = "") -> TestResponse:
    return client.post(URL + query, json={"leads": leads}, headers=headers)


def some_leads(number: int) -> list[dict[str, Any]]:
    return [lead_body() for _ in range(number)]


def test_good_leads_are_all_accepted_in_one_message(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer, partner: int
) -> None:
    leads = [lead_body(**OPTIONAL), *some_leads(2)]
    response = post(ingest, headers | {"X-Request-ID": "mine"}, *leads)
    assert response.status_code == 201
    body = response.get_json()
    data = body.pop("data")
    assert body == {"status": "success", "code": 201, "message": "3 of 3 leads accepted"}
    assert (data["accepted"], data["rejected"]) == (3, 0)
    assert (data["status"], data["durability"]) == ("queued", "broker")
    (batch,) = producer.batches()
    assert [lead.content for lead in batch.leads] == leads
    assert {(lead.client_id, lead.request_id, lead.key_hash) for lead in batch.leads} == {
        (partner, "mine", None)
    }
    assert {lead.received_at for lead in batch.leads} == {parse_time(data["receivedAt"])}
    assert data["results"] == [
        {"index": 0, "id": str(batch.leads[0].id), "clientReference": "ref-1"},
        {"index": 1, "id": str(batch.leads[1].id)},
        {"index": 2, "id": str(batch.leads[2].id)},
    ]
    assert {UUID(result["id"]).version for result in data["results"]} == {7}


def test_a_bad_lead_is_rejected_and_the_others_are_accepted(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    first, last = some_leads(2)
    response = post(ingest, headers, first, lead_body(clientReference="b", **BAD), 7, last)
    assert response.status_code == 207
    body = response.get_json()
    assert (body["status"], body["code"], body["message"]) == ("success", 207, "2 of 4 leads accepted")
    data = body["data"]
    assert (data["accepted"], data["rejected"]) == (2, 2)
    assert data["results"][1:3] == [
        {"index": 1, "errors": {"email": EMAIL}, "clientReference": "b"},
        {"index": 2, "errors": {"lead": ["This value should be an object"]}},
    ]
    assert [lead.content for lead in producer.batches()[0].leads] == [first, last]
    assert [result["index"] for result in data["results"]] == [0, 1, 2, 3]


def test_if_every_lead_is_bad_the_answer_is_an_error_with_their_results(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    response = post(ingest, headers, lead_body(**BAD), lead_body(**BAD))
    assert response.status_code == 400
    data = {
        "status": "rejected",
        "accepted": 0,
        "rejected": 2,
        "durability": None,
        "receivedAt": None,
        "results": [{"index": index, "errors": {"email": EMAIL}} for index in range(2)],
    }
    assert response.get_json() == {
        "status": "error",
        "code": 400,
        "message": "No lead is valid",
        "data": data,
    }
    problem = post(ingest, headers | {"Accept": "application/problem+json"}, lead_body(**BAD))
    assert problem.mimetype == "application/problem+json"
    assert problem.get_json()["data"]["results"] == data["results"][:1]
    assert producer.bodies == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{}", "the list `leads`"),
        (b"[]", "a JSON object with a list `leads`"),
        (b'{"leads":{}}', "a list as `leads`"),
        (b'{"leads":null}', "a list as `leads`"),
        (b'{"leads":[]}', "no leads"),
        (b'{"leads":[{}],"test":true}', "nothing else"),
        (b'{"leads":[{}', "Malformed JSON|a comma or the end of the list"),
        (b'{"leads":[{"a":1,"a":2}]}', "twice"),
        (b"", "a JSON object"),
        (json.dumps({"leads": [{}] * 1001}).encode(), "more than 1000 leads"),
    ],
)
def test_a_fault_of_the_batch_itself_is_a_plain_error(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer, body: bytes, fault: str
) -> None:
    response = ingest.post(URL, data=body, content_type="application/json", headers=headers)
    assert response.status_code == 400
    answer = response.get_json()
    assert set(answer) == {"status", "code", "message", "errors"}
    (message,) = answer["errors"].pop("leads")
    assert any(words in message for words in fault.split("|")), message
    assert answer["errors"] == {}
    assert producer.bodies == []


def test_a_thousand_leads_may_be_sent_at_once(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    data = post(ingest, headers, *some_leads(1000)).get_json()["data"]
    (batch,) = producer.batches()
    assert [str(lead.id) for lead in batch.leads] == [result["id"] for result in data["results"]]
    assert data["accepted"] == 1000


def test_a_batch_may_be_longer_than_a_lead_but_not_by_any_length(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    leads = [lead_body(additionalData={"text": "x" * 15_000}) for _ in range(100)]
    assert post(ingest, headers, *leads).status_code == 201
    body = json.dumps({"leads": some_leads(1)}).encode()
    fitting = body + b" " * (BODY_BYTES - len(body))
    for url, padding, code in ((URL, b"", 201), (URL, b" ", 413), ("/api/leads", b"", 413)):
        options: dict[str, Any] = {"content_type": "application/json", "headers": headers}
        assert ingest.post(url, data=fitting + padding, **options).status_code == code


def test_a_csv_that_grows_too_long_for_a_message_is_refused(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    lead = lead_body(additionalData=None)
    names = [*lead, *(f"{number}{'x' * 300}" for number in range(50))]
    row = ",".join([*lead.values(), *"y" * 50])
    rows = MESSAGE_BYTES // (50 * 300) + 1
    body = "\n".join([",".join(names), *[row] * rows])
    response = ingest.post(URL, data=body, content_type="text/csv", headers=headers)
    assert response.status_code == 413
    assert producer.bodies == []


def test_one_lead_may_not_be_longer_than_one_that_is_posted_alone(
    ingest: FlaskClient, headers: Headers
) -> None:
    response = post(ingest, headers, lead_body(), lead_body(city="x" * 1024 * 1024))
    assert response.status_code == 207
    assert response.get_json()["data"]["results"][1]["errors"] == {
        "lead": ["This value is longer than 1048576 bytes"]
    }


def test_unknown_fields_are_named_lead_by_lead_or_refused_if_wanted(
    ingest: FlaskClient, headers: Headers
) -> None:
    leads = [lead_body(utm="x"), lead_body()]
    kept, strict = (post(ingest, headers, *leads, query=query) for query in ("", "?strict=true"))
    assert kept.status_code == 201
    results = kept.get_json()["data"]["results"]
    assert results[0]["warnings"] == ["Unknown field `utm` is kept under additionalData"]
    assert "warnings" not in results[1]
    assert strict.status_code == 207
    assert strict.get_json()["data"]["results"][0]["errors"] == {"utm": ["Unknown field."]}


def test_a_batch_may_be_tried_first(ingest: FlaskClient, headers: Headers, producer: FakeProducer) -> None:
    producer.refuse = "gone"
    dry = post(ingest, headers, *some_leads(2), query="?dryRun=true")
    assert dry.status_code == 200
    assert dry.get_json() == {
        "status": "success",
        "code": 200,
        "message": "2 of 2 leads valid",
        "data": {
            "status": "valid",
            "accepted": 2,
            "rejected": 0,
            "durability": None,
            "receivedAt": None,
            "results": [{"index": 0, "id": None}, {"index": 1, "id": None}],
        },
    }
    assert post(ingest, headers, lead_body(), BAD, query="?dryRun=true").status_code == 207
    assert post(ingest, headers, BAD, query="?dryRun=true").status_code == 400


def test_if_no_confirm_comes_no_lead_is_accepted(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    producer.refuse = "gone"
    response = post(ingest, headers, *some_leads(2))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "data" not in response.get_json()


def test_a_batch_counts_as_one_request(ingest: FlaskClient, headers: Headers) -> None:
    left = [int(post(ingest, headers, *some_leads(50)).headers["X-RateLimit-Remaining"]) for _ in range(2)]
    assert left[0] - left[1] == 1


def test_nobody_posts_a_batch_without_signing_in(ingest: FlaskClient) -> None:
    assert post(ingest, {}, lead_body()).status_code == 401


def test_a_lead_is_known_by_the_key_and_its_place(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    sent = headers | {"Idempotency-Key": "a"}
    leads = [lead_body(), BAD, lead_body(idempotencyKey="own"), lead_body()]
    first, again = (post(ingest, sent, *leads).get_json()["data"]["results"] for _ in range(2))
    assert first == again
    hashes = [lead.key_hash for lead in producer.batches()[0].leads]
    assert hashes == [hash_of_key("a", 0), hash_of_key("own"), hash_of_key("a", 3)]
    single = ingest.post("/api/leads", json=lead_body(), headers=headers | {"Idempotency-Key": "own"})
    assert single.get_json()["data"]["id"] == first[2]["id"]
