"""What the routes answer, as `/openapi.json` describes it. Times are unix ms; what does not apply to an answer is absent."""

from typing import Any, NotRequired, TypeAlias, TypedDict

from services.qstash_dev.model import CallType, State
from services.qstash_dev.workflow.model import RunState

HeaderValues: TypeAlias = dict[str, list[str]]
Filters: TypeAlias = dict[str, str | int | list[str | int]]
"""A JSON body with the filters that could as well be in the query."""


class Error(TypedDict):
    """Why not."""

    error: str


class Done(TypedDict):
    """It is done, and there is nothing to say about it."""


class Published(TypedDict):
    """A message was stored, or one with the same deduplication id was there."""

    messageId: str
    url: str
    deduplicated: NotRequired[bool]
    workflowRunId: NotRequired[str]
    workflowCreatedAt: NotRequired[int]


class Settled(TypedDict, total=False):
    """One item of a batch: stored, or `error`."""

    messageId: str
    url: str
    deduplicated: bool
    workflowRunId: str
    workflowCreatedAt: int
    error: str


class Cancelled(TypedDict):
    """How many were live and are not any more."""

    cancelled: int


class Ended(TypedDict, total=False):
    """How many runs have ended, or were cancelled."""

    ended: int
    cancelled: int


class Deleted(TypedDict):
    """How many are gone; the cursor is there when more match."""

    deleted: int
    cursor: NotRequired[str]


class Again(TypedDict):
    """The new message of a dead letter."""

    messageId: str


class AgainMany(TypedDict):
    """The new messages; the cursor is empty at the end."""

    cursor: str
    responses: list[Again]


class _Options(TypedDict, total=False):
    callback: str
    callbackHeader: HeaderValues
    failureCallback: str
    failureCallbackHeader: HeaderValues
    label: str
    labels: list[str]
    queueName: str
    flowControlKey: str
    parallelism: int
    rate: int
    period: int
    retryDelayExpression: str
    body: str
    bodyBase64: str


class _Facts(_Options):
    messageId: str
    url: str
    method: str
    header: HeaderValues
    maxRetries: int
    notBefore: int
    createdAt: int
    callerIP: str
    topicName: NotRequired[str]
    endpointName: NotRequired[str]
    scheduleId: NotRequired[str]
    workflowRunId: NotRequired[str]
    workflowUrl: NotRequired[str]
    workflowCreatedAt: NotRequired[int]


class Message(_Facts):
    """A message as it stands."""


class Event(_Facts):
    """An entry of the log."""

    time: int
    state: State
    timeout: NotRequired[int]
    retryDelayExpr: NotRequired[str]
    callbackHeaders: NotRequired[HeaderValues]
    failureCallbackHeaders: NotRequired[HeaderValues]
    responseStatus: NotRequired[int]
    responseHeader: NotRequired[HeaderValues]
    responseBody: NotRequired[str]
    nextDeliveryTime: NotRequired[int]
    error: NotRequired[str]


class Events(TypedDict):
    """A page of the log; the cursor is there when more may match."""

    events: list[Event]
    cursor: NotRequired[str]


class Logs(Events):
    """The same under both of its names."""

    logs: list[Event]


class DeadLetter(_Facts):
    """A message that could not be delivered."""

    dlqId: str
    responseStatus: int
    responseHeader: HeaderValues
    responseBody: NotRequired[str]
    responseBodyBase64: NotRequired[str]
    failureCallbackInfo: NotRequired[dict[str, Any]]


class DeadLetters(TypedDict):
    """A page of them; the cursor is there when more match."""

    messages: list[DeadLetter]
    cursor: NotRequired[str]


class Queue(TypedDict):
    """A queue; `lag` counts its messages that are not finished."""

    name: str
    parallelism: int
    createdAt: int
    updatedAt: int
    lag: int
    paused: bool


class GroupEndpoint(TypedDict):
    """An endpoint of a URL group."""

    url: str
    name: NotRequired[str]


class UrlGroup(TypedDict):
    """A URL group with the default headers of its publishes."""

    name: str
    createdAt: int
    updatedAt: int
    endpoints: list[GroupEndpoint]
    headers: NotRequired[HeaderValues]


