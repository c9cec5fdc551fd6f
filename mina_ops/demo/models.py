"""The demo's tables: users, sessions and segments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String, Text, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

ADMIN_ROLES = frozenset({"admin", "owner"})
BUSY_TIMEOUT_MS = 5_000


class Base(DeclarativeBase):
    """Root of the demo's tables."""


db = SQLAlchemy(model_class=Base)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class User(UserMixin, Base):
    """Somebody who may log in; `role` is `user`, `admin` or `owner`."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20), default="user")

    @property
    def is_admin(self) -> bool:
        """True for the roles that may operate the app."""
        return self.role in ADMIN_ROLES

    def set_password(self, password: str) -> None:
        """Keep a salted hash of the password."""
        self.password_hash = generate_password_hash(password)

    def has_password(self, password: str) -> bool:
        """True if this is the user's password."""
        return check_password_hash(self.password_hash, password)


class MeetingSession(Base):
    """One recorded conversation; `status` goes from `active` to `finalized`."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), default="active", index=True)
    summary: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    finalized_at: Mapped[datetime | None]
    request_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    segments: Mapped[list[Segment]] = relationship(
        cascade="all, delete-orphan", order_by="Segment.id", passive_deletes=True
    )


class Segment(Base):
    """A stretch of transcript; `edited_text` is new in v2.5.0 and unknown to v2.4.5."""

    __tablename__ = "segments"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    text: Mapped[str] = mapped_column(Text)
    speaker: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=_now)
    request_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    edited_text: Mapped[str | None] = mapped_column(Text)


def share_sqlite(engine: Engine) -> None:
    """Let the processes of both colours write one SQLite file: WAL and a busy timeout."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
