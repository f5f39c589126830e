"""Show, start and stop faults of a running server: `python -m services.qstash_dev.faults on drop,to=host,probability=0.1`.

It talks to QSTASH_URL with QSTASH_TOKEN; with INTENTION_MODE=local those of a local server are known.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from services.qstash_dev.faults.plan import MEANING, Fault, Plan
from shared.errors import SettingsError
from shared.settings_load import load

WORDS = "\n".join(f"  {kind:<10}{meaning}" for kind, meaning in MEANING.items())
EPILOG = f"""A fault is its kind and its options, comma separated: drop,to=127.0.0.1:3001,probability=0.1 error,count=3

{WORDS}

options: to (URL prefix or host), probability, count, ms; of error: status, after; of error, quota, slow: calls=all"""


def main(argv: Sequence[str]) -> int:
    """0 when the server did it, 1 when it refused, 2 when the words are wrong or nobody answers."""
    words = _parser().parse_args(argv)
    try:
        config = load(os.environ)
        plan = _plan(words) if words.action == "on" else None
    except (SettingsError, ValueError) as error:
        return _complain(error)
    method = {"show": "GET", "on": "PUT", "off": "DELETE"}[words.action]
    try:
        response = httpx.request(
            method,
            f"{words.url or config.qstash_url}/v2/dev/faults",
            headers={"Authorization": f"Bearer {config.token!s}"},
            content=msgspec.json.encode(plan) if plan else None,
        )
    except httpx.HTTPError as error:
        return _complain(error)
    print(_shown(response))
    return 0 if response.is_success else 1


def _parser() -> argparse.ArgumentParser:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="faults", description="Faults on demand.", epilog=EPILOG, formatter_class=style)
    parser.add_argument("action", nargs="?", choices=["show", "on", "off"], default="show")
    parser.add_argument("faults", nargs="*", help="replaces all faults that are on")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another order of events")
    parser.add_argument("--persist", action="store_true", help="go on after a restart of the server")
    parser.add_argument("--url", default="", help="instead of QSTASH_URL")
    return parser


def _plan(words: argparse.Namespace) -> Plan:
    if not words.faults:
        raise ValueError("name at least one fault, or say `off`")
    return Plan(faults=tuple(map(read_fault, words.faults)), seed=words.seed, persist=words.persist)


def read_fault(text: str) -> Fault:
    """`kind,name=value,...` as a fault; ValueError for anything else."""
    kind, *options = text.split(",")
    fields: dict[str, Any] = {"kind": kind.strip()}
    for option in options:
        name, _, value = option.partition("=")
        fields[name.strip()] = value.strip()
    return msgspec.convert(fields, Fault, strict=False)


def _shown(response: httpx.Response) -> str:
    if not response.is_success:
        return f"{response.status_code}: {response.text}"
    found = response.json()
    if not found["on"]:
        return "no faults are on"
    more = f"seed {found['seed']}, {'survives' if found['persist'] else 'ends with'} a restart"
    rows = [f"  {one['words']}: {one['fired']} of {one['met']} times so far" for one in found["faults"]]
    return "\n".join([f"FAULTS ARE ON ({more})", *rows])


def _complain(error: Exception) -> int:
    print(f"faults: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
