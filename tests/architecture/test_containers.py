"""Dockerfile, compose.yaml and .dockerignore say what they should. Read here, and in part run, without Docker."""

import contextlib
import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped] # the locked release ships no types

from shared.settings import DEV_ABLY_KEY, DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, Settings
from shared.settings_load import load

ROOT = Path(__file__).parents[2]
OURS = ("ably_dev", "ingress", "qstash_dev", "resume", "step_executor", "town")
PUBLISHED = {
    "ably_dev": "127.0.0.1:8090:8090",
    "ingress": "127.0.0.1:3000:3000",
    "qstash_dev": "127.0.0.1:8080:8080",
    "town": "127.0.0.1:3010:3010",
}
NO_SETTINGS = {"MODULE", "PYTHONPATH", "PORT_SETTING", "PROBE_PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""Variables of the containers that our services do not read."""


class Line(NamedTuple):
    """An instruction of the Dockerfile."""

    word: str
    rest: str


def stages() -> dict[str, list[Line]]:
    """The Dockerfile's instructions by stage; what is before the first FROM is under "", the last stage under "last"."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[Line]] = {"": []}
    name = ""
    for raw in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = raw.partition(" ")
        if word == "FROM":
            _, _, name = rest.partition(" AS ")
            name = name or "last"
            found[name] = []
        found[name].append(Line(word, rest.strip()))
    return found


def rests(lines: list[Line], word: str) -> list[str]:
    """What follows `word` wherever it stands."""
    return [line.rest for line in lines if line.word == word]


def variables(lines: list[Line]) -> dict[str, str]:
    """What ENV sets."""
    pairs = (pair.partition("=") for rest in rests(lines, "ENV") for pair in shlex.split(rest))
    return {name: value for name, _, value in pairs}


def compose(**chosen: str) -> dict[str, Any]:
    """compose.yaml as Compose reads it with these variables in its shell."""
    text = re.sub(
        r"(?<!\$)\$\{(\w+):-([^}]*)\}", lambda found: chosen.get(found[1], "") or found[2], (ROOT / "compose.yaml").read_text()
    )
    loaded: dict[str, Any] = yaml.safe_load(text.replace("$$", "$"))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def environment(name: str) -> dict[str, str]:
    """What the container of `name` sees, but for the generated keys: the image's variables, then those of compose."""
    every = stages()
    image = {**variables(every["libraries"]), **variables(every[f"service-{name}"]), **variables(every["last"])}
    return {**image, **services()[name].get("environment", {})}


def make_keys(folder: Path) -> dict[str, str]:
    """Run the command of the `keys` service with `folder` for its volume; the file, as a shell reads it."""
    program, flag, script = services()["keys"]["command"]
    assert (program, flag) == ("python", "-c")
    subprocess.run([sys.executable, "-c", script.replace("/keys/", f"{folder}/")], check=True, timeout=30)
    _, _, start = services()["ingress"]["command"]
    reads = start.replace("/keys/", f"{folder}/").replace('exec python -m "$MODULE"', "env")
    path = {"PATH": os.environ["PATH"]}
    shown = subprocess.run(["sh", "-c", reads], env=path, check=True, timeout=30, capture_output=True, text=True).stdout
    pairs = (line.partition("=") for line in shown.splitlines())
    return {name: value for name, _, value in pairs if name.endswith(("_KEY", "_TOKEN"))}


# --- the Dockerfile ---


def test_every_service_folder_has_a_stage_and_a_lock_file_and_the_other_way_round() -> None:
    """A service that is added must be added to all three places."""
    folders = {path.parent.name for path in (ROOT / "services").glob("*/main.py")} | {"town"}
    named = {name.removeprefix("service-") for name in stages() if name.startswith("service-")}

    assert named == folders == set(OURS)
    assert {name for name in OURS if (ROOT / "requirements" / f"{name}.txt").is_file()} == folders


@pytest.mark.parametrize("name", OURS)
def test_every_requirement_is_locked_with_hashes(name: str) -> None:
    """`--require-hashes` would stop the build; this stops the commit."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")

    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith("#"):
            assert "==" in line
            assert "--hash=sha256:" in line


@pytest.mark.parametrize("name", OURS)
def test_a_service_image_holds_its_own_code_and_no_neighbours(name: str) -> None:
    """COPY of `shared`, its own folder and the package file above it."""
    own = {"examples/"} if name == "town" else {"services/__init__.py", f"services/{name}/"}
    copied = {rest.split()[0] for rest in rests(stages()[f"service-{name}"], "COPY")}

    assert copied == own
    assert {rest.split()[0] for rest in rests(stages()["libraries"], "COPY")} == {"requirements/${SERVICE}.txt", "shared/"}
    assert not rests(stages()["last"], "COPY")


def test_third_party_packages_are_installed_before_our_code_is_copied() -> None:
    """So that a change of ours does not install them again."""
    order = [line for line in stages()["libraries"] if line.word in {"COPY", "RUN"}]
    install = next(number for number, line in enumerate(order) if "pip install" in line.rest)

    assert "--require-hashes" in order[install].rest
    assert "--only-binary=:all:" in order[install].rest
    assert order.index(Line("COPY", "shared/ shared/")) > install


@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_its_module_and_listens_where_the_settings_say(name: str) -> None:
    """CMD in exec form; host and port are settings of this service, and the port is the usual one."""
    lines = stages()[f"service-{name}"]
    found = variables(lines)
    port = found["PORT_SETTING"]
    command = json.loads(rests(lines, "CMD")[0])

    assert command[:2] == ["python", "-m"]
    assert (ROOT / (command[2].replace(".", "/") + ".py")).is_file()
    assert found[port] == rests(lines, "EXPOSE")[0] == str(getattr(Settings(), port.lower()))
    assert found[port.replace("_PORT", "_HOST")] == "0.0.0.0"  # noqa: S104 - the container's own network
    assert set(found) - NO_SETTINGS <= {field.upper() for field in Settings.__struct_fields__}


def test_containers_run_as_a_numbered_user_that_is_not_root() -> None:
    """A number, because an orchestrator that forbids root cannot look a name up."""
    (user,) = rests(stages()["last"], "USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.split(':')[0]} " in next(rest for rest in rests(stages()["libraries"], "RUN") if "useradd" in rest)


@contextlib.contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers everything with `status`; its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_health_check_asks_the_chosen_path_on_the_chosen_port(status: int, *, healthy: bool) -> None:
    """The very command of the image, run against a real server."""
    (check,) = rests(stages()["last"], "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    with answering(status) as (port, asked):
        env = {"PORT_SETTING": "TOWN_PORT", "TOWN_PORT": str(port), "PROBE_PATH": "/readyz"}
        done = subprocess.run([sys.executable, *command[1:]], env=env, check=False, timeout=30)

    assert (done.returncode == 0) is healthy
    assert asked == ["/readyz"]


def test_the_health_check_fails_where_nobody_listens() -> None:
    """A process that is gone is not healthy."""
    (check,) = rests(stages()["last"], "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    env = {"PORT_SETTING": "TOWN_PORT", "TOWN_PORT": "1", "PROBE_PATH": "/healthz"}

    done = subprocess.run([sys.executable, *command[1:]], env=env, check=False, timeout=30, capture_output=True)

    assert done.returncode != 0


def test_what_may_enter_an_image_is_listed_and_nothing_private_is() -> None:
    """`*` first, so that a new folder stays out until somebody lets it in."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!")} == {"!requirements/", "!shared/", "!services/", "!examples/"}


