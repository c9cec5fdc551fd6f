"""How a user of a kubeconfig proves who it is: a token, a password, or a program that is asked."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.system import programs

_PROGRAM_SECONDS = 20.0
# A new token is asked for this long before the present one ends.
_SPARE_SECONDS = 30.0
_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{v}" for v in ("v1", "v1beta1"))


def token_in(file: Path) -> Callable[[], str]:
    """The token in a file, read for each request."""

    def ask() -> str:
        try:
            return f"Bearer {file.read_text(encoding='utf-8').strip()}"
        except OSError as exc:
            raise ConfigurationError(f"{file} cannot be read: {exc.strerror}.") from exc

    return ask


def of_user(user: Mapping[str, Any], file: Path) -> Callable[[], str]:
    """The authorization of a kubeconfig's user; one with a certificate alone needs none.

    Raises:
        ConfigurationError: it has a kind of proof that is not known here.
    """
    if token_file := user.get("tokenFile"):
        return token_in(file.parent / Path(str(token_file)).expanduser())
    if token := user.get("token"):
        return lambda: f"Bearer {token}"
    if isinstance(user.get("exec"), dict):
        return _Program(user["exec"], file)
    if "username" in user:
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        basic = f"Basic {base64.b64encode(pair).decode()}"
        return lambda: basic
    if "auth-provider" in user:
        raise ConfigurationError(
            f"{file}: auth-provider was taken out of Kubernetes; use its `exec` successor."
        )
    return str


class _Program:
    """Asks the program of `exec` for a token, and again shortly before that ends."""

    def __init__(self, wish: Mapping[str, Any], file: Path) -> None:
        self._version = str(wish.get("apiVersion"))
        if self._version not in _EXEC_VERSIONS:
            known = " or ".join(_EXEC_VERSIONS)
            raise ConfigurationError(f"{file}: exec.apiVersion is {self._version}, not {known}.")
        self._command = str(wish.get("command", ""))
        self._arguments = [str(one) for one in wish.get("args") or []]
        self._variables = {str(v["name"]): str(v["value"]) for v in wish.get("env") or []}
        self._folder = file.parent
        self._token = ""
        self._until: float | None = 0.0

    def __call__(self) -> str:
        now = datetime.now(UTC).timestamp()
        if not self._token or (self._until is not None and now > self._until - _SPARE_SECONDS):
            self._ask()
        return f"Bearer {self._token}"

    def _ask(self) -> None:
        info = {"apiVersion": self._version, "kind": "ExecCredential"}
        said = json.dumps({**info, "spec": {"interactive": False}})
        given = {**self._variables, "KUBERNETES_EXEC_INFO": said}
        command = self._command
        if os.sep in command:
            command = str(self._folder / command)
        try:
            argv = [command, *self._arguments]
            result = programs.run(argv, timeout_seconds=_PROGRAM_SECONDS, environment=given)
            status = json.loads(result.stdout)["status"]
            self._token = str(status["token"])
            until = status.get("expirationTimestamp")
            self._until = None if until is None else datetime.fromisoformat(until).timestamp()
        except (OperatorError, ValueError, KeyError, TypeError) as exc:
            raise ConfigurationError(
                f"`{self._command}`, which the kubeconfig names, gives no token; run it by hand."
            ) from exc
