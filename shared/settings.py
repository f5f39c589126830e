"""Every setting of every service, and what is known of them without an environment. `shared.settings_load` reads it."""

from typing import Annotated, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
OPENAI = "https://api.openai.com/v1"
Money = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]

# QStash's public development keys (user 1 of `qstash dev`): safe to print, and accepted in local mode only.
DEV_TOKEN = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="  # noqa: S105 - public
DEV_CURRENT_KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
DEV_NEXT_KEY = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"
LOCAL_INTERNAL_KEY = "local-internal-key-for-loopback-only"
DEV_ABLY_KEY = "local.dev:public-development-key-for-loopback-only"
"""ably_dev's public key, in Ably's form `appid.keyid:secret`: accepted in local mode on loopback only."""
PUBLIC_KEYS = frozenset(
    {
        DEV_CURRENT_KEY,
        DEV_NEXT_KEY,
        LOCAL_INTERNAL_KEY,
        # users 2 to 4 of `qstash dev`
        "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
        "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
        "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
        "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
        "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
        "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
    }
)
"""Keys that anybody can read, and so sign with."""

SECRET_PREFIX = "SECRET_"  # noqa: S105 - the beginning of a name
"""SECRET_CRM_TOKEN is what tools know as CRM_TOKEN."""
LEAST_SECRET = 8
"""A shorter one could not be struck out of what comes back without striking out everything."""


