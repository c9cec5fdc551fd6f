"""The demo's HTTP API: sessions, their segments, and what the model makes of them.

Writes take an `Idempotency-Key`: a repeat with the same key answers like the first and changes
nothing, so a client may retry when a connection broke.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from mina_ops.demo.insights import InsightsFailed
from mina_ops.demo.models import MeetingSession, Segment, db
from mina_ops.demo.parts import parts

_Row = TypeVar("_Row", MeetingSession, Segment)

REPLAY_FLAG = "enable_audio_replay"

bp = Blueprint("api", __name__, url_prefix="/api/sessions")


@bp.before_request
def require_login() -> ResponseReturnValue | None:
    """Refuse guests with 401."""
    if current_user.is_authenticated:
        return None
    return jsonify(error="not_authenticated"), 401


@bp.post("")
def create_session() -> ResponseReturnValue:
    """Begin a session; `title` is optional."""
    session = MeetingSession(
        user_id=current_user.id,
        title=_text(_body(), "title", "Untitled", 200),
        status="active",
        request_key=_request_key(),
    )
    session = _add_once(session)
    return jsonify(session_id=session.id, status=session.status), 201


@bp.get("")
def list_sessions() -> ResponseReturnValue:
    """The caller's latest sessions, at most 50."""
    rows = db.session.scalars(
        select(MeetingSession)
        .filter_by(user_id=current_user.id)
        .order_by(MeetingSession.id.desc())
        .limit(50)
    )
    return jsonify(sessions=[_summary_of(session) for session in rows])


@bp.get("/<int:session_id>")
def show_session(session_id: int) -> ResponseReturnValue:
    """A session with its segments and its summary."""
    session = _own(session_id)
    segments = [
        {"segment_id": segment.id, "text": segment.text, "speaker": segment.speaker}
        for segment in session.segments
    ]
    return jsonify(**_summary_of(session), summary=session.summary, segments=segments)


@bp.post("/<int:session_id>/segments")
def create_segment(session_id: int) -> ResponseReturnValue:
    """Append a stretch of transcript."""
    body, session = _body(), _own(session_id)
    if session.status != "active":
        return jsonify(error="session_finalized"), 409
    segment = Segment(
        session_id=session.id,
        text=_text(body, "text", "", 10_000),
        speaker=_text(body, "speaker", "", 80),
        request_key=_request_key(),
    )
    # What a client did wrong, above, says nothing of how well we transcribe.
    with parts().ops.outcome("transcription"):
        segment = _add_once(segment)
    return jsonify(segment_id=segment.id, status="created"), 201


@bp.post("/<int:session_id>/finalize")
def finalize(session_id: int) -> ResponseReturnValue:
    """End a session and summarise it; a repeat changes nothing, but tries for a missing summary."""
    session = _own(session_id)
    lines = [f"{segment.speaker}: {segment.text}" for segment in session.segments]
    # No transaction stays open while the model is asked: SQLite lets one write at a time.
    db.session.rollback()
    if session.summary is None:
        with parts().ops.hold("summary", str(session_id)):
            summary = _try_to_summarise(lines)
        session.summary = summary
    session.status = "finalized"
    session.finalized_at = session.finalized_at or datetime.now(UTC).replace(tzinfo=None)
    generated = session.summary is not None
    db.session.commit()
    return jsonify(status="finalized", summary_generated=generated)


@bp.get("/<int:session_id>/replay")
def replay(session_id: int) -> ResponseReturnValue:
    """The session's audio, new in v2.5.0: 404 until the flag is on for the caller."""
    if not parts().ops.flags.is_enabled(REPLAY_FLAG, unit=str(current_user.id)):
        abort(404)
    session = _own(session_id)
    return jsonify(session_id=session.id, segments=len(session.segments), format="opus")


@bp.delete("/<int:session_id>")
def delete_session(session_id: int) -> ResponseReturnValue:
    """Remove a session with its segments."""
    db.session.delete(_own(session_id))
    db.session.commit()
    return jsonify(session_id=session_id, status="deleted")


def count_active() -> int:
    """How many sessions are going on; needs an app context."""
    query = select(func.count()).select_from(MeetingSession).filter_by(status="active")
    return db.session.scalar(query) or 0


def _try_to_summarise(lines: list[str]) -> str | None:
    demo = parts()
    try:
        with demo.ops.outcome("ai_insights"):
            return demo.insights.summarise(lines)
    except InsightsFailed as exc:
        current_app.logger.warning("no summary: %s", exc)
        return None


def _own(session_id: int) -> MeetingSession:
    session = db.session.get(MeetingSession, session_id)
    if session is None or (session.user_id != current_user.id and not current_user.is_admin):
        abort(404)
    return session


def _body() -> dict[str, Any]:
    # The playbook's lines use `curl -d`, which sends JSON with the content type of a form.
    body = request.get_json(force=True, silent=True)
    if body is None and not request.get_data():
        return {}
    if not isinstance(body, dict):
        abort(400, "The body has to be a JSON object.")
    return body


def _text(body: dict[str, Any], key: str, default: str, longest: int) -> str:
    value = body.get(key, default)
    if not isinstance(value, str) or len(value) > longest:
        abort(400, f"{key} has to be text of up to {longest} characters.")
    return value


def _request_key() -> str | None:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 64:
        abort(400, "Idempotency-Key has up to 64 characters.")
    return f"{current_user.id}:{key}" if key else None


def _add_once(row: _Row) -> _Row:
    """The stored row; if one with the same Idempotency-Key is there already, that one."""
    table, key = type(row), row.request_key
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        earlier = db.session.scalar(select(table).filter_by(request_key=key)) if key else None
        if earlier is None:
            raise
        return earlier
    return row


def _summary_of(session: MeetingSession) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "title": session.title,
        "status": session.status,
        "created_at": session.created_at.isoformat() + "Z",
    }
