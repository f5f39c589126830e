"""The realtime subscriber: hears CONTINUE_EXECUTION on Ably through a client that can fail in many ways, and loses none.

`channels`, `judging` and `progress` are pure: which channels there are, when a client must be replaced, what came and what may
be missing. `line` is one client, `history` reads what was missed, `mailbox` hands over to the door, `running` joins them.
"""
