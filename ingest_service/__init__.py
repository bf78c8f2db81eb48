"""The ingest service: takes leads over HTTP and answers 201 once they are durable in the queue."""

from __future__ import annotations

from uuid import uuid4

from flask import Flask

from ingest_service import batches, leads
from ingest_service.stored_duplicates import stored_duplicates_of
from shared.api_docs import publish_api
from shared.api_log import ApiLog
from shared.database import open_database
from shared.identity import Identity
from shared.keys import KeyRing
from shared.offload import one_thread
from shared.passwords import Passwords
from shared.predecessors import Records, records_folder
from shared.publisher import Publisher
from shared.queues import Producer, open_log_producer, open_producer
from shared.running import runs_beside
from shared.settings import Settings, read_settings
from shared.web_service import web_service

API = "Takes leads: 201 says that one is durable. They read back from the admin service, `/admin/api/docs`."


def create_app(
    settings: Settings | None = None,
    *,
    producer: Producer | None = None,
    log_producer: Producer | None = None,
    identity: Identity | None = None,
    keys: KeyRing | None = None,
    passwords: Passwords | None = None,
) -> Flask:
    """The composition root. What is not given is built from `settings`, those from the environment.

    Nothing connects before `start` is called (ingest_service/wsgi.py does).
    """
    settings = settings or read_settings()
    producer_id = uuid4()
    producer = producer or open_producer(settings, producer_id, one_thread())
    identity = identity or Identity(open_database(settings.leads_database_url, one_thread()))
    records = Records(records_folder(settings), producer_id)
    publisher = Publisher(producer, producer_id, records=records)

    api_log = ApiLog(log_producer or open_log_producer(settings, one_thread()), settings.api_log)

    def fault() -> str | None:
        if not publisher.is_ready():
            return "the queue cannot be reached"
        if not identity.is_loaded():
            return "the users could not be read from the database yet"
        return None

    app = web_service(__name__, settings, identity, fault, api_log, keys=keys, passwords=passwords)
    app.extensions["leadgate.publisher"] = publisher
    app.extensions["leadgate.stored_duplicates"] = stored_duplicates_of(settings)
    app.register_blueprint(leads.blueprint)
    app.register_blueprint(batches.blueprint)
    publish_api(app, "/api", "Leadgate ingest", API)
    runs_beside(app, api_log, identity, publisher)  # leads are published first at a stop
    return app
