"""A local, durable server that speaks Ably's protocol: REST, realtime and webhooks, for development and tests."""
