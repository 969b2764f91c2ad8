#!/usr/bin/env python3
"""Writes libsrtp.txt: packets as libsrtp protects them.

Run once, with `pip install pylibsrtp`; the tests read what it wrote. A line is
`suite key`, `rtp plain protected` or `rtcp plain protected`, in hexadecimal.
"""

import struct
import sys

from pylibsrtp import Policy, Session

SUITES = [
    ("AES_CM_128_HMAC_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    ("AES_CM_128_HMAC_SHA1_32", Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    ("AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    ("AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
]


def rtp(first, sequence, ssrc, rest):
    return struct.pack("!BBHII", first, 0x08, sequence, 160 * sequence, ssrc) + rest


def packets():
    ssrc = 0xDECAFBAD
    payload = bytes(i % 251 for i in range(160))
    for sequence in [65533, 65535, 65534, 0, 2, 1]:
        yield "rtp", rtp(0x80, sequence, ssrc, payload)
    # Contributing sources and an extension; padding; nothing at all; much.
    extension = bytes(8) + struct.pack("!HH", 0xBEDE, 1) + b"\x10\xff\x00\x00"
    yield "rtp", rtp(0x92, 3, ssrc, extension + payload[:33])
    yield "rtp", rtp(0xA0, 4, ssrc, payload[:13] + b"\x00\x00\x03")
    yield "rtp", rtp(0x80, 5, ssrc, b"")
    yield "rtp", rtp(0x80, 6, ssrc, payload * 8)
    yield "rtp", rtp(0x80, 7, 0x0BADCAFE, payload[:20])
    report = struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, 1 << 60, 160, 9, 1440)
    name = struct.pack("!BBHIBB", 0x81, 202, 3, ssrc, 1, 5) + b"codec\x00"
    yield "rtcp", report + name
    yield "rtcp", report
    yield "rtcp", struct.pack("!BBHI", 0x80, 201, 1, ssrc)


def main():
    out = open(sys.argv[1], "w") if len(sys.argv) > 1 else sys.stdout
    for name, profile, length in SUITES:
        key = bytes((37 * i + length) % 256 for i in range(length))
        policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        session = Session(policy=policy)
        print(name, key.hex(), file=out)
        for kind, plain in packets():
            protect = session.protect if kind == "rtp" else session.protect_rtcp
            print(kind, plain.hex(), protect(plain).hex(), file=out)


main()
