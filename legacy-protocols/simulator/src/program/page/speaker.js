// In the sound's own thread: gathers the microphone into pieces of 20 ms, and plays what comes with
// a little in hand. What is more than 200 ms behind is dropped.

const PIECE = 320;
const MOST = PIECE * 10;
const IN_HAND = PIECE * 2;

class Station extends AudioWorkletProcessor {
  constructor() {
    super();
    this.said = new Int16Array(PIECE);
    this.count = 0;
    this.heard = [];
    this.waiting = 0;
    this.at = 0;
    this.plays = false;
    this.port.onmessage = (message) => {
      this.heard.push(message.data);
      this.waiting += message.data.length;
      while (this.waiting > MOST) { this.waiting -= this.heard.shift().length - this.at; this.at = 0; }
    };
  }

  process(inputs, outputs) {
    const input = inputs[0][0];
    if (input) for (const sample of input) this.say(sample);
    const output = outputs[0][0];
    if (!this.plays && this.waiting >= IN_HAND) this.plays = true;
    for (let index = 0; index < output.length; index += 1) output[index] = this.plays ? this.next() : 0;
    return true;
  }

  say(sample) {
    this.said[this.count] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
    this.count += 1;
    if (this.count === PIECE) {
      const piece = this.said.slice();
      this.port.postMessage(piece.buffer, [piece.buffer]);
      this.count = 0;
    }
  }

  next() {
    const first = this.heard[0];
    if (!first) { this.plays = false; return 0; }
    const sample = first[this.at] / 32768;
    this.at += 1;
    this.waiting -= 1;
    if (this.at === first.length) { this.heard.shift(); this.at = 0; }
    return sample;
  }
}

registerProcessor("station", Station);
