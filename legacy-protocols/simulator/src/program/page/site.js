// The page of the site: draws the picture that comes, sends orders. It keeps no state of its own
// beyond which station is spoken at and the last picture; what is drawn is what the site says.

import { Speech } from "/sound.js";

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);
const byId = (id) => document.getElementById(id);
const made = new Map();
let socket;
let lastNote = 0;
let speech = null;
// The picture that came last.
let drawn = null;

function connect() {
  socket = new WebSocket(`ws://${location.host}/orders`);
  socket.onopen = () => { byId("connection").textContent = "the site is there"; lastNote = 0; byId("log").replaceChildren(); };
  socket.onclose = () => {
    byId("connection").textContent = "the site is gone; trying again";
    setTimeout(connect, 1000);
  };
  socket.onmessage = (message) => {
    const said = JSON.parse(message.data);
    if (said.error) trouble(`${said.order}: ${said.error}`); else draw(said);
  };
}

export function order(text) {
  byId("trouble").hidden = true;
  if (socket.readyState === WebSocket.OPEN) socket.send(text);
  else trouble("the site is gone");
}

function trouble(text) {
  const place = byId("trouble");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(trouble.timer);
  trouble.timer = setTimeout(() => { place.hidden = true; }, 8000);
}

function draw(site) {
  drawn = site;
  document.title = site.name;
  byId("name").textContent = site.name;
  drawLines(site.lines);
  if (document.activeElement !== byId("keeps")) byId("keeps").value = site.keeps;
  for (const node of site.nodes) drawNode(node, site);
  drawNotes(site.notes);
}

// ---- lines ----

function drawLines(lines) {
  const list = byId("lines");
  for (const line of lines) {
    const key = `line ${line.name}`;
    let item = made.get(key);
    if (!item) {
      item = byId("line-template").content.firstElementChild.cloneNode(true);
      made.set(key, item);
      list.append(item);
      part(item, "cut").onclick = () => order(`line ${line.name} ${item.dataset.cable === "cut" ? "heal" : "cut"}`);
      part(item, "freeze").onclick = () => order(`line ${line.name} ${item.dataset.cable === "frozen" ? "thaw" : "freeze"}`);
    }
    item.dataset.cable = line.cable;
    part(item, "lamp").className = `lamp ${line.state}`;
    text(part(item, "name"), `${line.name} (to ${line.gateway})`);
    text(part(item, "state"), line.cable === "whole" ? line.state : `${line.state}, cable ${line.cable}`);
    text(part(item, "place"), line.place);
    pressed(part(item, "cut"), line.cable === "cut");
    pressed(part(item, "freeze"), line.cable === "frozen");
    part(item, "cut").setAttribute("aria-label", `Cut line ${line.name}`);
    part(item, "freeze").setAttribute("aria-label", `Freeze line ${line.name}`);
  }
}

// ---- stations ----

function drawNode(node, site) {
  const key = `node ${node.number}`;
  let section = made.get(key);
  if (!section) {
    section = document.createElement("section");
    section.className = "node";
    const title = document.createElement("h2");
    title.textContent = `${node.name} · server ${node.number}`;
    const wall = document.createElement("div");
    wall.className = "wall";
    section.append(title, wall);
    made.set(key, section);
    byId("stations").append(section);
  }
  for (const station of site.stations) {
    if (station.node === node.number) drawStation(station, section.lastElementChild, site);
  }
}

const KIND = { door: "door station", desk: "desk", emergency: "emergency point", room: "room station" };

function drawStation(station, wall, site) {
  const key = `station ${station.id}`;
  let panel = made.get(key);
  if (!panel) {
    panel = newStation(station, site);
    made.set(key, panel);
    wall.append(panel);
  }
  part(panel, "lamp").className = `lamp ${station.lamp}`;
  text(part(panel, "display"), display(station));
  const level = station.level === null ? 0 : Math.max(0, Math.min(100, (station.level + 60) * 2));
  part(panel, "level").style.width = `${level}%`;
  drawCall(panel, station);
  drawQueue(panel, station);
  station.doors.forEach((door, index) => drawDoor(panel, door, index));
  station.inputs.forEach((input, index) => pressed(part(panel, "inputs").children[index], input.on));
  pressed(panel.privacy, station.privacy);
  pressed(panel.programme, station.programme > 0);
  for (const [fault, button] of panel.faults) pressed(button, station.faults.includes(fault));
  if (speech && speech.station === station.id) speech.state(station);
}

