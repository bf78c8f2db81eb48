"""The ingest service: takes leads over HTTP and answers 201 once they are durable in the queue."""

from __future__ import annotations

from uuid import uuid4

from flask import Flask

from ingest_service import leads
from ingest_service.publisher import Publisher
from shared.access import Access
from shared.database import open_database
from shared.errors import init_errors
from shared.health import health_blueprint
from shared.identity import Identity
from shared.keys import KeyRing
from shared.limits import Limits
from shared.offload import one_thread
from shared.passwords import Passwords
from shared.queues import Producer, open_producer
from shared.request_ids import init_request_ids
from shared.running import runs_beside
from shared.settings import Settings, read_settings
from shared.signing_in import signing_in_blueprint

MAX_BODY_BYTES = 1024 * 1024


def create_app(
    settings: Settings | None = None,
    *,
    producer: Producer | None = None,
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
    publisher = Publisher(producer, producer_id)

    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False
    init_request_ids(app)
    init_errors(app)
    limits = Limits(app, settings.rate_limit_per_minute, settings.redis_url)
    Access(app, identity, keys or KeyRing(settings.jwt_keys_path), limits)
    app.extensions["leadgate.publisher"] = publisher
    app.register_blueprint(signing_in_blueprint(passwords or Passwords(one_thread())))
    app.register_blueprint(health_blueprint(lambda: _fault(publisher, identity)))
    app.register_blueprint(leads.blueprint)
    runs_beside(app, identity, publisher)
    return app


def _fault(publisher: Publisher, identity: Identity) -> str | None:
    if not publisher.is_ready():
        return "the queue cannot be reached"
    if not identity.is_loaded():
        return "the users could not be read from the database yet"
    return None
