"""The processes. Each imports `shared`, never another service."""

from shared import lean as lean  # before any other module of ours imports what it imports
