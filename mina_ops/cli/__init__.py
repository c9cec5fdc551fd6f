"""The `mina-ops` command: loads a command's file when that command is used.

A command or a group is one line in `COMMANDS` and a module with a `command` in it. Each has the
same flow: it reads the settings that it needs (`Session`), calls the operator's half, and prints
the result with `output.data`, as text or with `--json` as one object. What went wrong is raised as
a `MinaOpsError`, after the result if there is one; the group makes it a sentence on stderr and an
exit code.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import MinaOpsError

# name -> (module that holds `command`, the line in --help)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("mina_ops.cli.init", "The files of a first site: settings, token, units."),
    "doctor": ("mina_ops.cli.doctor", "Compare the whole site with what mina-ops.toml says."),
    "console": ("mina_ops.cli.console", "The page that shows both colours: open it, or serve it."),
    "status": ("mina_ops.cli.status", "Both colours: health, version, connections, traffic."),
    "switch": ("mina_ops.cli.switch", "Send traffic from one colour to the other."),
    "drain": ("mina_ops.cli.drain", "Move a colour's live sessions to the other colour."),
    "traffic": ("mina_ops.cli.traffic", "The load balancer: render, install, check, read."),
    "lock": ("mina_ops.cli.lock", "Who may move the traffic of this site."),
    "preflight": ("mina_ops.cli.preflight", "The checklist before a release."),
    "smoke": ("mina_ops.cli.smoke", "Walk a colour's critical path once, and judge it."),
    "release": ("mina_ops.cli.release", "Release a version; it judges itself and rolls back."),
    "rollback": ("mina_ops.cli.rollback", "Take the newest release back."),
    "judge": ("mina_ops.cli.judge", "Serve verdicts over HTTP to Argo Rollouts, Flagger or curl."),
    "postflight": ("mina_ops.cli.postflight", "The checklists after a release."),
    "recover": ("mina_ops.cli.recover", "Both colours are down: back from the last backup."),
    "db": ("mina_ops.cli.db", "The database: backup, restore, integrity, migrations."),
    "flags": ("mina_ops.cli.flags", "Feature flags that both colours share."),
    "token": ("mina_ops.cli.token", "Bearer tokens for the admin endpoints."),
    "audit": ("mina_ops.cli.audit", "Who changed what, and when."),
    "secrets": ("mina_ops.cli.secrets", "Rotate the app's secrets without a failed request."),
    "incident": ("mina_ops.cli.incident", "An emergency: call people, keep evidence, tell users."),
    "config": ("mina_ops.cli.config", "mina-ops.toml: check all of it, explain its keys."),
    "notify": ("mina_ops.cli.notify", "Tell people something over every channel."),
    "logs": ("mina_ops.cli.logs", "Follow the logs of the load balancer and the app."),
    "watch": ("mina_ops.cli.watch", "Watch the colours' health; alert, take out."),
    "demo": ("mina_ops.cli.demo", "Play a whole release on this machine."),
}

_EPILOG = """\b
Exit codes:
  0  done                        6  a program that is needed is missing
  1  failed                      7  the load balancer does not do as told
  2  wrong usage or settings     8  access denied
  3  unhealthy or unreachable    9  drained, but sessions were cut
  4  locked by someone else     10  sessions still open at the deadline
  5  judged bad and rolled back  11  faults were found
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when used; our own errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run; one of our errors is a sentence on stderr and its exit code, a bug a traceback.

        With `--json` it is one object on stdout, too.
        """
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            kind = "usage" if isinstance(error, click.UsageError) else "failed"
            output.refusal(ctx, kind, error.format_message(), error.exit_code)
            raise
        except click.Abort:
            output.refusal(ctx, "not_confirmed", "A question was not answered with yes.", 1)
            raise
        except MinaOpsError as error:
            output.refusal(ctx, error.code, str(error), error.exit_code)
            output.say(f"mina-ops: {error}")
            ctx.exit(error.exit_code)


@click.group(
    cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config", metavar="PATH", help="Settings; default: $MINA_OPS_CONFIG, else ./mina-ops.toml."
)
@click.version_option(package_name="mina-ops")
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """Switch a live app from one colour to the other without losing anything."""
    ctx.obj = Session(config_path=config)
