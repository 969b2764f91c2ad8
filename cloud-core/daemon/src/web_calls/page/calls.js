// A plain page for calls: who rings, answer, talk, keys, hang up, and every state in words.

import { Signalling } from "./signalling.js";

const $ = (id) => document.getElementById(id);
const show = (id, shown) => { $(id).hidden = !shown; };
const say = (id, text) => { $(id).textContent = text; };

const REASONS = {
  hung_up: "The other side hung up.",
  caller_gave_up: "The caller gave up.",
  answered_elsewhere: "Answered on another page.",
  no_answer: "Nobody answered.",
  busy: "Busy.",
  declined: "Declined.",
  unreachable: "Not reachable.",
  unknown_number: "There is no such number.",
  not_allowed: "You may not call this number.",
  time_limit: "The longest time for a call is over.",
  transferred: "Handed on.",
  connection_lost: "The connection was lost.",
  overload: "Too many calls at the moment; try again later.",
};
const reason = (word) => REASONS[word] ?? `Ended (${word.replaceAll("_", " ")}).`;

const MICROPHONE = {
  NotAllowedError: "The microphone was refused. Allow it for this page in the browser's settings, then answer again.",
  NotFoundError: "There is no microphone. Plug one in; until then you can only listen.",
  NotReadableError: "The microphone is in use by another program.",
};

let signalling;
// The call that is shown; the page shows one at a time.
let call;
// For tests: what the page holds.
globalThis.page = { get call() { return call; }, get signalling() { return signalling; } };

async function microphone() {
  const options = globalThis.measured
    ? { echoCancellation: false, noiseSuppression: false, autoGainControl: false } : true;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: options });
  return stream.getAudioTracks()[0];
}

function connection(name) {
  const rtc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  rtc.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.candidate) signalling.send({ kind: "candidates", call: name, candidates: [candidate.candidate] });
  });
  rtc.addEventListener("track", ({ track }) => {
    if (track.kind === "audio") {
      $("sound").srcObject = new MediaStream([track]);
    } else {
      $("picture").srcObject = new MediaStream([track]);
      track.addEventListener("unmute", () => show("picture", true));
    }
  });
  rtc.addEventListener("iceconnectionstatechange", () => {
    if (call?.rtc === rtc && rtc.iceConnectionState === "failed") restart();
  });
  return rtc;
}

// Another network: the same call by new addresses.
async function restart() {
  call.rtc.restartIce();
  await negotiate();
}

async function negotiate() {
  await call.rtc.setLocalDescription();
  signalling.send({ kind: "negotiate", call: call.name, offer: call.rtc.localDescription.sdp });
}

function shown() {
  show("phone", !call);
  show("call", Boolean(call));
  if (!call) return;
  say("call-title", call.title);
  say("call-state", call.state);
  show("ringing", call.stage === "rings");
  show("talking", call.stage !== "rings");
}

function over(text) {
  if (!call) return;
  call.track?.stop();
  call.rtc.close();
  call = undefined;
  $("sound").srcObject = null;
  $("picture").srcObject = null;
  show("picture", false);
  for (const id of ["mute", "hold"]) $(id).setAttribute("aria-pressed", "false");
  say("notice", text);
  shown();
}

async function rung({ call: name, offer, caller }) {
  // One call at a time is shown here; a second one is somebody else's.
  if (call) return signalling.send({ kind: "reject", call: name });
  const who = caller.number ? `${caller.name} (${caller.number})` : caller.name;
  const rtc = connection(name);
  call = { name, rtc, stage: "rings", title: who || "Unknown caller", state: "Rings." };
  say("notice", "");
  shown();
  await rtc.setRemoteDescription({ type: "offer", sdp: offer });
  // Seen and heard before the answer; no microphone yet.
  for (const transceiver of rtc.getTransceivers()) transceiver.direction = "recvonly";
  await rtc.setLocalDescription();
  signalling.send({ kind: "answer", call: name, answer: rtc.localDescription.sdp });
}

async function openMicrophone() {
  try {
    call.track = await microphone();
    return true;
  } catch (error) {
    const text = MICROPHONE[error.name] ?? `The microphone does not work: ${error.message}`;
    say("notice", text);
    if (call) { call.state = text; shown(); }
    return error.name === "NotFoundError";
  }
}

async function answer() {
  const mine = call;
  $("answer").disabled = true;
  const may = await openMicrophone();
  $("answer").disabled = false;
  if (!may || call !== mine) return;
  signalling.send({ kind: "take", call: call.name });
  call.stage = "taken";
  call.state = "Connecting…";
  shown();
  if (call.track) {
    const audio = call.rtc.getTransceivers().find(({ receiver }) => receiver.track.kind === "audio");
    audio.direction = "sendrecv";
    await audio.sender.replaceTrack(call.track);
    await negotiate();
  }
}

