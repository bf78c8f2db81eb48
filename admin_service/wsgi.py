"""What gunicorn serves: `gunicorn -c deploy/gunicorn.conf.py admin_service.wsgi:app`."""

from admin_service import create_app
from shared.observability import start_logging
from shared.running import start
from shared.settings import read_settings

_settings = read_settings()
start_logging(_settings, "admin service")
app = create_app(_settings)
start(app)
