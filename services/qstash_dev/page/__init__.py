"""The server's own page: what a person wants to see of it. Server-rendered, no script; everything shown is escaped."""