async function dial(to) {
  const name = `c-${crypto.randomUUID()}`;
  say("notice", "");
  const rtc = connection(name);
  call = { name, rtc, stage: "calls", title: to, state: "Calling…" };
  shown();
  if (!await openMicrophone()) { const why = $("notice").textContent; return over(why); }
  if (call?.name !== name) return;
  rtc.addTransceiver(call.track ?? "audio", { direction: call.track ? "sendrecv" : "recvonly" });
  rtc.addTransceiver("video", { direction: "recvonly" });
  await rtc.setLocalDescription();
  if (!signalling.send({ kind: "invite", call: name, to, offer: rtc.localDescription.sdp })) {
    over("There is no connection to the core; try again when it is back.");
  }
}

const heard = {
  welcome({ calls }) {
    say("standing", "Ready for calls.");
    if (!call) return;
    if (!calls.includes(call.name)) over("The call ended while the connection was away.");
  },
  invite: rung,
  async answer({ call: name, answer: sdp }) {
    if (call?.name === name) await call.rtc.setRemoteDescription({ type: "answer", sdp });
  },
  progress({ call: name, state }) {
    if (call?.name !== name) return;
    call.state = { ringing: "It rings there.", queued: "You are in a queue.", early_media: "It rings there." }[state];
    shown();
  },
  select_answer({ call: name }) {
    if (call?.name !== name) return;
    call.stage = "talks";
    call.state = call.track ? "You are talking." : "You can listen; there is no microphone.";
    shown();
  },
  reject({ call: name, reason: word, detail }) { if (call?.name === name) over(detail || reason(word)); },
  hangup({ call: name, reason: word }) { if (call?.name === name) over(reason(word)); },
  async network({ call: name, state }) {
    if (call?.name !== name || state !== "silent") return;
    say("notice", "The network of this call is away; trying again.");
    await restart();
  },
  transfer({ state, reason: word }) {
    say("notice", state === "failed" ? `Handing on failed. ${reason(word)}` : `Handing on: ${state}.`);
  },
  error({ code, detail, call: name }) {
    if (code === "signed_out") return signIn();
    // It crossed the end of its call, which was told.
    if (code === "no_call") return;
    say("notice", detail);
    if (name && call?.name === name && call.stage === "calls") over(detail);
    if (["replaced", "too_many_tabs"].includes(code)) say("standing", detail);
  },
};

function connect() {
  show("login", false);
  shown();
  signalling = new Signalling();
  signalling.addEventListener("message", ({ detail }) => heard[detail.kind]?.(detail));
  signalling.addEventListener("away", () => {
    say("standing", call ? "No connection to the core. The call goes on; coming back…" : "No connection to the core. Coming back…");
  });
}

function signIn() {
  say("standing", "Not signed in.");
  show("phone", false);
  show("login", true);
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ mail: $("mail").value, password: $("password").value });
  const headers = { "content-type": "application/json" };
  const answered = await fetch("/api/v1/login", { method: "POST", headers, body });
  if (answered.ok) return connect();
  const problem = await answered.json().catch(() => ({}));
  say("login-trouble", problem.detail ?? "Signing in did not work.");
});
$("dial").addEventListener("submit", (event) => { event.preventDefault(); dial($("number").value.trim()); });
$("test").addEventListener("click", () => signalling.send({ kind: "test" }));
$("answer").addEventListener("click", answer);
$("reject").addEventListener("click", () => { signalling.send({ kind: "reject", call: call.name }); over("You rejected the call."); });
$("hangup").addEventListener("click", () => { signalling.send({ kind: "hangup", call: call.name }); over("You hung up."); });
$("mute").addEventListener("click", ({ currentTarget }) => {
  const muted = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", String(muted));
  if (call?.track) call.track.enabled = !muted;
});
$("hold").addEventListener("click", ({ currentTarget }) => {
  const held = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", String(held));
  signalling.send({ kind: "hold", call: call.name, held });
});
$("hand-on").addEventListener("submit", (event) => {
  event.preventDefault();
  signalling.send({ kind: "transfer", call: call.name, to: $("transfer-to").value.trim() });
});
for (const key of "123456789*0#") {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = key;
  button.addEventListener("click", () => signalling.send({ kind: "dtmf", call: call.name, digits: key }));
  $("keys").append(button);
}

// Something that everybody may read tells a failing network from nobody being signed in.
const me = await fetch("/api/v1/me").catch(() => undefined);
if (me?.ok) connect(); else signIn();