function display(station) {
  const lines = [];
  if (station.call) {
    const { phase, with: other, calls } = station.call;
    if (phase === "ringing") lines.push(calls ? `calling ${other}` : `${other} calls`);
    else lines.push(`${phase} with ${other}${station.call.simplex ? ", simplex" : ""}`);
  } else lines.push({ idle: "ready", requesting: "please wait", broken: "out of service", privacy: "not disturbed", listening: "listen", conference: "conference", busy: "busy" }[station.lamp] || station.lamp);
  if (station.text) lines.push(station.text);
  if (station.divert) lines.push(`diverted ${station.divert}`);
  if (station.faults.length) lines.push(`broken: ${station.faults.join(", ")}`);
  return lines.join(" · ");
}

function newStation(station, site) {
  const panel = byId("station-template").content.firstElementChild.cloneNode(true);
  panel.classList.add(`kind-${station.kind}`);
  panel.setAttribute("aria-label", `${station.name}, ${KIND[station.kind]}`);
  text(part(panel, "name"), station.name);
  text(part(panel, "number"), station.number);
  station.buttons.forEach((label, index) => {
    const button = key(label, () => order(`press ${station.id} ${index + 1}`));
    if (station.kind === "emergency") button.classList.add("alarm");
    part(panel, "buttons").append(button);
  });
  station.doors.forEach((door, index) => part(panel, "doors").append(newDoor(station, door, index)));
  station.inputs.forEach((input, index) => {
    const button = key(input.name, () => order(`input ${station.id} ${index + 1} ${isPressed(button) ? "off" : "on"}`), "small");
    part(panel, "inputs").append(button);
  });
  const more = part(panel, "more");
  panel.privacy = key("Privacy", () => order(`privacy ${station.id} ${isPressed(panel.privacy) ? "off" : "on"}`), "small");
  panel.programme = key("Music", () => order(`programme ${station.id} ${isPressed(panel.programme) ? "off" : "1"}`), "small");
  more.append(panel.privacy, panel.programme, key("Test", () => order(`test ${station.id}`), "small"), key("Mend", () => order(`mend ${station.id}`), "small"));
  for (const group of site.groups) {
    const button = key(`Talk to ${group.name}`, () => { order(`group ${station.id} ${group.number} ${isPressed(button) ? "off" : "on"}`); pressed(button, !isPressed(button)); }, "small");
    if (station.kind === "desk") more.append(button);
  }
  part(panel, "dial").append(dialForm(station));
  panel.faults = new Map();
  for (const [fault, name] of [["line", "Cut its wire"], ["microphone", "Microphone"], ["speaker", "Loudspeaker"], ["tamper", "Tamper"]]) {
    const button = key(name, () => order(isPressed(button) ? `mend ${station.id}` : `break ${station.id} ${fault}`), "small");
    button.setAttribute("aria-label", `Break ${station.name}: ${name}`);
    panel.faults.set(fault, button);
    part(panel, "breaks").append(button);
  }
  return panel;
}

function dialForm(station) {
  const form = document.createElement("form");
  form.className = "row";
  const input = document.createElement("input");
  input.setAttribute("aria-label", `Number to dial at ${station.name}`);
  input.placeholder = "2/104";
  const send = document.createElement("button");
  send.className = "small";
  send.textContent = "Dial";
  form.append(input, send);
  form.onsubmit = (event) => {
    event.preventDefault();
    if (input.value.trim()) order(`dial ${station.id} ${input.value.trim()}`);
  };
  return form;
}

function drawCall(panel, station) {
  const row = part(panel, "call");
  const call = station.call;
  const spoken = speech && speech.station === station.id;
  const wanted = JSON.stringify([call, station.lamp, spoken]);
  if (row.dataset.drawn === wanted) return;
  row.dataset.drawn = wanted;
  const held = document.activeElement && row.contains(document.activeElement) ? document.activeElement.textContent : null;
  row.replaceChildren();
  if (call && call.phase === "ringing" && !call.calls) row.append(key("Answer", () => order(`answer ${station.id}`)));
  if (call || ["requesting", "conference", "listening"].includes(station.lamp) || (station.lamp === "busy" && !call)) row.append(key(call ? "End" : "Cancel", () => order(`cancel ${station.id}`)));
  if (call && call.phase !== "ringing") {
    row.append(key(call.phase === "held" ? "Retrieve" : "Hold", () => order(`hold ${station.id} ${call.phase === "held" ? "off" : "on"}`), "small"));
    if (call.simplex) row.append(talkKey(station));
  }
  row.append(speakKey(station, spoken));
  if (held) for (const button of row.children) if (button.textContent === held) button.focus();
}

