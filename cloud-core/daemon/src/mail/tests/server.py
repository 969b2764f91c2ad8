"""A mail server that others have written (aiosmtpd), with the moods that servers have.

Prints one line of JSON when it listens, and one for each letter it takes.
  --tls none|starttls|tls   --cert FILE --key FILE
  --user NAME --password WORD   asks for them
  --refuse ADDRESS              knows no such recipient (550)
  --grey N                      puts each recipient off N times (451)
  --drop N                      breaks the first N conversations off at the message
  --port N
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("--tls", default="none")
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--refuse")
parser.add_argument("--grey", type=int, default=0)
parser.add_argument("--drop", type=int, default=0)
parser.add_argument("--port", type=int, default=0)
settings = parser.parse_args()


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Handler:
    def __init__(self):
        self.put_off = {}
        self.dropped = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == settings.refuse:
            return "550 5.1.1 no such user here"
        times = self.put_off.get(address, 0)
        if times < settings.grey:
            self.put_off[address] = times + 1
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.dropped < settings.drop:
            self.dropped += 1
            server.transport.abort()
            return "421 4.3.0 going away"
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or settings.tls == "tls",
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "text": envelope.content.decode("utf-8", "replace"),
        })
        return "250 2.0.0 taken"


def authenticator(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.login.decode() == settings.user \
        and data.password.decode() == settings.password
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


async def main():
    context = None
    if settings.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.cert, settings.key)
    handler = Handler()
    starttls = settings.tls == "starttls"

    def conversation():
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticator if settings.user else None,
            auth_required=bool(settings.user),
            auth_require_tls=settings.tls == "starttls",
        )

    wrapped = context if settings.tls == "tls" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(conversation, "127.0.0.1", settings.port, ssl=wrapped)
    say({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


asyncio.run(main())