# --- compose.yaml ---


def test_compose_builds_our_images_and_pulls_none_of_them() -> None:
    """Each with its own argument. An `image` beside `build` would be looked for in a public registry first."""
    built = {name: service for name, service in services().items() if "build" in service}

    assert set(built) == {*OURS, "keys"}
    for name, service in built.items():
        assert service["build"] == {"context": ".", "args": {"SERVICE": "ingress" if name == "keys" else name}}
        assert "image" not in service


def test_every_service_has_a_health_check() -> None:
    """Ours have the image's, which nobody switches off; a foreign image's stands in compose.yaml. `keys` ends by itself."""
    for name, service in services().items():
        assert service["restart"] == ("no" if name == "keys" else "unless-stopped")
        if name in OURS:
            assert "healthcheck" not in service
        elif name != "keys":
            assert service["healthcheck"]["test"][0] == "CMD"


def test_everything_waits_until_what_it_needs_is_healthy() -> None:
    """Never only "started"; and each service waits for every neighbour its settings name, save those that would wait back."""
    needs = {name: service.get("depends_on", {}) for name, service in services().items()}
    for found in needs.values():
        for needed, how in found.items():
            assert how["condition"] == ("service_completed_successfully" if needed == "keys" else "service_healthy")

    assert set(needs["qstash_dev"]) == set(needs["ably_dev"]) == {"keys", "valkey"}
    assert set(needs["step_executor"]) == {"keys", "valkey", "qstash_dev", "town"}
    assert set(needs["resume"]) == {"keys", "valkey", "qstash_dev", "step_executor"}
    assert set(needs["ingress"]) == set(needs) - {"ingress"}


