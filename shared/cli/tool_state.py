"""`intention tools state`: how tools do, as the executors have told."""

from shared.cli import lists
from shared.cli.verbs import Shell, verb


@verb("state")
def state(shell: Shell) -> None:
    """How long calls take, how circuit breakers stand, and what is paused."""
    found = shell.api.ask("GET", "/api/tools/state")
    shell.show(found, lists.tool_states(found["tools"]))
