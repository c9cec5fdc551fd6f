"""Where the files are that lie beside the package: nginx/, migrations/, scripts/, deployment/."""

from __future__ import annotations

from pathlib import Path

from mina_ops.errors import ConfigurationError

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `name` of the repository, such as "nginx", or its copy in the package.

    Raises:
        ConfigurationError: neither is there; the installation is not complete.
    """
    # Beside an installed package lies site-packages, where anybody may have such a folder.
    in_repository = (_PACKAGE.parent / "pyproject.toml").is_file()
    found = (_PACKAGE.parent if in_repository else _PACKAGE / "share") / name
    if not found.is_dir():
        raise ConfigurationError(
            f"The folder {name} of mina_ops is missing. Install mina-ops again."
        )
    return found
