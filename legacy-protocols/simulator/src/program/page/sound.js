// Speaking and listening at one station: the microphone to the site, the site to the loudspeaker,
// as 16 kHz sound in pieces of 20 ms. Without a microphone one can still listen. The ring and the
// ring-back are made here, as a station makes its own.

const RATE = 16000;

export class Speech {
  static async at(station) {
    const speech = new Speech(station);
    await speech.begin();
    return speech;
  }

  constructor(station) {
    this.station = station;
    this.socket = null;
    this.microphone = null;
    this.ringing = null;
  }

  async begin() {
    this.context = new AudioContext({ sampleRate: RATE });
    await this.context.audioWorklet.addModule("/speaker.js");
    this.node = new AudioWorkletNode(this.context, "station", { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1] });
    this.node.connect(this.context.destination);
    this.socket = new WebSocket(`ws://${location.host}/sound/${encodeURIComponent(this.station)}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (message) => this.node.port.postMessage(new Int16Array(message.data));
    this.node.port.onmessage = (message) => {
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message.data);
    };
    try {
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, channelCount: 1 } });
      this.context.createMediaStreamSource(this.microphone).connect(this.node);
    } catch {
      // Listening only.
    }
    await this.context.resume();
  }

  state(station) {
    const ringing = station.call && station.call.phase === "ringing";
    const wanted = ringing ? (station.call.calls ? "back" : "ring") : null;
    if (wanted === this.ringing) return;
    this.ringing = wanted;
    clearInterval(this.bell);
    if (wanted === "ring") this.repeat(1200, () => { this.tone(820, .25, 0); this.tone(660, .35, .28); });
    if (wanted === "back") this.repeat(4000, () => this.tone(425, 1, 0));
  }

  repeat(every, act) { act(); this.bell = setInterval(act, every); }

  tone(hertz, seconds, later) {
    const at = this.context.currentTime + later;
    const tone = new OscillatorNode(this.context, { frequency: hertz });
    const gain = new GainNode(this.context, { gain: 0 });
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(.15, at + .02);
    gain.gain.linearRampToValueAtTime(0, at + seconds);
    tone.connect(gain).connect(this.context.destination);
    tone.start(at);
    tone.stop(at + seconds);
  }

  end() {
    clearInterval(this.bell);
    if (this.socket) this.socket.close();
    if (this.microphone) for (const track of this.microphone.getTracks()) track.stop();
    if (this.context) this.context.close();
  }
}
