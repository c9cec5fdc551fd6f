"""A small host for fleets of real processes: a database and Socket.IO.

DATABASE_URL    its database
REDIS_URL       what mina_ops shares
"""

from __future__ import annotations

import os

from flask import Flask
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy

from mina_ops import MinaOps

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
socketio = SocketIO(app, async_mode="threading")
MinaOps(app, socketio=socketio, db=db)
