"""The tools of the default installation: real calls to the town (examples/town), each under its effect key."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.numbers import whole
from shared.tools.registry import Call, Registry, ToolNotSent, ToolRefused, ToolUnanswered
from shared.tools.remote import Remote

if TYPE_CHECKING:
    import httpx  # 4 MiB and 50 ms, and whoever only plans calls nobody

Party = Annotated[int, msgspec.Meta(ge=1, le=20)]
Date = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Time = Annotated[str, msgspec.Meta(pattern=r"^\d{2}:\d{2}$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
LongSeconds = Annotated[float, msgspec.Meta(ge=0, le=30)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=8)]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class TownTools:
    """Each method is a tool; its docstring is what a reader of `/api/tools` sees."""

    def __init__(self, client: "httpx.AsyncClient | None", remote: Remote | None = None) -> None:
        """`client` has the town's base URL; the time-out of a call is its deadline. None where nothing is called.

        `remote` makes calls that take longer.
        """
        self._client = client
        self._remote = remote

    async def find_table(  # the tool's arguments
        self,
        call: Call,
        *,
        party_size: Party,
        date: Date,
        time: Time,
        cuisine: str | None = None,
        area: str | None = None,
        restaurant: str | None = None,
    ) -> Any:
        """Find the best restaurant with a free table."""
        wanted = {"party_size": party_size, "date": date, "time": time, "cuisine": cuisine, "area": area}
        wanted["restaurant"] = restaurant
        params = {name: str(value) for name, value in wanted.items() if value is not None}
        return await self._ask(call, "GET", "/tables", params=params)

    async def search_restaurants(
        self, call: Call, *, date: Date, time: Time, party_size: Party = 2, cuisine: str = "", area: str = ""
    ) -> Any:
        """List the restaurants that have a table free then, the cheapest first; without any, the nearest other times."""
        wanted = {"party_size": str(party_size), "date": date, "time": time, "cuisine": cuisine, "area": area}
        return await self._ask(call, "GET", "/search", params={name: value for name, value in wanted.items() if value})

    async def get_weather(self, call: Call, *, place: Place, date: Date) -> Any:
        """Tell the weather of a place and day; the town makes it up."""
        return await self._ask(call, "GET", "/weather", params={"place": place, "date": date})

    async def geocode(self, call: Call, *, place: Place) -> Any:
        """Find a place's coordinates; the town makes them up."""
        return await self._ask(call, "GET", "/places", params={"q": place})

    async def route(self, call: Call, *, origin: Place, destination: Place) -> Any:
        """Tell distance and minutes by car between two places; the town makes them up."""
        return await self._ask(call, "GET", "/route", params={"origin": origin, "destination": destination})

    async def reserve_table(
        self, call: Call, *, restaurant: Text, party_size: Party, date: Date, time: Time, name: Text
    ) -> Any:
        """Reserve a table."""
        body = {"restaurant": restaurant, "party_size": party_size, "date": date, "time": time, "name": name}
        return await self._ask(call, "POST", "/reservations", body)

    async def book_ride(
        self, call: Call, *, pickup: Text, destination: Text, date: Date, time: Time, passengers: Party = 1
    ) -> Any:
        """Book a ride."""
        body = {"pickup": pickup, "destination": destination, "date": date, "time": time, "passengers": passengers}
        return await self._ask(call, "POST", "/rides", body)

    async def cancel_reservation(self, call: Call, *, reservation_id: Place) -> Any:
        """Call off a reservation that was made earlier, by its id. It cannot be taken back."""
        return await self._ask(call, "POST", "/cancellations", {"what": "reservation", "reference": reservation_id})

    async def cancel_ride(self, call: Call, *, ride_id: Place) -> Any:
        """Call off a ride that was booked earlier, by its id. It cannot be taken back."""
        return await self._ask(call, "POST", "/cancellations", {"what": "ride", "reference": ride_id})

    async def send_message(self, call: Call, *, to: Text, channel: Literal["sms", "email"], text: Text) -> Any:
        """Send a message; the town keeps it in its outbox and simulates the delivery to a phone."""
        return await self._ask(call, "POST", "/messages", {"to": to, "channel": channel, "text": text})

    async def do_work(self, call: Call, *, label: Text, seconds: Seconds = 0.0) -> Any:
        """Let the town work for some seconds and note that it did: for trying out long sagas."""
        return await self._ask(call, "POST", "/jobs", {"label": label, "seconds": seconds})

    async def do_long_work(self, call: Call, *, label: Text, seconds: LongSeconds) -> Any:
        """Let the town work for longer than an invocation may take: QStash makes the call, and tells how it ended."""
        if self._remote is None:
            raise ToolNotSent("no way to QStash")
        url = str(self._asked().base_url).rstrip("/") + "/jobs"
        return await self._remote.call(call, url=url, body={"label": label, "seconds": seconds}, seconds=int(seconds) + 30)

    async def post_letter(self, call: Call, *, to: Text, text: Text) -> Any:
        """Post a paper letter. The post office does not look at keys, but can be asked whether one was posted."""
        return await self._ask(call, "POST", "/letters", {"to": to, "text": text})

    async def post_unregistered_letter(self, call: Call, *, to: Text, text: Text) -> Any:
        """Post a paper letter that nobody can trace: without an answer only a person can say whether it was posted."""
        return await self._ask(call, "POST", "/letters", {"to": to, "text": text})

    async def undo(self, call: Call) -> Any:
        """Take back what happened under a key; a request that lands later is refused."""
        return await self._ask(call, "POST", f"/effects/{call.key}/undo")

    async def probe(self, call: Call) -> Any:
        """Whether a key happened. Asked after the settle time, so `not_seen` means that it never will."""
        found = await self._ask(call, "GET", f"/effects/{call.key}")
        if found["state"] == "happened":
            return found.get("result")
        raise ToolRefused(NEVER_HAPPENED, "the town has not seen this key")

    async def standing(self, key: str) -> int:
        """How many effects of a key stand in the town: for the kit that checks these tools."""
        answer = await self._asked().get("/effects", params={"prefix": key, "limit": "1000"})
        found = msgspec.json.decode(answer.raise_for_status().content)["effects"]
        return sum(effect["standing"] for effect in found if effect["key"] == key)

    async def _ask(
        self, call: Call, method: str, path: str, body: Any = None, *, params: Mapping[str, str] | None = None
    ) -> Any:
        import httpx  # late: see above

        try:
            answer = await self._asked().request(
                method,
                path,
                params=params,
                content=None if body is None else msgspec.json.encode(body),
                headers={"Idempotency-Key": call.key, "Content-Type": "application/json"},
                timeout=httpx.Timeout(call.deadline_s, connect=min(2.0, call.deadline_s)),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ToolNotSent(f"the town cannot be reached ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise ToolUnanswered(f"the town took the request and did not answer ({type(error).__name__})") from error
        if answer.is_success:
            return msgspec.json.decode(answer.content)
        raise _refusal(answer)

    def _asked(self) -> "httpx.AsyncClient":
        if self._client is None:
            raise ToolNotSent("this process calls no tools")
        return self._client


def _refusal(answer: "httpx.Response") -> Exception:
    """What an error answer says: done for certain, not done for certain, or neither."""
    code, message, applied = _error(answer)
    if applied is True and answer.status_code < 500:
        return ToolUnanswered(f"the town answered {answer.status_code} and says that it was done")
    if answer.status_code >= 500 and applied is not False:
        return ToolUnanswered(f"the town answered {answer.status_code} without saying whether it was done")
    retryable = answer.status_code in {425, 429} or answer.status_code >= 500
    return ToolRefused(code, message, retryable=retryable, retry_after_ms=_retry_after(answer))


def _error(answer: "httpx.Response") -> tuple[str, str, bool | None]:
    try:
        body = msgspec.json.decode(answer.content)
        error = body["error"]
        return str(error["code"]), str(error["message"]), body.get("applied")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"http_{answer.status_code}", answer.text[:300], None


def _retry_after(answer: "httpx.Response") -> int | None:
    seconds = whole(answer.headers.get("Retry-After", ""))
    return None if seconds is None else seconds * 1000


def register(registry: Registry, town: TownTools) -> None:
    """All the town's tools with their effect classes. What cannot be asked about or undone says so."""
    for question in (town.find_table, town.search_restaurants, town.get_weather, town.geocode, town.route):
        registry.add(question, effect=Effect.PURE, timeout_ms=3_000)
    for function in (town.reserve_table, town.book_ride, town.send_message):
        registry.add(function, effect=Effect.IDEMPOTENT, timeout_ms=4_000, undo=town.undo)
    for cancels in (town.cancel_reservation, town.cancel_ride):
        registry.add(cancels, effect=Effect.IDEMPOTENT, timeout_ms=4_000)
    registry.add(town.do_work, effect=Effect.IDEMPOTENT, timeout_ms=3_000, undo=town.undo)
    registry.add(town.do_long_work, effect=Effect.IDEMPOTENT, timeout_ms=4_000, settle_ms=60_000, undo=town.undo)
    registry.add(
        town.post_letter, effect=Effect.PROBEABLE, timeout_ms=3_000, settle_ms=5_000,
        undo=town.undo, undo_kind=Undo.SETTLED, probe=town.probe,
    )  # fmt: skip
    registry.add(town.post_unregistered_letter, effect=Effect.UNSAFE, timeout_ms=3_000, settle_ms=5_000)