@pytest.mark.parametrize("name", OURS)
def test_the_environment_of_every_container_is_accepted_by_its_service(name: str, tmp_path: Path) -> None:
    """Image, compose and generated keys together are valid settings, and no name among them is unknown."""
    found = environment(name)
    keys = {} if name == "town" else make_keys(tmp_path)
    settings = load({**found, **keys})

    assert settings.local
    assert set(found) - NO_SETTINGS <= {field.upper() for field in Settings.__struct_fields__}


@pytest.mark.parametrize("name", [name for name in OURS if name != "town"])
def test_the_module_that_compose_starts_is_the_one_of_the_image(name: str) -> None:
    """Reading the keys first is the only difference."""
    command = json.loads(rests(stages()[f"service-{name}"], "CMD")[0])

    assert services()[name]["environment"]["MODULE"] == command[2]
    assert services()[name]["command"] == [
        "sh",
        "-c",
        'set -a; . /keys/env; ABLY_API_KEY=$ABLY_DEV_KEY; set +a; exec python -m "$MODULE"',
    ]
    assert services()[name]["volumes"][0] == "keys:/keys:ro"


def test_urls_name_hosts_and_ports_of_this_network() -> None:
    """A host is a service or an alias without an underscore, which is no host name; the port is the one it listens on."""
    known = {"valkey": "6379"}
    for name in OURS:
        networks = services()[name]["networks"]
        names = {name} if isinstance(networks, list) else {name, *networks["engine"]["aliases"]}
        found = variables(stages()[f"service-{name}"])
        known |= dict.fromkeys((n for n in names if "_" not in n), found[found["PORT_SETTING"]])

    for name in OURS:
        for variable, value in environment(name).items():
            if value and variable.endswith("_URL"):
                parts = urlsplit(value)
                assert known.get(parts.hostname or "") == str(parts.port), f"{name}: {variable}={value}"


def test_only_loopback_is_published_and_only_what_a_user_needs() -> None:
    """The store, the executor and the resume service have no port on the host."""
    found = {name: service["ports"] for name, service in services().items() if "ports" in service}

    assert found == {name: [port] for name, port in PUBLISHED.items()}


def test_requests_through_the_published_port_need_no_key() -> None:
    """They arrive from the pinned subnet, which TRUSTED_CALLERS counts in; private networks at large it does not."""
    (config,) = compose()["networks"]["engine"]["ipam"]["config"]
    subnet = ipaddress.ip_network(config["subnet"])
    trusted = [ipaddress.ip_network(text) for text in environment("ingress")["TRUSTED_CALLERS"].split(",")]

    assert subnet in trusted
    assert all((network.is_private and network.num_addresses <= 256) or network.is_loopback for network in trusted)


