"""A local, durable server that speaks QStash v2: development, tests and offline use. `docs/qstash-dev.md` is its manual."""
