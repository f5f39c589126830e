"""The protocol as an explicit-state model: every interleaving of one small execution within a fault budget.

Read `state` (the guards are the rules), `surroundings`, `protocol`, then the tables in `cases` and `test_protocol`. Not in the
model: parallel branches, map, real time (any delay is possible, so time-outs and bounds are not checked), failure callbacks,
rate limits, more than one execution, and a tool that lies about its class.
"""
