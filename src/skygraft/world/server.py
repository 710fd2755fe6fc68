"""The embedded world's server process: ``python -m skygraft.world.server``, started by :func:`skygraft.world.services.world_services`.

It prints one JSON line with its port when it answers, and ends when its standard input ends: so it dies with its
parent, however that dies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from skygraft.world.access import AccessLog
from skygraft.world.earthengine_account import write_account
from skygraft.world.faults import Faults, read_rules
from skygraft.world.hosts import World
from skygraft.world.proxy import Authority, start_proxy

_WATCH_SECONDS = 1.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="skygraft.world.server", description="Serve the embedded world on loopback.")
    parser.add_argument("folder", type=Path, help="the drawn world")
    parser.add_argument("--authority", type=Path, required=True, help="where to write the certificate that clients must trust")
    parser.add_argument("--parent", type=int, required=True, help="the process to end with")
    parser.add_argument("--account", type=Path, help="where to write the credentials of Earth Engine's one user")
    parser.add_argument("--faults", type=Path, help="rules of what goes wrong")
    parser.add_argument("--access-log", type=Path, help="file to append requests to")
    parser.add_argument("--token-seconds", type=int, default=3600, help="how long a signature is good")
    return parser.parse_args()


async def _gone(parent: int) -> None:
    """Return when standard input ends, or when this process is another's child than ``parent``'s.

    The second watch is for a parent that forked: its children hold the pipe open after its death. Its number is told and not asked for, for
    it may be dead before anybody asks.
    """
    ended = asyncio.Event()

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            ended.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), readable)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    # Ctrl-C goes to the whole group: the parent decides when its services end.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    while not ended.is_set() and os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _WATCH_SECONDS)


async def _main(arguments: argparse.Namespace) -> None:
    rules = read_rules(arguments.faults) if arguments.faults else []
    log = AccessLog(arguments.access_log) if arguments.access_log else None
    account = None if arguments.account is None else write_account(arguments.account)
    world = World(arguments.folder, Faults(rules), log, arguments.token_seconds, account)
    authority = Authority()
    authority.write(arguments.authority)
    server = await start_proxy(authority, world.answer)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    await _gone(arguments.parent)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(_arguments()))
