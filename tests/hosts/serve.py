"""What gunicorn serves: the host that ZOO_HOST names, bare with ZOO_BARE=1."""

from __future__ import annotations

import os

from tests.hosts.host import make

app = make(os.environ["ZOO_HOST"], bare=os.environ.get("ZOO_BARE") == "1")
celery = app.extensions.get("celery")
