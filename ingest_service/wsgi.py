"""What gunicorn serves: `gunicorn -c deploy/gunicorn.conf.py ingest_service.wsgi:app`."""

from ingest_service import create_app
from shared.observability import start_logging
from shared.running import start
from shared.settings import read_settings

_settings = read_settings()
start_logging(_settings, "ingest service")
app = create_app(_settings)
start(app)