function talkKey(station) {
  const button = key("Hold to talk", () => {}, "small");
  const talk = (on) => () => { if (on !== button.talks) { button.talks = on; order(`talk ${station.id} ${on ? "on" : "off"}`); } };
  button.onpointerdown = talk(true);
  button.onpointerup = button.onpointerleave = talk(false);
  button.onkeydown = (event) => { if (event.key === " " || event.key === "Enter") talk(true)(); };
  button.onkeyup = talk(false);
  return button;
}

function speakKey(station, spoken) {
  const button = key(spoken ? "Step away" : "Stand here", async () => {
    const here = speech && speech.station === station.id;
    if (speech) speech.end();
    speech = null;
    if (!here) {
      try { speech = await Speech.at(station.id); } catch (error) { trouble(error.message); }
    }
    if (drawn) draw(drawn);
  }, "small");
  pressed(button, Boolean(spoken));
  button.title = "Speak and listen at this station, with this computer's microphone";
  return button;
}

function drawQueue(panel, station) {
  const list = part(panel, "queue");
  const wanted = JSON.stringify(station.queue);
  if (list.dataset.drawn === wanted) return;
  list.dataset.drawn = wanted;
  list.replaceChildren();
  for (const request of station.queue) {
    const item = document.createElement("li");
    const label = document.createElement("span");
    label.textContent = `${request.name}${request.text ? `: ${request.text}` : ""} (priority ${request.priority})`;
    const take = key("Take", () => order(`take ${station.id} ${request.from}`), "small");
    take.setAttribute("aria-label", `Take the request of ${request.name}`);
    item.append(label, take);
    list.append(item);
  }
}

function newDoor(station, door, index) {
  const box = document.createElement("div");
  box.className = "door";
  const leaf = document.createElement("span");
  leaf.className = "leaf";
  const side = document.createElement("div");
  side.className = "row";
  const state = document.createElement("span");
  state.dataset.part = `door ${index}`;
  state.setAttribute("role", "status");
  const stuck = key("Stuck", () => order(`door ${station.id} ${index + 1} ${isPressed(stuck) ? "free" : "stuck"}`), "small");
  side.append(state, key("Open", () => order(`open ${station.id} ${index + 1}`), "small"), stuck);
  if (door.contact !== "none") {
    const contact = key("Contact broken", () => order(`contact ${station.id} ${index + 1} ${isPressed(contact) ? "works" : "broken"}`), "small");
    contact.dataset.contact = "";
    side.append(contact);
  }
  box.append(leaf, side);
  box.stuck = stuck;
  return box;
}

function drawDoor(panel, door, index) {
  const box = part(panel, "doors").children[index];
  box.firstElementChild.className = `leaf${door.open ? " open" : ""}${door.relay ? " buzz" : ""}`;
  text(part(box, `door ${index}`), `${door.name}: ${door.open ? "open" : "closed"}${door.relay ? ", buzzing" : ""}`);
  pressed(box.stuck, door.stuck);
  const contact = box.querySelector("[data-contact]");
  if (contact) pressed(contact, door.contact === "broken");
}

// ---- what happened ----

function drawNotes(notes) {
  const [log, view] = [byId("log"), byId("log-view")];
  const atEnd = view.scrollTop + view.clientHeight >= view.scrollHeight - 8;
  for (const note of notes) {
    if (note.number <= lastNote) continue;
    lastNote = note.number;
    const item = document.createElement("li");
    const time = document.createElement("time");
    const at = new Date(note.at);
    time.dateTime = at.toISOString();
    time.textContent = at.toTimeString().slice(0, 8);
    item.append(time, note.text);
    log.append(item);
  }
  while (log.children.length > 200) log.firstElementChild.remove();
  if (atEnd) view.scrollTop = view.scrollHeight;
}

// ---- small things ----

function key(label, act, ...classes) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.classList.add(...classes);
  button.onclick = act;
  return button;
}

function text(element, wanted) { if (element.textContent !== wanted) element.textContent = wanted; }
function pressed(button, on) { button.setAttribute("aria-pressed", String(on)); }
function isPressed(button) { return button.getAttribute("aria-pressed") === "true"; }

byId("keeps").onchange = (event) => order(`keep ${event.target.value}`);

byId("orders").onsubmit = (event) => {
  event.preventDefault();
  const input = byId("order");
  if (input.value.trim()) order(input.value.trim());
  input.value = "";
};

connect();
