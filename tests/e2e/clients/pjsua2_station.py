"""A SIP station on pjsua2, driven line by line.

Arguments: ADDRESS WAV-TO-RECORD [AUTHORITY SUITE,SUITE...]. With an authority,
SIP goes over TLS, and SRTP is mandatory, with these suites or its own. Commands on
standard input, one a line; events on standard output, one a line, first word the
event's name. Audio is a tone out, a recording in; there is no sound card.
"""

import os
import selectors
import sys

import pjsua2 as pj


def tell(*words):
    print(*words, flush=True)


class Call(pj.Call):
    def __init__(self, station, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(station.account, call_id)
        self.station = station

    def onCallState(self, _):
        info = self.getInfo()
        tell("call", info.stateText, info.lastStatusCode)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.station.calls.discard(self)
            if self.station.call is self:
                self.station.call = None

    def onCallMediaState(self, _):
        # The list lives in the info: it must outlast the loop.
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            tell("media", media.status)
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(media.index)
                self.station.tone.startTransmit(audio)
                audio.startTransmit(self.station.recorder)

    def onDtmfDigit(self, digit):
        tell("digit", digit.digit)

    def onCallTransferStatus(self, status):
        tell("transfer", status.statusCode)


class Account(pj.Account):
    station = None

    def onRegState(self, state):
        tell("registration", state.code)

    def onIncomingCall(self, incoming):
        call = Call(self.station, incoming.callId)
        self.station.keep(call)
        ringing = pj.CallOpParam()
        ringing.statusCode = pj.PJSIP_SC_RINGING
        call.answer(ringing)
        tell("incoming", call.getInfo().remoteUri)


class Station:
    def __init__(self, address, recording, authority=None, suites=""):
        self.calls = set()
        self.call = None
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = 3
        config.logConfig.consoleLevel = 0
        config.medConfig.noVad = True
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = address
        transport.publicAddress = address
        transport.port = 5060
        self.suites = None
        if authority is None:
            self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        else:
            self.suites = [suite for suite in suites.split(",") if suite]
            transport.port = 5061
            transport.tlsConfig.CaListFile = authority
            transport.tlsConfig.verifyServer = True
            self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, transport)
        self.endpoint.libStart()
        self.do_codec("PCMA/8000/1")
        self.address = address
        self.tone = pj.ToneGenerator()
        self.tone.createToneGenerator(16000, 1)
        tone = pj.ToneDesc()
        tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = 800, 0, 1000, 0
        self.tone.play(pj.ToneDescVector([tone]), True)
        self.recorder = pj.AudioMediaRecorder()
        self.recorder.createRecorder(recording)
        self.account = None

    def keep(self, call):
        self.calls.add(call)
        self.call = call

    def do(self, line):
        command, _, rest = line.partition(" ")
        getattr(self, "do_" + command)(*rest.split())

    def do_register(self, user, password, registrar):
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@{registrar}"
        config.regConfig.registrarUri = f"sip:{registrar}"
        if self.suites is not None:
            config.regConfig.registrarUri += ";transport=tls"
            config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
            config.mediaConfig.srtpSecureSignaling = 1
            if self.suites:
                cryptos = [pj.SrtpCrypto() for _ in self.suites]
                for crypto, name in zip(cryptos, self.suites):
                    crypto.name = name
                config.mediaConfig.srtpOpt.cryptos = pj.SrtpCryptoVector(cryptos)
        config.regConfig.timeoutSec = 60
        config.mediaConfig.transportConfig.boundAddress = self.address
        config.mediaConfig.transportConfig.publicAddress = self.address
        if password != "-":
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        self.account = Account()
        self.account.station = self
        self.account.create(config)

    def do_codec(self, only):
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId == only else 0)

    def do_call(self, uri):
        call = Call(self)
        self.keep(call)
        call.makeCall(uri, pj.CallOpParam(True))

    def do_answer(self):
        answer = pj.CallOpParam(True)
        answer.statusCode = pj.PJSIP_SC_OK
        self.call.answer(answer)

    def do_digit(self, digit):
        self.call.dialDtmf(digit)

    def do_hold(self):
        self.call.setHold(pj.CallOpParam(True))

    def do_resume(self):
        operation = pj.CallOpParam(True)
        operation.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.call.reinvite(operation)

    def do_transfer(self, uri):
        self.call.xfer(uri, pj.CallOpParam(True))

    def do_hangup(self):
        self.call.hangup(pj.CallOpParam(True))


def main():
    station = Station(*sys.argv[1:])
    tell("ready")
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    os.set_blocking(sys.stdin.fileno(), False)
    pending = ""
    while True:
        station.endpoint.libHandleEvents(10)
        if not selector.select(0):
            continue
        read = os.read(sys.stdin.fileno(), 65536).decode()
        if not read:
            break
        pending += read
        *lines, pending = pending.split("\n")
        for line in lines:
            try:
                station.do(line)
                tell("done", line.split()[0])
            except pj.Error as error:
                tell("refused", line, error.info())
    # Going through pjsua2's own shutdown would send to peers that are gone.
    os._exit(0)


main()
