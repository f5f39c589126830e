"""From words to a plan. Text is data: it never becomes code, a tool name outside the registry, or an expression."""
