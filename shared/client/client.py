"""The client: what can be asked of ingress, by what it is about."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
import msgspec

from shared.api.base import Standing
from shared.api.bodies import Chat, GateReason, GivenProfile, PublishedEvent, WatchedExecution
from shared.api.chat import Replied
from shared.api.executions import Approvals, Begun, EventTaken, OpenApproval
from shared.api.operating import (
    Gate,
    GateRecord,
    GateResumed,
    Gates,
    Priced,
    Quota,
    ReaderToken,
    RecordedGate,
    Tool,
    Tools,
    ToolStates,
)
from shared.api.overview import Overview
from shared.api.schedules import ScheduledByWords
from shared.client.executions import Executions
from shared.client.letters import Letters
from shared.client.messages import Sent
from shared.client.pages import paged
from shared.client.schedules import Schedules
from shared.client.sse import Stream, streamed
from shared.client.transport import Patience, Transport
from shared.machine.plan import PlanDraft
from shared.planner.model import Profile
from shared.requests import Context, Execute, Replanning

Begins = Begun | ScheduledByWords


class Client:
    """One ingress, one key. Close it, or use it as an async context manager."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:3000",
        *,
        key: str = "",
        actor: str = "",
        patience: Patience | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`actor` is who acts, for the history. `http`: a client of your own, whose address and key count; it stays open."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._own = http is None
        self._http = http or httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=30, trust_env=False)
        self._transport = Transport(self._http, actor, patience or Patience())
        self.executions = Executions(self._transport)
        self.schedules = Schedules(self._transport)
        self.letters = Letters(self._transport)

    async def __aenter__(self) -> Self:
        """Nothing is sent."""
        return self

    async def __aexit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    # --- beginning

    async def execute(
        self,
        *,
        intent: str | None = None,
        plan: PlanDraft | Mapping[str, Any] | None = None,
        user_id: str = "anonymous",
        context: Context | None = None,
        priority: Literal["normal", "low"] = "normal",
        confirm: bool = False,
        replan: int = 0,
        idempotency_key: str = "",
    ) -> Begins:
        """Begin an execution of words or of a plan; words that are to be repeated become a schedule.

        `replan`: how often a model may give other steps after a failure. With an `idempotency_key` it is tried again when the
        answer is lost, and begun once.
        """
        body = _asked(intent, plan, user_id, context, priority=priority, confirm=confirm)
        body = msgspec.structs.replace(body, replan=Replanning(most=replan)) if replan else body
        raw = await self._transport.send("POST", "/api/execute", body=body, key=idempotency_key)
        if "cron" in msgspec.json.decode(raw):
            return msgspec.json.decode(raw, type=ScheduledByWords)
        return msgspec.json.decode(raw, type=Begun)

    async def plan(
        self,
        *,
        intent: str | None = None,
        plan: PlanDraft | Mapping[str, Any] | None = None,
        user_id: str = "anonymous",
        context: Context | None = None,
    ) -> Priced:
        """What would be done, and what it would take. Nothing is stored."""
        body = _asked(intent, plan, user_id, context, priority="normal", confirm=False)
        return await self._transport.ask("POST", "/api/plan", Priced, body=body)

    async def chat(
        self,
        message: str,
        *,
        user_id: str = "anonymous",
        conversation_id: str = "",
        confirm: bool = False,
        idempotency_key: str = "",
    ) -> Replied:
        """One message of a conversation."""
        body = Chat(message=message, user_id=user_id, conversation_id=conversation_id, confirm=confirm)
        return await self._transport.ask("POST", "/api/chat", Replied, body=body, key=idempotency_key)

    def chat_stream(
        self,
        message: str,
        *,
        user_id: str = "anonymous",
        conversation_id: str = "",
        confirm: bool = False,
        idempotency_key: str = "",
    ) -> AsyncIterator[Sent]:
        """The same as events: what is answered, then what comes of it. It is not taken up again: a message is said once."""
        body = Chat(message=message, user_id=user_id, conversation_id=conversation_id, confirm=confirm)
        return streamed(self._transport, "POST", "/api/chat", body=body, key=idempotency_key)

    # --- what is to be decided, and events

    async def approvals_page(self, *, before: str = "", limit: int = 100) -> Approvals:
        """A page of what people are asked."""
        return await self._transport.ask("GET", "/api/approvals", Approvals, params={"before": before, "limit": limit})

    async def approvals(self) -> AsyncIterator[OpenApproval]:
        """All of it, newest execution first."""
        async for page in paged(lambda before: self.approvals_page(before=before)):
            for one in page.approvals:
                yield one

    async def publish(self, name: str, *, key: str = "", data: Any = None, event_id: str = "") -> EventTaken:
        """An event for whoever waits for that name and key. The same `event_id` again changes nothing, so it may be retried."""
        body = PublishedEvent(key=key, data=data, id=event_id or None)
        return await self._transport.ask("POST", f"/api/events/{place(name)}", EventTaken, body=body, safe=bool(event_id))

    # --- tools, gates, quota

    async def tools(self) -> tuple[Tool, ...]:
        """What steps can do."""
        return (await self._transport.ask("GET", "/api/tools", Tools)).tools

    async def tool_states(self) -> ToolStates:
        """How they do: latencies, circuit breakers, pauses."""
        return await self._transport.ask("GET", "/api/tools/state", ToolStates)

    async def gate_record_page(self, *, tool: str = "", before: str = "", limit: int = 50) -> GateRecord:
        """A page of what was done to gates."""
        params = {"tool": tool, "before": before, "limit": limit}
        return await self._transport.ask("GET", "/api/gates/audit", GateRecord, params=params)

    async def gate_record(self, *, tool: str = "") -> AsyncIterator[RecordedGate]:
        """All of it, the latest first."""
        async for page in paged(lambda before: self.gate_record_page(tool=tool, before=before, limit=200)):
            for one in page.audit:
                yield one

    async def gates(self) -> Gates:
        """What may not be called now."""
        return await self._transport.ask("GET", "/api/gates", Gates)

    async def pause_tool(self, tool: str, *, reason: str = "") -> Gate:
        """No new call of it, for anybody. For operators."""
        return await self._transport.ask("POST", f"/api/tools/{place(tool)}/pause", Gate, body=GateReason(reason=reason))

    async def resume_tool(self, tool: str, *, reason: str = "") -> GateResumed:
        """It is called again. For operators."""
        return await self._transport.ask(
            "POST", f"/api/tools/{place(tool)}/resume", GateResumed, body=GateReason(reason=reason)
        )

    async def pause_tenant(self, *, reason: str = "") -> Gate:
        """No new call of any tool for the key's own executions."""
        return await self._transport.ask("POST", "/api/tenant/pause", Gate, body=GateReason(reason=reason))

    async def resume_tenant(self, *, reason: str = "") -> GateResumed:
        """They go on."""
        return await self._transport.ask("POST", "/api/tenant/resume", GateResumed, body=GateReason(reason=reason))

    async def overview(self) -> Overview:
        """How everything stands, at a glance."""
        return await self._transport.ask("GET", "/api/overview", Overview)

    def feed(
        self, *, status: Collection[str] = (), execution: Collection[str] = (), after: str = ""
    ) -> AsyncGenerator[Sent, None]:
        """What happens to the tenant's executions, or to those that are named, behind an id or from now on; without an end."""
        return self.stream("/api/events", status=tuple(status), execution=tuple(execution), after=after)

    async def quota(self) -> Quota:
        """Messages spent, reserved and left."""
        return await self._transport.ask("GET", "/api/quota", Quota)

    # --- users, progress, probes

    async def profile(self, user: str) -> Profile:
        """What is stored of a user."""
        return await self._transport.ask("GET", f"/api/users/{place(user)}/profile", Profile)

    async def put_profile(self, user: str, profile: Profile) -> Profile:
        """Replace it."""
        body = msgspec.convert(msgspec.to_builtins(profile), GivenProfile)
        return await self._transport.ask("PUT", f"/api/users/{place(user)}/profile", Profile, body=body)

    async def progress_token(self, execution: str) -> ReaderToken:
        """A token that reads one execution's progress on Ably."""
        body = WatchedExecution(execution_id=execution)
        return await self._transport.ask("POST", "/api/ably/token", ReaderToken, body=body)

    async def openapi(self) -> dict[str, Any]:
        """The document of ingress."""
        found: dict[str, Any] = await self._transport.ask("GET", "/openapi.json", dict[str, Any])
        return found

    async def healthy(self) -> Standing:
        """Whether ingress answers."""
        return await self._transport.ask("GET", "/healthz", Standing)

    async def ready(self) -> Standing:
        """Whether what it needs answers too; Refused (503) if not."""
        return await self._transport.ask("GET", "/readyz", Standing)

    def stream(self, path: str, *, after: str = "", **params: Any) -> AsyncGenerator[Sent, None]:
        """Any stream of events of ingress, taken up again where it breaks."""
        return aiter(Stream(self._transport, path, params, after))


def _asked(
    intent: str | None,
    plan: PlanDraft | Mapping[str, Any] | None,
    user_id: str,
    context: Context | None,
    *,
    priority: Literal["normal", "low"],
    confirm: bool,
) -> Execute:
    """ValueError unless it is words or a plan; msgspec.ValidationError for a plan of another shape."""
    if (intent is None) == (plan is None):
        raise ValueError("give intent or plan: one of the two")
    draft = plan if isinstance(plan, PlanDraft | None) else msgspec.convert(plan, PlanDraft)
    return Execute(intent=intent, plan=draft, user_id=user_id, context=context or Context(), priority=priority, confirm=confirm)


def place(text: str) -> str:
    """A name or an id as a part of a path."""
    return quote(text, safe="")
