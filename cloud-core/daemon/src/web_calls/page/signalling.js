// The page's end of docs/web-calls.md: one socket that comes back by itself, and remembers its tab.

const VERSION = 1;
// Waits between tries, in milliseconds.
const FIRST = 500;
const LONGEST = 10_000;

export class Signalling extends EventTarget {
  #socket;
  #wait = FIRST;
  #tab = sessionStorage.getItem("tab");
  #stopped = false;

  constructor() {
    super();
    addEventListener("online", () => this.#again(0));
    this.#open();
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  // For tests of what happens when the network fails.
  cut() { this.#socket?.close(); }

  #open() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/calls/socket`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ kind: "hello", version: VERSION, tab: this.#tab }));
    });
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.kind === "welcome") {
        this.#tab = message.tab;
        sessionStorage.setItem("tab", message.tab);
        this.#wait = FIRST;
      }
      if (message.kind === "error" && ["replaced", "signed_out", "too_many_tabs"].includes(message.code)) {
        this.#stopped = true;
      }
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    });
    socket.addEventListener("close", () => {
      if (socket !== this.#socket || this.#stopped) return;
      this.dispatchEvent(new Event("away"));
      this.#again(this.#wait * (0.5 + Math.random() / 2));
      this.#wait = Math.min(this.#wait * 2, LONGEST);
    });
  }

  #again(wait) {
    setTimeout(() => {
      if (!this.#stopped && this.#socket?.readyState === WebSocket.CLOSED) this.#open();
    }, wait);
  }
}
