"""How far the engine scales, counted and not timed: `make scale`, or `python -m bench.scale`. See docs/scaling.md."""
