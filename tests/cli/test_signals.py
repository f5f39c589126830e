"""Where `intention signal --via ably` publishes, with which key, and for whom."""

import pytest

from shared.cli.api import Failed
from shared.cli.signals import ably_of, tenant_of
from shared.settings import DEV_ABLY_KEY


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, (DEV_ABLY_KEY, "http://127.0.0.1:8090")),
        ({"ABLY_DEV_PORT": "9000"}, (DEV_ABLY_KEY, "http://127.0.0.1:9000")),
        ({"ABLY_URL": "http://127.0.0.1:7"}, (DEV_ABLY_KEY, "http://127.0.0.1:7")),
        ({"ABLY_API_KEY": "a.b:secret-of-mine"}, ("a.b:secret-of-mine", "")),
        ({"INTENTION_MODE": "production", "ABLY_API_KEY": "a.b:secret-of-mine"}, ("a.b:secret-of-mine", "")),
    ],
)
def test_the_key_and_the_server(environ: dict[str, str], found: tuple[str, str]) -> None:
    """ably_dev's beside `make run`; a key of one's own goes to the hosted Ably unless another server is named."""
    assert ably_of(environ) == found


def test_production_without_a_key_is_told_so() -> None:
    """The public key is no key there."""
    with pytest.raises(Failed, match="ABLY_API_KEY"):
        ably_of({"INTENTION_MODE": "production"})


@pytest.mark.parametrize(
    ("environ", "key", "tenant"),
    [
        ({}, None, "local"),
        ({"API_KEYS": "acme:k1, other:k2"}, None, "acme"),
        ({"API_KEYS": "acme:k1, other:k2"}, "k2", "other"),
        ({"API_KEYS": "acme:k1, other:k2", "INTENTION_KEY": "k2"}, None, "other"),
        ({"API_KEYS": "acme:k1, other:k2", "INTENTION_KEY": "k2"}, "k1", "acme"),
    ],
)
def test_the_tenant_is_that_of_the_key(environ: dict[str, str], key: str | None, tenant: str) -> None:
    """As ingress would see the caller."""
    assert tenant_of(environ, key) == tenant


def test_a_key_of_nobody_asks_for_the_tenant() -> None:
    """It is known to the services only."""
    with pytest.raises(Failed, match="--tenant"):
        tenant_of({"API_KEYS": "acme:k1"}, "k9")