def test_the_store_keeps_what_it_answered_and_evicts_nothing() -> None:
    """Synced before every answer, in a volume."""
    valkey = services()["valkey"]
    options = dict(zip(valkey["command"][1::2], valkey["command"][2::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert valkey["volumes"] == ["valkey:/data"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    """No capability, no way to gain one, no writing outside of volumes and /tmp."""
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_first_start_makes_keys_of_its_own_and_later_ones_leave_them(tmp_path: Path) -> None:
    """Random, none of them public, readable by the services' user and not writable; another volume gets others."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, again, other = make_keys(tmp_path / "one"), make_keys(tmp_path / "one"), make_keys(tmp_path / "two")

    signing = {"QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY", "INTERNAL_SIGNING_KEY"}
    assert set(first) == {"QSTASH_TOKEN", "ABLY_DEV_KEY", "ABLY_API_KEY", *signing}
    assert first["ABLY_API_KEY"] == first["ABLY_DEV_KEY"]
    assert first == again
    assert len({*first.values(), *other.values()}) == 10
    assert not {DEV_TOKEN, DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_ABLY_KEY} & set(first.values())
    assert all(len(value) >= 32 for value in first.values())
    assert (tmp_path / "one" / "env").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["env"]


def test_a_key_that_a_later_release_needs_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    """A volume of an earlier release: its keys stay, the missing one is made."""
    first = make_keys(tmp_path)
    kept = [f"{name}={value}" for name, value in first.items() if name not in {"ABLY_DEV_KEY", "ABLY_API_KEY"}]
    (tmp_path / "env").chmod(0o644)
    (tmp_path / "env").write_text("\n".join(kept) + "\n")

    second = make_keys(tmp_path)

    assert second == {**first, "ABLY_DEV_KEY": second["ABLY_DEV_KEY"], "ABLY_API_KEY": second["ABLY_DEV_KEY"]}
    assert second["ABLY_DEV_KEY"] not in ("", first["ABLY_DEV_KEY"])


CHOSEN = {
    "PLANNER": "llm", "LLM_BASE_URL": "http://host.docker.internal:11434/v1", "LLM_MODEL": "small", "LLM_API_KEY": "any",
    "LLM_MAX_TOKENS": "512", "LLM_BUDGET_TOKENS": "9000", "LLM_PRICE_IN": "15", "LLM_PRICE_OUT": "60", "LLM_BUDGET_COST": "2.5",
    "LLM_TIMEOUT_MS": "5000", "LLM_ATTEMPTS": "2", "TOOLS": "my_pkg.tools", "HTTP_TOOLS": "/tools/http.toml",
    "MCP_SERVERS": "/tools/mcp.toml", "POLICIES": "/tools/policies.toml", "OUTBOUND_ALLOW": "*=partner.example",
    "TOOL_COSTS": "my_tool=3",
}  # fmt: skip
ASK_AND_CALL = {"ingress", "resume", "step_executor"}


def test_models_tools_and_policies_are_passed_to_all_who_need_them_and_to_nobody_else() -> None:
    """The three plan alike; without a choice there are none, and the servers for development get no model's key."""
    for name, service in compose(**CHOSEN)["services"].items():
        given = {key: str(value) for key, value in service.get("environment", {}).items() if key in CHOSEN}
        assert given == (CHOSEN if name in ASK_AND_CALL else {}), name
    settings = [name for name in Settings.__struct_fields__ if name.startswith("llm_") or name == "planner"]
    assert {name.upper() for name in settings} <= CHOSEN.keys()
    for name in ASK_AND_CALL:
        given = services()[name]["environment"]
        assert {given[key] for key in CHOSEN} == {""}, name


def test_files_of_ones_own_are_in_a_folder_that_modules_are_looked_for_in(tmp_path: Path) -> None:
    """Read-only, and the same for all three."""
    for name, service in compose(COMPOSE_TOOLS=str(tmp_path))["services"].items():
        mounted = [volume for volume in service.get("volumes", []) if ":/tools" in volume]
        assert mounted == ([f"{tmp_path}:/tools:ro"] if name in ASK_AND_CALL else []), name
        assert (service.get("environment", {}).get("PYTHONPATH") == "/tools") is (name in ASK_AND_CALL)
    assert (ROOT / "examples").is_dir()
    assert "./examples:/tools:ro" in services()["ingress"]["volumes"]
