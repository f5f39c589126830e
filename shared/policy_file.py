"""The file of policies that a setting names, read once at the start."""

import msgspec

from shared.errors import SettingsError
from shared.policies import NO_POLICIES, Policies, misnamed, read
from shared.shaped_file import loaded
from shared.tools.registry import Registry


def load(path: str, registry: Registry) -> Policies:
    """The policies of a file; none without a path. SettingsError names the file, the place in it, and what to write."""
    if not path:
        return NO_POLICIES
    found = loaded("POLICIES", path, read)
    for problem in misnamed(found, takes(registry)):
        raise SettingsError(f"POLICIES={path}: {problem}", field="POLICIES")
    return found


def takes(registry: Registry) -> dict[str, list[str]]:
    """The arguments of each tool, by its name; a policy may be about any of its versions."""
    found: dict[str, list[str]] = {}
    for name in registry.contracts():
        tools = [tool for version in registry.versions(name) if (tool := registry.get(name, version))]
        found[name] = [field.name for tool in tools for field in msgspec.structs.fields(tool.args)]
    return found
