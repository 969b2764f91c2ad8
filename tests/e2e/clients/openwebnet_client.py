"""OWNd, a client of OpenWebNet servers, driven line by line.

Arguments: ADDRESS, PORT of a session for events, PORT of one for commands. On standard input
`send FRAME`, `light_on WHERE` or `read FRAME`, one a line; on standard output one line for each:
`heard`, `made`, `read` with what OWNd understands, and OWNd's own log after `log`.
"""

import asyncio
import logging
import sys

from OWNd.connection import OWNCommandSession, OWNEventSession, OWNGateway
from OWNd.message import OWNLightingCommand, OWNMessage, OWNSignaling


def tell(*words):
    print(*words, flush=True)


def understood(frame):
    """What OWNd's grammar says: it has classes for some families, and fields for all."""
    if isinstance(OWNMessage.parse(frame), OWNSignaling):
        return "signal"
    message = OWNMessage(frame)
    if not message.is_valid:
        return "invalid"
    content = message.event_content
    words = [f"who={content['who']}", f"what={content.get('what')}"]
    words += [f"#{parameter}" for parameter in content.get("what parameters", [])]
    return " ".join(words + [f"where={content.get('where')}"])


async def listen(session):
    while True:
        message = await session.get_next()
        if message is not None:
            tell("heard", message, understood(str(message)))


async def obey(session):
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        order, argument = line.split()
        if order == "read":
            tell("read", argument, understood(argument))
            continue
        known = order == "light_on"
        message = OWNLightingCommand.switch_on(argument) if known else OWNMessage(argument)
        tell("made", message, understood(str(message)))
        await session.send(message)


async def main(address, events_port, commands_port):
    logger = logging.getLogger("OWNd")
    logger.setLevel(logging.DEBUG)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("log %(message)s"))
    logger.addHandler(handler)

    def at(port):
        return OWNGateway({"address": address, "port": port, "password": None})

    events = OWNEventSession(at(events_port), logger)
    commands = OWNCommandSession(at(commands_port), logger)
    for name, session in [("events", events), ("commands", commands)]:
        tell("session", name, await session.connect())
    listener = asyncio.create_task(listen(events))
    await obey(commands)
    listener.cancel()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
