"""The services over ASGI, as their own tests call them."""

from tests.services.engine.conftest import site

__all__ = ["site"]
