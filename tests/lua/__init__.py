"""One file a Lua command: every return code, and what a client that sends it twice gets and leaves behind."""
