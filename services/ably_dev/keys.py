"""Every Redis key of this server. All data of an app shares the hash tag `{<app>}`; `docs/ably-dev.md` says when each ends."""


def _prefix(app: str) -> str:
    return f"ad:{{{app}}}:"


def head(app: str, channel: str) -> str:
    """hash: epoch, ms and seq of the channel's newest entry."""
    return f"{_prefix(app)}head:{channel}"


def log(app: str, channel: str) -> str:
    """stream: the channel's publishes, entry id `<unix ms>-<seq>`."""
    return f"{_prefix(app)}log:{channel}"


def once(app: str, channel: str, message_id: str) -> str:
    """string: the position of a message id that was published lately."""
    return f"{_prefix(app)}once:{channel}:{message_id}"


def connection(app: str, connection_id: str) -> str:
    """string: the connection key with which this connection can be resumed."""
    return f"{_prefix(app)}conn:{connection_id}"


def hook(app: str, rule: str) -> str:
    """stream: publishes that a webhook rule has still to hand on."""
    return f"{_prefix(app)}hook:{rule}"
