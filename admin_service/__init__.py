"""The admin service: reads leads back and manages who may sign in."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from admin_service import leads
from admin_service.commands import init_commands
from shared.access import Access
from shared.database import open_database
from shared.errors import init_errors
from shared.health import health_blueprint
from shared.identity import Identity
from shared.keys import KeyRing
from shared.limits import Limits
from shared.models import identity_version
from shared.offload import one_thread
from shared.passwords import Passwords
from shared.request_ids import init_request_ids
from shared.running import runs_beside
from shared.settings import Settings, read_settings
from shared.signing_in import signing_in_blueprint

MAX_BODY_BYTES = 1024 * 1024


def create_app(
    settings: Settings | None = None,
    *,
    engine: Engine | None = None,
    identity: Identity | None = None,
    keys: KeyRing | None = None,
    passwords: Passwords | None = None,
) -> Flask:
    """The composition root. What is not given is built from `settings`, those from the environment.

    Nothing connects before `start` is called (admin_service/wsgi.py does) or a command runs.
    """
    settings = settings or read_settings()
    engine = engine or open_database(settings.leads_database_url, one_thread())
    identity = identity or Identity(engine)

    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, SETTINGS=settings)
    app.url_map.strict_slashes = False
    app.extensions["leadgate.engine"] = engine
    init_request_ids(app)
    init_errors(app)
    limits = Limits(app, settings.rate_limit_per_minute, settings.redis_url)
    Access(app, identity, keys or KeyRing(settings.jwt_keys_path), limits)
    app.register_blueprint(signing_in_blueprint(passwords or Passwords(one_thread())))
    app.register_blueprint(health_blueprint(lambda: _fault(engine)))
    app.register_blueprint(leads.blueprint)
    runs_beside(app, identity)
    init_commands(app)
    return app


def _fault(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            connection.execute(select(identity_version))
    except SQLAlchemyError:
        return "the database cannot be read (its tables come with `flask --app admin_service db upgrade`)"
    return None
