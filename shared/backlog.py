"""More is overdue than may be re-sent at once: who comes next. Tenants in turn, each one's oldest first. Pure, and bounded."""

from collections import deque
from collections.abc import Iterable


class Backlog:
    """One for a process. It is no record of what is overdue: that is the due index. What it forgets is found again."""

    def __init__(self, each: int) -> None:
        """It holds `each` of a tenant at most."""
        self._each = each
        self._queues: dict[str, deque[str]] = {}
        self._known: set[str] = set()

    def __len__(self) -> int:
        """How many it holds."""
        return len(self._known)

    def add(self, tenant: str, executions: Iterable[str]) -> None:
        """These are overdue. What is known already, and what is too much, is left out."""
        queue = self._queues.setdefault(tenant, deque())
        for execution in executions:
            if len(queue) >= self._each:
                break
            if execution not in self._known:
                self._known.add(execution)
                queue.append(execution)
        if not queue:
            del self._queues[tenant]

    def take(self) -> str | None:
        """The next one, of the tenant that has waited longest for its turn; None if there is none."""
        if not self._queues:
            return None
        tenant = next(iter(self._queues))
        queue = self._queues.pop(tenant)
        execution = queue.popleft()
        self._known.discard(execution)
        if queue:
            self._queues[tenant] = queue  # behind all others
        return execution

    def clear(self) -> None:
        """Forget all."""
        self._queues.clear()
        self._known.clear()
