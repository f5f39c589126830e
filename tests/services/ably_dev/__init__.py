"""ably_dev over real sockets, judged by the official clients."""
