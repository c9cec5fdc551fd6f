"""Clients hear a class; no exception's text, no password."""

from __future__ import annotations

import socket

import httpx
import openai
import psycopg
import pytest
import redis
import sqlalchemy.exc

from mina_ops.app.health.faults import CLASSES, classify, describe
from mina_ops.app.health.model import Unhealthy
from mina_ops.errors import StateUnavailable


def _caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


_REQUEST = httpx.Request("GET", "http://ai.test/v1/models")


def _operational(text: str) -> sqlalchemy.exc.OperationalError:
    return sqlalchemy.exc.OperationalError("SELECT 1", None, psycopg.OperationalError(text))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "timeout"),
        (redis.TimeoutError("Timeout reading from socket"), "timeout"),
        (httpx.ReadTimeout("x"), "timeout"),
        (openai.APITimeoutError(request=_REQUEST), "timeout"),
        (psycopg.errors.QueryCanceled("statement timeout"), "timeout"),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), "timeout"),
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        (_operational("connection to server at 127.0.0.1 failed: Connection refused"), "refused"),
        (redis.ConnectionError("Error 111 connecting to h:1. Connection refused."), "refused"),
        (redis.AuthenticationError("invalid username-password pair"), "auth"),
        (_operational('FATAL:  password authentication failed for user "mina"'), "auth"),
        (psycopg.errors.InvalidPassword("no"), "auth"),
        (Unhealthy("listing models answered 401", error="auth"), "auth"),
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (_operational('failed to resolve host "db": Name or service not known'), "dns"),
        (sqlalchemy.exc.TimeoutError("QueuePool limit of size 5 reached"), "pool_exhausted"),
        (_operational("FATAL:  sorry, too many clients already"), "pool_exhausted"),
        (psycopg.errors.TooManyConnections("too many"), "pool_exhausted"),
        (Unhealthy("429", error="rate_limited"), "rate_limited"),
        (ValueError("what"), "error"),
        (Unhealthy("the check returned False"), "error"),
        (StateUnavailable("Redis did not serve us"), "error"),
        (_caused(StateUnavailable("x"), redis.TimeoutError("t")), "timeout"),
        (_caused(StateUnavailable("x"), redis.ConnectionError("Connection refused.")), "refused"),
    ],
)
def test_an_exception_has_one_of_the_contracts_classes(error: Exception, expected: str) -> None:
    assert classify(error) == expected
    assert expected in CLASSES


def test_an_exception_that_is_its_own_cause_ends() -> None:
    error = ValueError("loop")
    other = RuntimeError("loop")
    error.__cause__, other.__cause__ = other, error
    assert classify(error) == "error"


@pytest.mark.parametrize(
    "secret", ["postgresql://mina:hunter2@db/x", "password=hunter2 host=db", "Bearer hunter2"]
)
def test_the_text_for_admins_holds_no_password(secret: str) -> None:
    told = describe(RuntimeError(f"could not connect: {secret}"))
    assert "could not connect" in told
    assert "hunter2" not in told
