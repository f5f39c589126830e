"""Looks at the endpoint of a model as the planner uses it. Answers with facts, also when nothing answers."""

import httpx
import msgspec

from shared.cli import reach
from shared.cli.reach import Said


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint said to a key."""

    listed: Said
    """`GET /models`."""
    names: tuple[str, ...] | None = None
    """What it lists; None where it lists nothing readable."""
    spoke: Said = Said()
    """One short question to the model itself; not asked where the list settles it."""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


_models = msgspec.json.Decoder(_Models)


async def ask_key(client: httpx.AsyncClient, base: str, key: str) -> ModelFacts:
    """What models there are for the key; costs nothing."""
    said = await reach.get(client, f"{base.rstrip('/')}/models", token=key)
    try:
        names = tuple(one.id for one in _models.decode(said.body).data) if said.status == 200 else None
    except msgspec.DecodeError:
        names = None
    return ModelFacts(listed=said, names=names)


async def look_at_model(client: httpx.AsyncClient, base: str, key: str, model: str) -> ModelFacts:
    """Whether it knows the model. What is not in the list is asked: lists leave out aliases, and some endpoints have none."""
    facts = await ask_key(client, base, key)
    if facts.listed.error or facts.listed.status in {401, 403} or model in (facts.names or ()):
        return facts
    asked = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Say ok."}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    said = await reach.call(client, "POST", f"{base.rstrip('/')}/chat/completions", headers, msgspec.json.encode(asked))
    return msgspec.structs.replace(facts, spoke=said)
