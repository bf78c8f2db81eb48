"""`python -m deploy.prepare`: what must be there before the parts start. Migrates; in development also
makes a JWT key and the demo users if they are missing."""

from __future__ import annotations

import sys

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from admin_service.user_records import create_user, find_user_id
from shared.database import open_database, writing
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.keys import has_key, make_key
from shared.migrations import upgrade_database
from shared.passwords import Passwords
from shared.settings import DEMO_PASSWORD, masked, read_settings
from shared.times import utc_now

DEMO_USERS = {"test@example.com": ROLE_API_CLIENT, "admin@example.com": ROLE_ADMIN}


def main() -> int:
    """0, or 1 with the reason as the last line of standard error."""
    settings = read_settings()
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        engine = open_database(settings.leads_database_url)
        upgrade_database(settings.leads_database_url)
        if settings.app_env == "development":
            if not has_key(settings.jwt_keys_path):
                make_key(settings.jwt_keys_path, utc_now())
            _make_demo_users(engine)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        where = masked(settings.leads_database_url)
        print(f"DATABASE_URL: {where} cannot be used: {cause}".splitlines()[0], file=sys.stderr)
        return 1
    except OSError as error:
        print(f"DATA_DIR: {error}", file=sys.stderr)
        return 1
    return 0


def _make_demo_users(engine: Engine) -> None:
    passwords = Passwords()
    with writing(engine).begin() as connection:
        for email, role in DEMO_USERS.items():
            if find_user_id(connection, email) is None:
                password_hash = passwords.hash(DEMO_PASSWORD)
                values = {"email": email, "password_hash": password_hash, "roles": [role]}
                create_user(connection, values | {"full_name": "Demo user"})


if __name__ == "__main__":
    sys.exit(main())
