"""Which addresses belong to the public internet: what is named from outside must not lead to what only we can reach."""

from __future__ import annotations

import ipaddress
import socket

import urllib3

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
# What the standard library takes for public: a network's own translation to IPv4 (RFC 8215), addresses of a site, of IPv4 hosts.
_OWN = tuple(ipaddress.IPv6Network(each) for each in ("64:ff9b:1::/48", "fec0::/10", "::/96", "::ffff:0:0:0/96"))


class PrivateAddressError(urllib3.exceptions.HTTPError):
    """A redirect or an answer leads to an address inside the own network, of a host that the configuration does not name."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not loopback, private, link-local, shared, reserved or of a group.

    An IPv6 address that stands for an IPv4 one is judged by that.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and any(found in network for network in _OWN):
            return False
        found = inner or found
    return found.is_global and not found.is_multicast


def may_be_public(host: str) -> bool:
    """Whether a host's name by itself says nothing against it: no name of this machine, and no address that is not public.

    Addresses count in every form that resolvers read, such as ``127.1`` and ``2130706433``.
    """
    name = host.rstrip(".").lower().strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return False
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(name)))
    except OSError:
        return ":" not in name or is_public(name)
