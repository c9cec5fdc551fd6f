"""The demo's apps for a mina-ops.toml of a test's own, at addresses as pods have them."""

from __future__ import annotations

from dataclasses import dataclass

from mina_ops.demo.stage import Stage
from tests.operator.stand_in import pod_of


@dataclass(frozen=True)
class OnStage:
    """A stage that was started with `also_at=pod_of`."""

    stage: Stage

    def toml(self) -> str:
        """The token's and the colours' tables."""
        tables = [f'[token]\nfile = "{self.stage.folder / "admin.token"}"\n']
        for name, servers in self.stage.instances.items():
            pods = [f"{pod_of(name, str(i))}:{one.port}" for i, one in enumerate(servers)]
            listed = ", ".join(f'"{i}" = "{pod}"' for i, pod in enumerate(pods))
            version = self.stage.settings.colours[name].version
            tables.append(
                f'[colours.{name}]\nurl = "{servers[0].url}"\nversion = "{version}"\n'
                f"instances = {{ {listed} }}\n"
            )
        return "\n".join(tables)
