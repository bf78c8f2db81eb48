"""The admin service: reads leads back and manages who may sign in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import uuid4

from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from admin_service import (
    access_tokens,
    audit,
    exports,
    leads,
    logs,
    quarantine,
    reconciliation,
    stats,
    traces,
    users,
)
from admin_service.commands import init_commands
from shared.api_docs import publish_api
from shared.api_log import ApiLog
from shared.database import open_database
from shared.database_errors import init_database_errors
from shared.identity import Identity
from shared.keys import KeyRing
from shared.models import identity_version
from shared.offload import one_thread
from shared.passwords import Passwords
from shared.predecessors import Records, records_folder
from shared.publisher import Publisher
from shared.queues import Depth, Producer, depth_of_queue, open_log_producer, open_producer
from shared.reading import PATIENCE_SECONDS
from shared.running import runs_beside
from shared.settings import Settings, read_settings
from shared.times import Clock, utc_now
from shared.web_service import web_service

API = "Reads leads back and manages who may sign in. Leads are posted to the ingest service, `/api/docs`."


def create_app(
    settings: Settings | None = None,
    *,
    engine: Engine | None = None,
    producer: Producer | None = None,
    log_producer: Producer | None = None,
    identity: Identity | None = None,
    keys: KeyRing | None = None,
    passwords: Passwords | None = None,
    ask_depth: Callable[[], Depth] | None = None,
    now: Clock = utc_now,
) -> Flask:
    """The composition root. What is not given is built from `settings`, those from the environment.

    Nothing connects before `start` is called (admin_service/wsgi.py does) or a command runs.
    """
    settings = settings or read_settings()
    database = engine or open_database(settings.leads_database_url, one_thread(), patience=PATIENCE_SECONDS)
    identity = identity or Identity(database)
    passwords = passwords or Passwords(one_thread())
    # Leads that come out of quarantine are sent by a producer of its own, with its own numbers.
    producer_id = uuid4()
    producer = producer or open_producer(settings, producer_id, one_thread())
    publisher = Publisher(producer, producer_id, records=Records(records_folder(settings), producer_id))

    api_log = ApiLog(log_producer or open_log_producer(settings, one_thread()), settings.api_log)

    def fault() -> str | None:
        try:
            with database.connect() as connection:
                connection.execute(select(identity_version))
        except SQLAlchemyError:
            return "the database cannot be read (its tables come with `flask --app admin_service db upgrade`)"
        return None

    app = web_service(__name__, settings, identity, fault, api_log, keys=keys, passwords=passwords)
    init_database_errors(app)
    app.extensions["leadgate.engine"] = database
    app.extensions["leadgate.publisher"] = publisher
    app.extensions["leadgate.passwords"] = passwords
    app.extensions["leadgate.depth"] = ask_depth or partial(depth_of_queue, settings, one_thread())
    app.extensions["leadgate.now"] = now
    for blueprint in (
        leads.blueprint,
        exports.blueprint,
        users.blueprint,
        access_tokens.blueprint,
        reconciliation.blueprint,
        stats.blueprint,
        audit.blueprint,
        logs.blueprint,
        quarantine.blueprint,
        traces.blueprint,
    ):
        app.register_blueprint(blueprint)
    publish_api(app, "/admin/api", "Leadgate admin", API)
    runs_beside(app, api_log, identity, publisher)
    init_commands(app)
    return app
