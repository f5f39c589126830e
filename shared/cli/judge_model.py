"""Verdicts on the model that plans. Pure. An endpoint's own words are not shown: some quote the key."""

import difflib

from shared.cli.findings import Finding
from shared.cli.judge import is_loopback
from shared.cli.reach import Said
from shared.cli.reach_model import ModelFacts
from shared.settings import Settings

CHECK = "model"
_REFUSED = frozenset({401, 403})


def unused(settings: Settings) -> Finding | None:
    """Why no model is asked, where something was set for one; None where one is, or nothing was."""
    if settings.planners != "rules" or not (settings.llm_model or settings.llm_api_key):
        return None
    if settings.planner == "rules":
        message, remedy = "PLANNER=rules: LLM_MODEL and LLM_API_KEY count for nothing", "PLANNER=auto asks the model"
        return Finding(check=CHECK, status="warn", message=message, remedy=remedy)
    lacks = "LLM_API_KEY" if settings.llm_model else "LLM_MODEL"
    remedy = f"set {lacks} (an endpoint that wants no key takes any word), or unset the other"
    return Finding(check=CHECK, status="warn", message=f"{lacks} is empty: the rules plan, no model is asked", remedy=remedy)


def reached(where: str, facts: ModelFacts) -> Finding:
    """Whether an endpoint answers there and takes the key. `where`: its address without a password."""
    said = facts.listed
    if said.error:
        start = "start it, or correct LLM_BASE_URL" if is_loopback(where) else "correct LLM_BASE_URL, or the network"
        return Finding(check=CHECK, status="fail", message=f"{where}: {said.error}", remedy=start, away=True)
    if said.status in _REFUSED:
        return _key_refused(where, said)
    if said.status >= 500 or said.status == 429:
        message = f"{where} answers {said.status}"
        return Finding(check=CHECK, status="warn", message=message, remedy="try again; is the account's limit used up?")
    said_so = "takes the key" if said.status == 200 else f"answers ({said.status}: it has no list of models)"
    return Finding(check=CHECK, status="ok", message=f"{where} {said_so}")


def known(where: str, facts: ModelFacts, model: str) -> Finding:
    """Whether it knows the model, too."""
    found = reached(where, facts)
    if found.status == "fail":
        return found
    if model in (facts.names or ()):
        return Finding(check=CHECK, status="ok", message=f"{where} takes the key and knows {model}")
    spoke = facts.spoke
    if 200 <= spoke.status < 300:
        return Finding(check=CHECK, status="ok", message=f"{where} takes the key, and {model} answers")
    return _unknown(where, facts, model) if 400 <= spoke.status < 500 and spoke.status != 429 else _silent(where, spoke, model)


def _unknown(where: str, facts: ModelFacts, model: str) -> Finding:
    if facts.spoke.status in _REFUSED:
        return _key_refused(where, facts.spoke)
    if facts.names is None and facts.spoke.status == 404:
        message = f"{where} has neither a list of models nor {model} (404)"
        remedy = "LLM_BASE_URL needs its path (https://api.openai.com/v1); LLM_MODEL must be a model's name there"
        return Finding(check=CHECK, status="fail", message=message, remedy=remedy)
    close = difflib.get_close_matches(model, facts.names or (), 3, 0.4)
    meant = f"did you mean {', '.join(close)}?" if close else "LLM_MODEL must be a model's name there"
    message = f"{where} does not take the model {model} ({facts.spoke.status})"
    return Finding(check=CHECK, status="fail", message=message, remedy=meant)


def _silent(where: str, said: Said, model: str) -> Finding:
    message = f"{model} at {where} did not answer: {said.error or said.status}"
    return Finding(check=CHECK, status="warn", message=message, remedy="try again; is the account's limit used up?")


def _key_refused(where: str, said: Said) -> Finding:
    message = f"{where} refuses LLM_API_KEY ({said.status})"
    return Finding(check=CHECK, status="fail", message=message, remedy="copy the key again from its provider's console")
