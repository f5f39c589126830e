"""The adapters around the machine: signatures, settings, messages, tools, segments and the edges of the three services."""