class Scheduled(TypedDict):
    """The schedule's id."""

    scheduleId: str


class Schedule(_Options):
    """A schedule. `timeout` and `delay` are seconds."""

    scheduleId: str
    cron: str
    destination: str
    createdAt: int
    method: str
    header: HeaderValues
    retries: int
    callerIP: str
    callerIp: str
    isPaused: bool
    lastScheduleTime: NotRequired[int]
    nextScheduleTime: NotRequired[int]
    lastScheduleStates: NotRequired[dict[str, str]]
    error: NotRequired[str]
    timeout: NotRequired[int]
    delay: NotRequired[int]


class FlowControl(TypedDict):
    """A flow-control key: its limits, and how much of them is used. `ratePeriod` is seconds, `ratePeriodStart` unix seconds."""

    flowControlKey: str
    waitListSize: int
    parallelismMax: int
    parallelismCount: int
    rateMax: int
    rateCount: int
    ratePeriod: int
    ratePeriodStart: int
    isPaused: bool
    isPinnedParallelism: bool
    isPinnedRate: bool


class GlobalParallelism(TypedDict):
    """How many deliveries may be on the wire, and how many of the caller's are."""

    parallelismMax: int
    parallelismCount: int


class SigningKeys(TypedDict):
    """The two keys of a verifier."""

    current: str
    next: str


class Status(TypedDict):
    """How the process is."""

    status: str


class Faults(TypedDict):
    """The faults in force."""

    on: bool
    seed: int
    persist: bool
    faults: list[dict[str, Any]]


class Started(TypedDict):
    """A workflow run that was begun, or was there."""

    workflowRunId: str
    workflowCreatedAt: int
    deduplicated: NotRequired[bool]


class StartedOrNot(TypedDict, total=False):
    """One item of a batch of triggers."""

    workflowRunId: str
    workflowCreatedAt: int
    deduplicated: bool
    error: str


class RunStep(TypedDict):
    """A step as it is delivered; the body is base64."""

    messageId: str
    body: str
    callType: CallType


class Waiting(TypedDict):
    """The message that ends the wait."""

    messageId: str
    workflowRunId: str
    workflowCreatedAt: int


class Waiter(TypedDict):
    """A run that waits for an event, until `deadline` (unix seconds)."""

    url: str
    deadline: int
    headers: HeaderValues
    timeoutUrl: NotRequired[str]
    timeoutBody: NotRequired[str]
    timeoutHeaders: NotRequired[HeaderValues]
    workflowRunId: str


class Notified(TypedDict):
    """A waiter that goes on."""

    waiter: Waiter
    messageId: str
    error: str
    workflowRunId: str
    workflowCreatedAt: int


class StepGroup(TypedDict):
    """Steps that came one by one, side by side, or are on their way."""

    type: str
    steps: list[dict[str, Any]]


class Invoker(TypedDict):
    """The run that invoked another one."""

    workflowRunId: str
    workflowUrl: str
    workflowRunCreatedAt: int


class Run(TypedDict):
    """A run and its steps."""

    workflowRunId: str
    workflowUrl: str
    workflowState: RunState
    workflowRunCreatedAt: int
    workflowRunCompletedAt: NotRequired[int]
    workflowRunResponse: NotRequired[str]
    steps: list[StepGroup]
    invoker: NotRequired[Invoker]
    label: NotRequired[str]
    labels: NotRequired[list[str]]
    dlqId: NotRequired[str]
    failureFunction: NotRequired[dict[str, Any]]


class Runs(TypedDict):
    """A page of them; the cursor is there when more match."""

    runs: list[Run]
    cursor: NotRequired[str]


class RunAgain(TypedDict):
    """A run that took the place of a failed one; here the SDKs want the time as text."""

    workflowRunId: str
    workflowCreatedAt: str


class RunsAgain(TypedDict):
    """Those of one call; the cursor is there when more match."""

    workflowRuns: list[RunAgain]
    cursor: NotRequired[str]
