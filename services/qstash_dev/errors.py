"""What this server adds to the shared error tree. On the wire each of them is `{"error": "<string>"}`, as in QStash."""

from shared.errors import IntentionError


class NotBuilt(IntentionError):
    """This part of QStash is not built here yet."""

    status = 501
    code = "not_built"


class Fenced(IntentionError):
    """Another qstash_dev has taken over this data."""

    status = 503
    code = "fenced"


class RunOver(IntentionError):
    """The workflow run has ended, failed or was cancelled, or never was."""

    status = 400
    code = "run_over"


class QuotaExceeded(IntentionError):
    """More than this server allows."""

    status = 412
    code = "quota"
