"""What gunicorn serves: `gunicorn -c deploy/gunicorn.conf.py ingest_service.wsgi:app`."""

import gc

from ingest_service import create_app
from shared.observability import start_logging
from shared.running import start
from shared.settings import read_settings

_settings = read_settings()
start_logging(_settings, "ingest service")
app = create_app(_settings)
start(app)
# What is here now stays as long as the process: 150,000 objects that no collection need look at again. And of
# the objects of a request most are gone before ten more have come: looked at every 700, as is Python's
# default, they cost 20 µs a lead.
gc.freeze()
gc.set_threshold(10_000)