class Secret(str):
    """A string that never shows itself in a repr, and so in no log line and no traceback of locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field a setting; the table of docs/settings.md is made from this class (`python -m shared.settings_table`)."""

    intention_mode: Literal["local", "production"] = "production"
    """`local` accepts callers without a key from TRUSTED_CALLERS and QStash's public development keys; bound to loopback."""
    log_format: Literal["json", "console"] = "json"
    """`json`: a line an event, for programs; `console`: for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is below it is left out."""
    telemetry: bool = False
    """Traces by OpenTelemetry, to where the standard OTEL_EXPORTER_OTLP_ENDPOINT says; needs the extra `telemetry`."""
    telemetry_flush_ms: Annotated[int, msgspec.Meta(ge=0, le=2_000)] = 0
    """How long the end of an invocation waits until its spans are handed over, for hosts that freeze it then; 0: not at all."""
    metrics: bool = False
    """`GET /metrics` of each service, for Prometheus; needs the extra `telemetry`."""
    metrics_token: Secret = Secret("")
    """What a scraper must bring: `Authorization: Bearer ...`. Local mode takes TRUSTED_CALLERS without."""
    metrics_tenants: bool = False
    """Show the quota by tenant, and not only of all together."""

    intention_data: str = ".intention"
    """Where `make run` keeps the embedded server's files, pids and logs."""
    redis_url: Secret = Secret("redis://127.0.0.1:6390/0")
    """A secret, because of the password in it. Of a cluster any node: the others are found."""
    durability: Literal["fast", "strict"] = "fast"
    """`strict` waits (WAITAOF) until creates, signals and intents of effects are on disk; needs Redis 7.2 or Valkey."""
    retention_days: Annotated[float, msgspec.Meta(gt=0)] = 30
    """How long a finished execution, and the Idempotency-Key that made it, are kept after its end; 0.5 is twelve hours."""
    archive_folder: str = ""
    """Where finished executions go as JSON lines before they are deleted; empty: they are deleted only."""
    retire_every_ms: Positive = 60_000
    """How often the resume service looks for executions whose retention is over."""

    qstash_url: str = "http://127.0.0.1:8080"
    """The REST URL of the console's overview page."""
    qstash_token: Secret = Secret("")
    """The token of the same page. Empty: nothing goes to QStash, and Ably and direct calls carry the work on."""
    upstash_qstash_token: Secret = Secret("")
    """Used when QSTASH_TOKEN is empty."""
    qstash_current_signing_key: Secret = Secret("")
    """The console's Keys tab."""
    qstash_next_signing_key: Secret = Secret("")
    """Of the same tab; with both set a rotation of keys drops nothing."""
    qstash_retries: Annotated[int, msgspec.Meta(ge=0, le=5)] = 3
    """Deliveries after the first one; plans cap it at 3 to 5."""
    qstash_parallelism: NotNegative = 100
    """Flow control of our own messages: how many may be in flight at once; 0 sends no flow-control key."""
    jwt_leeway_s: NotNegative = 30
    """How far the clocks of QStash and of this machine may differ."""
    internal_signing_key: Secret = Secret("")
    """Signs calls between our own services."""

    ingress_host: str = "127.0.0.1"
    """Where ingress listens."""
    ingress_port: Port = 3000
    """And on which port."""
    ingress_url: str = "http://127.0.0.1:3000"
    """Where tools and people reach ingress: the addresses at which waiting steps are called begin so."""
    ingress_at_work: Positive = 256
    """Requests that start something, and as many that change something, that one ingress process works on at once; whoever
    comes then is told to come again (503 `busy`). Reads and streams do not count."""
    executor_host: str = "127.0.0.1"
    """Where the step executor listens."""
    executor_port: Port = 3001
    """And on which port."""
    executor_url: str = "http://127.0.0.1:3001"
    """Where QStash reaches the step executor; it is also the `sub` its signatures must carry."""
    executor_processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """So many processes run steps at this address, a core each, all started by the one that is started; Linux. More than one
    and METRICS exclude each other. Where there are containers, run more of those instead."""
    resume_host: str = "127.0.0.1"
    """Where the resume service listens."""
    resume_port: Port = 3002
    """And on which port."""
    resume_url: str = "http://127.0.0.1:3002"
    """Where QStash sends failure callbacks."""
    qstash_dev_host: str = "127.0.0.1"
    """Where qstash_dev listens."""
    qstash_dev_port: Port = 8080
    """And on which port."""
    qstash_dev_allow_public: bool = False
    """qstash_dev refuses to bind to anything but loopback unless this is true (a container network, say)."""
    qstash_dev_hosts: str = ""
    """`name=http://127.0.0.1:port` pairs, comma separated: where qstash_dev takes messages for these hosts."""
    ably_api_key: Secret = Secret("")
    """`appid.keyid:secret`. Empty: no second channel. Each service makes tokens of it that may do only what it needs."""
    ably_url: str = ""
    """Another server than the hosted Ably, as http://host:port (local mode: ably_dev)."""
    ably_webhook_keys: Secret = Secret("")
    """Keys whose secrets sign Ably's batched webhooks to `POST /api/mesh/resume`: `appid.keyid:secret`, comma separated."""
    ably_webhook_secret: Secret = Secret("")
    """What Ably's single webhooks must bring in the header `X-Mesh-Secret`, for they are not signed."""
    ably_event_channels: str = ""
    """`tenant:event` pairs, comma separated: channels whose publishers may send this one event of the tenant only."""
    ably_ping_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 10_000
    """How often the subscriber asks Ably whether it is still heard; not connected for three times as long, it begins anew."""
    mesh_hints_per_s: Positive = 20
    """Hints that one tenant's publishers may send a second, to each resume service; more are dropped. Events are not."""
    ably_dev_host: str = "127.0.0.1"
    """Where ably_dev listens."""
    ably_dev_port: Port = 8090
    """And on which port."""
    ably_dev_allow_public: bool = False
    """ably_dev refuses to bind to anything but loopback unless this is true (a container network, say)."""
    ably_dev_key: Secret = Secret("")
    """`appid.keyid:secret`, the key that may do everything."""
    ably_dev_keys: Secret = Secret("")
    """More keys, with what each may do: `{"appid.keyid:secret": {"channel": ["publish"]}}`."""
    ably_dev_rules: Secret = Secret("")
    """Webhook rules, a JSON list in the shape of Ably's Control API; a secret, because of the headers in it."""
    ably_dev_faults: str = ""
    """Faults that are on from the start, `{"faults": [{"kind": "lose"}]}`."""
    town_host: str = "127.0.0.1"
    """Where the town listens."""
    town_port: Port = 3010
    """And on which port."""
    town_url: str = ""
    """Where the tools of the examples act, also what is simulated; empty: there are no such tools."""
    town_database: str = ".intention/town.sqlite"
    """Where the town keeps what was done."""

    tools: str = ""
    """Modules with tools of your own (`@tool`), comma separated: `my_pkg.tools,other.tools`."""
    http_tools: str = ""
    """A TOML or JSON file that declares tools by URL and schema."""
    mcp_servers: str = ""
    """A TOML or JSON file that names MCP servers whose tools steps may call."""
    policies: str = ""
    """A TOML or JSON file of rules that every plan is held to; the same for ingress, resume and the step executor."""
    tool_costs: str = ""
    """What calls of tools cost, in place of what the tools say: `tool=amount` pairs, comma separated; with `!` behind the
    amount where a call that fails costs as much."""
    outbound_allow: str = ""
    """Which hosts tools may be sent to by a plan: `tenant=host` pairs, comma separated; `*` is every tenant, `*.` all below."""
    outbound_loopback: bool = False
    """Tools may reach this machine itself; local mode only."""
    weather_url: str = ""
    """An Open-Meteo-compatible server; empty: the town simulates. Needs GEOCODE_URL."""
    geocode_url: str = ""
    """A Nominatim-compatible server; empty: the town simulates."""
    route_url: str = ""
    """An OSRM-compatible server; empty: the town simulates. Needs GEOCODE_URL."""
    smtp_url: Secret = Secret("")
    """smtp://user:password@host:587 (with STARTTLS) or smtps://...:465; empty: e-mail goes to the town's outbox."""
    smtp_from: str = ""
    """The sender's address."""
    twilio_url: str = "https://api.twilio.com"
    """Twilio, or what speaks as it does."""
    twilio_account: str = ""
    """The account's SID; empty: SMS go to the town's outbox."""
    twilio_token: Secret = Secret("")
    """The account's token."""
    twilio_from: str = ""
    """The number that messages come from."""
    secrets: dict[str, Secret] = {}
    """What tools refer to as `${secret:NAME}`: each from its own variable."""

    api_keys: Secret = Secret("")
    """`tenant:key` pairs, comma separated."""
    operators: str = ""
    """Tenants whose keys may pause a tool for everybody, comma separated."""
    trusted_callers: str = "127.0.0.0/8,::1/128"
    """Networks whose requests need no key in local mode (compose: the bridge's)."""

    chat_per_minute: NotNegative = 30
    """Messages that one user may send to `POST /api/chat` in a minute; 0 = no limit."""
    chat_tenant_per_minute: NotNegative = 600
    """The same of all users of a tenant."""

    local_control: str = ""
    """`make run` sets it itself, for ingress alone: where its supervisor can be asked to break parts of the system on purpose
    (`127.0.0.1:port`). Empty: nobody can ask. Local mode only."""
    local_control_key: Secret = Secret("")
    """Of the same run, made anew with each."""

    streams_per_tenant: Positive = 2_500
    """Event streams that one tenant may hold open at once, at each ingress process."""

    hard_limit_ms: Positive = 10_000
    """What the platform kills an invocation at."""
    checkpoint_ms: Positive = 7_500
    """No step starts later than this in an invocation."""
    step_cutoff_ms: Positive = 8_000
    """A step still running now is cut off, and its effect is unknown."""
    lock_ttl: Positive = 30_000
    """Upper bound of a lease in ms, for hosts with a longer limit; the lease itself is HARD_LIMIT_MS + 1 s."""
    steps_per_message: NotNegative = 0
    """Steps one message may run; 0 means as many as fit."""
    max_parallel_steps: Positive = 16
    """Steps of one execution that run side by side in one invocation."""
    max_plan_steps: Positive = 10_000
    """Steps of a plan, those of its children counted."""
    max_argument_bytes: Positive = 65_536
    """Of one step's arguments, as JSON."""
    max_request_bytes: Positive = 4_194_304
    """Of a request's body."""
    large_value_bytes: Positive = 65_536
    """An output of more bytes of JSON is stored apart from its execution's record, and loaded only when it is needed."""
    max_value_bytes: Positive = 1_048_576
    """An output of more is left out: the step is DONE, because its effect happened, and its output says how large it was."""
    continue_delay_ms: NotNegative = 0
    """How long QStash holds a continuation back; the original guide waited 1 to 2 s, nothing here needs it."""
    undeliverable_after: Positive = 5
    """Segments without progress after which an execution waits for an operator."""

    planner: Literal["auto", "rules", "llm"] = "auto"
    """Who plans words: `rules` never asks a model, `auto` asks it where the rules would ask the person, `llm` always."""
    llm_base_url: str = OPENAI
    """Any endpoint that speaks OpenAI's chat completions, its path included."""
    llm_model: str = ""
    """Empty (or an empty key): there is no model, and the rules plan."""
    llm_api_key: Secret = Secret("")
    """For an endpoint that wants none, any word."""
    llm_max_tokens: Positive = 2_048
    """Of one answer."""
    llm_budget_tokens: Positive = 40_000
    """Of all calls for one execution, questions and answers together: then the rules' word stands."""
    llm_price_in: Money = 0
    """What a million tokens cost that the model is asked with, in the small unit in which tools' costs are counted (cents)."""
    llm_price_out: Money = 0
    """The same of those that it answers with."""
    llm_budget_cost: Money = 0
    """What all calls for one execution may cost, in that unit: then the rules' word stands. 0 = no limit but the tokens'."""
    llm_timeout_ms: Positive = 7_000
    """How long one answer is waited for; never longer than the invocation may take (STEP_CUTOFF_MS)."""
    llm_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    """Calls for one execution, whatever came of them."""

    breaker_failures: Positive = 5
    """Failed calls of a tool in a row that open its circuit, or"""
    breaker_calls: Positive = 20
    """of at least so many calls"""
    breaker_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    """so many in a hundred,"""
    breaker_window_ms: Positive = 30_000
    """within so long."""
    breaker_open_ms: Positive = 10_000
    """For so long nobody calls the tool; then one call probes it, and each one that fails doubles the time,"""
    breaker_open_most_ms: Positive = 300_000
    """up to this."""

    sweep_ms: Positive = 1_000
    """The watchdog looks at least so often, unless a round takes long; a pause is half to all of it."""
    sweep_rate: Positive = 200
    """Executions it re-sends per second at most."""
    resume_direct: bool = True
    """The watchdog calls the executor itself before it spends a message; so does what cannot pay for one."""

    quota_profile: Literal["hobby", "free", "none"] = "hobby"
    """Of one tenant. hobby: 10,000 messages a day, 100,000 a month, 100 executions at once; free: 1,000 a day; none: none."""
    quota_day: NotNegative | None = None
    """Messages, their retries and callbacks a day, in place of the profile's; 0 = no limit."""
    quota_month: NotNegative | None = None
    """The same of a month."""
    quota_concurrent: NotNegative | None = None
    """Executions that are not over."""
    quota_utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 0
    """The quota's day begins this long before midnight UTC."""

    @property
    def local(self) -> bool:
        """Development on one machine."""
        return self.intention_mode == "local"

    @property
    def operating_tenants(self) -> frozenset[str]:
        """Whose keys may pause a tool for everybody."""
        return frozenset(name.strip() for name in self.operators.split(",") if name.strip())

    @property
    def planners(self) -> Literal["auto", "rules", "llm"]:
        """Who plans words here: without a model, the rules."""
        return self.planner if self.llm_model and self.llm_api_key else "rules"

    @property
    def token(self) -> str:
        """The token QStash is called with; empty when it is not configured."""
        return self.qstash_token or self.upstash_qstash_token

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys a delivery may be signed with, current first."""
        return tuple(key for key in (self.qstash_current_signing_key, self.qstash_next_signing_key) if key)

    @property
    def lease_ms(self) -> int:
        """A lease's absolute life: no invocation outlives it, so it is never renewed."""
        return self.hard_limit_ms + 1_000
