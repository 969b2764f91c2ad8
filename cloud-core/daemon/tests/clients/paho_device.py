"""Eclipse Paho as a device at the front door, driven line by line.

Arguments: PORT, FILE of the root, FILE of its certificate, FILE of its key, its NAME, VERSION (3 or 5).
On standard input `publish TOPIC PAYLOAD`, `subscribe FILTER` or `end`, one a line; on standard output
one line for each: `connected SESSION`, `refused REASON`, `taken NUMBER REASON`, `granted REASON`,
`message TOPIC PAYLOAD`, `lost REASON`. What is published is called by its NUMBER, from 1. Commands are
answered `done`.
"""

import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOUR = 3600
# What is acknowledged before `publish` has told its packet, and the other way round.
numbers, acknowledged, both = {}, {}, threading.Lock()


def tell(*words):
    print(*words, flush=True)


def connected(client, _userdata, flags, reason, _properties):
    if reason.is_failure:
        tell("refused", reason)
    else:
        tell("connected", "kept" if flags.session_present else "new")


def arrived(client, _userdata, message):
    text = message.payload.decode()
    tell("message", message.topic, text)
    if message.topic.endswith("/down/cmd"):
        result = json.dumps({"cmd": json.loads(text)["cmd"], "state": "done"})
        client.publish(message.topic.replace("/down/cmd", "/up/result"), result, qos=1)


def taken(_client, _userdata, number, reason, _properties):
    with both:
        acknowledged[number] = reason
    settle(number)


def settle(number):
    with both:
        if number in numbers and number in acknowledged:
            tell("taken", numbers.pop(number), acknowledged.pop(number))


def device(root, certificate, key, name, version):
    protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
    begins_anew = {} if version == "5" else {"clean_session": False}
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, **begins_anew
    )
    client.tls_set(root, certificate, key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.reconnect_delay_set(1, 2)
    client.on_connect = connected
    client.on_message = arrived
    client.on_publish = taken
    client.on_subscribe = lambda _c, _u, _n, reasons, _p: tell("granted", *reasons)
    client.on_disconnect = lambda _c, _u, _f, reason, _p: tell("lost", reason)
    return client


def main(port, root, certificate, key, name, version):
    client = device(root, certificate, key, name, version)
    more = {}
    if version == "5":
        more["properties"] = Properties(PacketTypes.CONNECT)
        more["properties"].SessionExpiryInterval = HOUR
        more["clean_start"] = False
    client.connect("localhost", int(port), keepalive=30, **more)
    client.loop_start()
    published = 0
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split(" ", 2)
        if word == "publish":
            published += 1
            number = client.publish(rest[0], rest[1], qos=1).mid
            with both:
                numbers[number] = published
            settle(number)
        elif word == "subscribe":
            client.subscribe(rest[0], qos=1)
        elif word == "end":
            break
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
