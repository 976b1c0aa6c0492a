"""Where to listen, as people write it."""

from __future__ import annotations

import pytest

from backend.server.listening import Address
from shared_protocol.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected", "is_loopback"),
    [
        ("127.0.0.1", Address("127.0.0.1", 0, 0), True),
        ("localhost:7000", Address("127.0.0.1", 7000, 7001), True),
        ("::1", Address("::1", 0, 0), True),
        ("[::1]:7000", Address("::1", 7000, 7001), True),
        ("0.0.0.0:7000", Address("0.0.0.0", 7000, 7001), False),
        ("192.168.1.20:7000", Address("192.168.1.20", 7000, 7001), False),
        ("[fd00::2]:7000", Address("fd00::2", 7000, 7001), False),
    ],
)
def test_addresses_are_read(text: str, expected: Address, is_loopback: bool) -> None:
    assert Address.parse(text) == expected
    assert expected.is_loopback is is_loopback


@pytest.mark.parametrize(
    "text", ["", "example.org:7000", "1.2.3.4:x", "1.2.3.4:65535", "1.2.3.4:-1", "*", "[::1", "::1:"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no address"):
        Address.parse(text)


def test_endpoints_are_what_the_sockets_want() -> None:
    assert Address("::1").endpoint(0) == "tcp://[::1]:*"
    assert Address("10.0.0.1", 7000, 7001).endpoint(7001) == "tcp://10.0.0.1:7001"
