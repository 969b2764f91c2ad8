"""Schemathesis over the whole interface of a cloud core that is started for it.

    fuzz.py PROGRAM DESCRIPTION [--seconds N] [--seed N] [--examples N]

PROGRAM is `antiphon-cloud`, DESCRIPTION its `openapi.json`. Signs in as the owner of a new company
and lets Schemathesis find requests that end in a status of 5xx, in an answer that the description
does not know, or in one that is not shaped as it says. Routes that would end the session are left
out, and the stream of events, which has no end. Ends with 0 when nothing was found.

Runs with the Python of the folder that `scripts/setup.sh test` makes; needs nothing else.
"""

import argparse
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# Not to be asked: without an end, or the end of the session with which the rest is asked; or octets
# of a kind that Schemathesis cannot make (the tests of uploads do).
LEFT_OUT = [
    ("PATCH", "/v1/uploads/{upload}"),
    ("GET", "/api/v1/events"),
    ("POST", "/api/v1/logout"),
    ("DELETE", "/api/v1/me/sessions"),
    ("DELETE", "/api/v1/me/sessions/{session}"),
]

# What Schemathesis takes for a fault and is none.
NOT_CHECKED = [
    # An id that is well formed and names nothing is a thing that does not exist: 404, as it should.
    "positive_data_acceptance",
    # A thing that others may see as well is gone for all of them at once, or only for some.
    "use_after_free",
    "ensure_resource_availability",
]

# Known: they take a longer text, or more, than they describe, and find nothing by it.
TAKE_TOO_MUCH = [
    "GET /api/v1/companies/{company}/audit",
    "GET /api/v1/companies/{company}/sites",
    "POST /api/v1/password/forgotten",
    "GET /api/v1/companies/{company}/devices",
]

OWNER = "owner@example.com"
PATIENCE = 60


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def configuration(folder, ports):
    api, devices, revocation = ports
    return f"""\
folder = "{folder}/data"
url = "http://localhost:{api}"
[listen]
api = "127.0.0.1:{api}"
api_tls = "off"
devices = "127.0.0.1:{devices}"
revocation = "127.0.0.1:{revocation}"
[limits]
requests_per_caller = 1000000
requests_per_address = 1000000
[log]
level = "warn"
"""


@contextlib.contextmanager
def core(program, folder):
    """A running core; gives its port and the owner's password."""
    ports = free_ports(3)
    config = folder / "core.toml"
    config.write_text(configuration(folder, ports))
    made = subprocess.run(
        [program, "init", "--config", config, "--company", "Fuzz Ltd", "--owner", OWNER],
        check=True, capture_output=True, text=True,
    )
    password = re.search(r"password, shown only now: (\S+)", made.stdout).group(1)
    log = open(folder / "core.log", "wb")
    running = subprocess.Popen([program, "serve", "--config", config], stderr=log)
    try:
        until_it_answers(running, ports[0])
        yield ports[0], password
        if running.poll() is not None:
            sys.exit(f"the core ended by itself, with {running.returncode}")
    finally:
        running.terminate()
        running.wait(PATIENCE)
        log.close()
        print((folder / "core.log").read_text(errors="replace")[-4000:])


def until_it_answers(running, port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and running.poll() is None:
        try:
            request(port, "GET", "/api/v1/health")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the core did not begin to answer")


def request(port, method, path, body=None, cookie=None):
    headers = {"sec-fetch-site": "same-origin", "content-type": "application/json"}
    if cookie:
        headers["cookie"] = cookie
    asked = urllib.request.Request(
        f"http://localhost:{port}{path}", method=method, headers=headers,
        data=None if body is None else json.dumps(body).encode(),
    )
    return urllib.request.urlopen(asked, timeout=PATIENCE)


def signed_in(port, password):
    """The cookie of the owner."""
    answer = request(port, "POST", "/api/v1/login", {"mail": OWNER, "password": password})
    return answer.headers["set-cookie"].split(";")[0]


def things(port, cookie):
    """Some that are there, so that not every request ends at a 404."""
    companies = json.load(request(port, "GET", "/api/v1/companies", cookie=cookie))
    company = companies["items"][0]["id"]
    body = {"name": "a project"}
    project = request(port, "POST", f"/api/v1/companies/{company}/projects", body, cookie)
    return {"company": company, "project": json.load(project)["id"]}


def schemathesis(port, cookie, known, options, folder):
    settings = [f"seed = {options.seed}", "[parameters]"]
    settings += [f'"path.{name}" = "{value}"' for name, value in known.items()]
    # A version that is stale is told before the body is read.
    refused = "400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429"
    for check in ["negative_data_rejection", "missing_required_header"]:
        settings += [f"[checks.{check}]", f"expected-statuses = [{refused}]"]
    for name in TAKE_TOO_MUCH:
        settings += ["[[operations]]", f'include-name = "{name}"']
        settings += ["[operations.checks.negative_data_rejection]", "enabled = false"]
    for method, path in LEFT_OUT:
        settings += ["[[operations]]", f'include-name = "{method} {path}"', "enabled = false"]
    (folder / "schemathesis.toml").write_text("\n".join(settings) + "\n")
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis",
        "--config-file", folder / "schemathesis.toml",
        "run", options.description.resolve(),
        "--url", f"http://localhost:{port}",
        "--header", f"Cookie: {cookie}",
        "--header", "Sec-Fetch-Site: same-origin",
        "--max-examples", str(options.examples),
        "--max-time", str(options.seconds),
        "--workers", "1",
        "--request-timeout", "30",
        "--generation-database", "none",
        "--exclude-checks", ",".join(NOT_CHECKED),
        "--continue-on-failure",
        "--no-color",
    ]
    return command


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("description", type=pathlib.Path)
    arguments.add_argument("--seconds", type=int, default=120)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--examples", type=int, default=20)
    options = arguments.parse_args()
    program = options.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with core(program, folder) as (port, password):
            cookie = signed_in(port, password)
            known = things(port, cookie)
            command = schemathesis(port, cookie, known, options, folder)
            found = subprocess.run(command, cwd=folder, check=False).returncode
            # Whatever was asked, the one who asked is still signed in.
            request(port, "GET", "/api/v1/me", cookie=cookie)
    sys.exit(found)


if __name__ == "__main__":
    main()
