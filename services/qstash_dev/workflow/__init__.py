"""Upstash Workflow on this server: runs that grow by published steps, waiters, and what follows a failed run."""
