"""What the programs that people start by hand (`make run`, `intention`) read: the environment, then `.env` for what is not set.

The services themselves read the environment only.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values


def merged(path: str | Path = ".env", environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """`.env` under the environment. A file that is not there is empty."""
    found = {name: value for name, value in dotenv_values(path).items() if value is not None}
    return {**found, **(os.environ if environ is None else environ)}
