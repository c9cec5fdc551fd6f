"""Rotate the app's secrets without a failed request or a lost session.

Both colours run on, so each change comes in stages, each reloaded and verified:

    widen    old and new are both good: the new key may verify cookies, both tokens are known,
             the database has a second role, Redis a second password
    switch   the new ones are used; the old key still verifies the cookies that it signed
    narrow   the old tokens go
    retire   the old role and the old Redis password end

One rotation at a time: a lock beside the file, which the kernel frees when its holder dies. A
journal beside the file, 0600, says which stage was begun and holds the old and the new secrets,
so a run that was killed at any point can be resumed, and taken back at any point. Before anything
is ended, what stays is proven to work. Nothing secret is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from mina_ops import files, locks
from mina_ops.errors import ConfigurationError, Locked, MinaOpsError
from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.secrets import contents, env_file, journal, redis_user, replacements, values
from mina_ops.operator.secrets.journal import Journal, Stage
from mina_ops.operator.secrets.logins import Logins
from mina_ops.operator.secrets.reload import Colours

_SAID = {
    Stage.WIDEN: "Widen: the new secrets become good beside the old ones.",
    Stage.SWITCH: "Switch: the new secrets are used.",
    Stage.NARROW: "Narrow: the old tokens go.",
    Stage.RETIRE: "Retire: the old role and the old password end.",
}
_ORDER = tuple(Stage)


class Rotation:
    """One rotation of the secrets in one file.

    Args:
        colours: reloads the colours and asks them whether they are well.
        admin: a database with a role that may create roles; only for kind `database`.
        token_file: where the operator's own token is kept; its new one is put there.
        say: told in one sentence what happens; never given a secret.
    """

    def __init__(
        self,
        options: SecretOptions,
        colours: Colours,
        *,
        admin: Database | None = None,
        token_file: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if options.file is None:
            raise ConfigurationError(
                "incident.secrets.file is not set; it names the environment file of the app."
            )
        self._options = options
        # Journal and lock lie beside the file itself, so two links to it are one rotation.
        self.file = options.file.resolve()
        self._colours = colours
        self._admin = admin
        self._token_file = token_file
        self._say = say
        self._journal_file = self._beside("rotation")

    @property
    def interrupted(self) -> bool:
        """Whether an earlier rotation was begun and not ended."""
        return self._journal_file.exists()

    @property
    def tokens_file(self) -> Path:
        """Where new admin tokens are put for the operator to hand out."""
        return self._beside("tokens")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other process rotates this file; `begin`, `run` and `undo` need it.

        Raises:
            Locked: another one does.
        """
        try:
            with locks.held(self._beside("rotation.lock"), wait_seconds=0):
                yield
        except Locked as exc:
            raise Locked(
                f"Another rotation of {self.file} is running; wait for it to end."
            ) from exc

    def begun(self) -> list[str]:
        """The kinds of secret of the rotation that goes on.

        Raises:
            ConfigurationError: there is none.
        """
        return journal.read(self._journal_file).kinds

    def possible(self) -> list[str]:
        """The kinds of secret that the file has; a Redis without a password is none."""
        present = env_file.read(self.file)
        found = [kind for kind in replacements.KINDS if present.get(self._key(kind))]
        with suppress(ValueError):  # of several nodes, which a rotation refuses in its own words
            if "redis" in found and not redis_user.password_of(present[self._options.redis_key]):
                found.remove("redis")
        return found

    def begin(
        self,
        kinds: Sequence[str],
        now: datetime,
        *,
        end_sessions: bool = False,
        force: bool = False,
    ) -> Journal:
        """Plan a rotation and write the plan down; nothing else happens yet.

        Args:
            force: also where Redis has no file to keep the new password in.

        Raises:
            ConfigurationError: an earlier one is unfinished, or the file lacks such a secret, or
                a restart of Redis in the middle would lock the app out.
        """
        if self.interrupted:
            raise ConfigurationError(
                f"An earlier rotation did not end ({self._journal_file}); --resume or --undo it."
            )
        present = env_file.read(self.file)
        for kind in kinds:
            if not present.get(self._key(kind)):
                raise ConfigurationError(f"{self.file} has no {self._key(kind)} to rotate.")
        if "database" in kinds and self._admin is None:
            raise ConfigurationError(
                f"{self._options.admin_env} is not set; it holds the URL of a role that may "
                "create roles."
            )
        made = replacements.planned(self._options, self._admin, list(kinds), present, now)
        if "redis" in kinds and not redis_user.has_file(present[self._options.redis_key]):
            self._refuse_unkept(force)
        made.end_sessions = end_sessions
        made.own_token = self._own_token(made)
        self._write(made, Stage.PLANNED)
        return made

    def run(self, *, force: bool = False) -> list[str]:
        """Carry the planned or interrupted rotation to its end; remarks for the operator.

        Args:
            force: cut database sessions that still use the old role.

        Raises:
            MinaOpsError: it failed; before `narrow` everything is as it was, from then on
                it can be resumed.
        """
        found = journal.read(self._journal_file)
        begun = _ORDER.index(Stage(found.stage))
        remarks = [f"Rotate by hand at its provider: {name}." for name in self._options.by_hand]
        if begun <= _ORDER.index(Stage.SWITCH):
            try:
                if begun < _ORDER.index(Stage.SWITCH):
                    remarks += self._enter(found, Stage.WIDEN)
                self._enter(found, Stage.SWITCH)
            except MinaOpsError:
                self._take_back(found)
                raise
        if begun <= _ORDER.index(Stage.NARROW):
            self._narrow(found)
        self._enter(found, Stage.RETIRE)
        remarks += self._logins(found).end_old(cut=force)
        self._journal_file.unlink()
        return list(dict.fromkeys(remarks))

    def undo(self) -> list[str]:
        """Put everything back as it was before, however far it is; remarks. May be repeated.

        What was ended already is made good again, with the old secrets of the journal.

        Raises:
            ConfigurationError: there is none to undo.
            MinaOpsError: a server is away, or a colour is not well; try again.
        """
        found = journal.read(self._journal_file)
        remarks: list[str] = []
        if found.stage != Stage.PLANNED:
            remarks = self._logins(found).make_old_good()
            # From here on both are good, whatever was ended before: a --resume starts there.
            self._write(found, Stage.SWITCH)
            self._put(found, Stage.PLANNED)
            self._give_back_tokens(found)
            self._colours.require_healthy(token=found.own_token or None)
            remarks += self._logins(found).end_new()
        self._journal_file.unlink()
        self._say("Everything is as it was.")
        return list(dict.fromkeys(remarks))

    def _take_back(self, found: Journal) -> None:
        self._say("It failed; taking everything back.")
        try:
            self.undo()
        except MinaOpsError as error:
            self._say(
                f"That failed too: {error} Old and new secrets are both good; "
                "--undo or --resume when the cause is mended."
            )

    def _enter(self, found: Journal, stage: Stage) -> list[str]:
        """Begin a stage, or begin it again: logins first, then the file, then the colours."""
        self._write(found, stage)
        self._say(_SAID[stage])
        remarks = self._logins(found).make_new_good()
        self._put(found, stage)
        token = next(iter(found.tokens.values()), None)
        self._colours.require_healthy(token=token)
        return remarks

    def _narrow(self, found: Journal) -> None:
        if found.tokens:
            self._write(found, Stage.NARROW)
            self._hand_out(found)
        self._enter(found, Stage.NARROW)
        if found.own_token:
            self._colours.require_refused(found.own_token)

    def _put(self, found: Journal, stage: Stage) -> None:
        """Write the file as it is at a stage, and let the colours read it."""
        wanted = contents.at(self._options, found, stage)
        if stage in (Stage.NARROW, Stage.RETIRE):
            # The stage before was verified. Where this one says the same, nobody need read it.
            earlier = _ORDER[_ORDER.index(stage) - 1]
            if wanted == contents.at(self._options, found, earlier):
                return
        text = env_file.changed(self.file, wanted)
        env_file.replace(self.file, text)
        self._colours.reload()

    def _hand_out(self, found: Journal) -> None:
        lines = "".join(f"{name}={token}\n" for name, token in found.tokens.items())
        files.write(self.tokens_file, lines)
        if found.own_token and self._token_file is not None:
            name = self._name_of(found, found.own_token) or ""
            files.write(self._token_file.resolve(), found.tokens[name] + "\n")

    def _give_back_tokens(self, found: Journal) -> None:
        if "tokens" in found.kinds:
            self.tokens_file.unlink(missing_ok=True)
        if found.own_token and self._token_file is not None:
            files.write(self._token_file.resolve(), found.own_token + "\n")

    def _own_token(self, found: Journal) -> str:
        """The operator's token, if it is one of those that go; "" if not."""
        file = self._token_file
        if "tokens" not in found.kinds or file is None or not file.is_file():
            return ""
        mine = file.read_text().strip()
        return mine if self._name_of(found, mine) else ""

    def _name_of(self, found: Journal, token: str) -> str | None:
        text = found.old[self._options.tokens_key]
        return values.names_by_digest(text).get(values.digest(token))

    def _refuse_unkept(self, force: bool) -> None:
        if not force:
            raise ConfigurationError(
                f"{redis_user.UNKEPT} Start it with a configuration file or an ACL file, leave "
                "the kind `redis` out, or insist with --force."
            )
        self._say(redis_user.UNKEPT)

    def _logins(self, found: Journal) -> Logins:
        if "database" in found.kinds and self._admin is None:
            raise ConfigurationError(
                f"{self._options.admin_env} is not set; this rotation needs the role in it."
            )
        return Logins(self._options, found, self._admin)

    def _beside(self, suffix: str) -> Path:
        return self.file.with_name(f"{self.file.name}.{suffix}")

    def _key(self, kind: str) -> str:
        return replacements.key_of(self._options, kind)

    def _write(self, found: Journal, stage: Stage) -> None:
        found.stage = stage
        journal.write(self._journal_file, found)
