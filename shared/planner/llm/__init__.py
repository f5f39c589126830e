"""Plans by a language model behind any OpenAI-compatible endpoint. What it says is data: it is read, checked and bounded.

`answer.py` is pure (what may be said, and how it is read), `endpoint.py` is the one call, `planner.py` joins them. The text
that the model is given stands in `prompt.md`.
"""
