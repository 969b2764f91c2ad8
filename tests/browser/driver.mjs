// Drives one page of a browser for the tests, by orders on standard input, one JSON object a line;
// each is answered by one line, `ok` or `error: why`. It knows no page: where and what comes with
// the order, as selectors of Playwright (https://playwright.dev/docs/other-locators).
//
// Arguments: FOLDER with its packages, PROFILE folder, then arguments for the browser.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, profile, ...more] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { chromium } = require("playwright-core");
const { source: axe } = require("axe-core");

// Longer than anything takes; turns a hang into an error.
const PATIENCE = 15_000;
// Tab does not go round for ever.
const MOST_TABS = 300;

const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  permissions: ["microphone"],
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ...more,
  ],
});
context.setDefaultTimeout(PATIENCE);
const page = context.pages()[0] ?? await context.newPage();
const wrong = [];
// What stands in for a finger on a reader, once a test has asked for it.
let hand;
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });

const orders = {
  open: ({ url }) => page.goto(url),
  click: ({ at }) => page.locator(at).click(),
  choose: ({ at, value }) => page.locator(at).selectOption(value),
  // That something is there, and says these words if any are given.
  see: ({ at, text }) => (text === undefined ? page.locator(at) : page.locator(at, { hasText: text })).first().waitFor(),
  key: ({ key }) => page.keyboard.press(key),
  // As somebody without a mouse gets there.
  tab: async ({ at }) => {
    const wanted = await page.locator(at).elementHandle();
    for (let count = 0; count < MOST_TABS; count += 1) {
      await page.keyboard.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) {
        const seen = await wanted.evaluate((element) => element.matches(":focus-visible"));
        if (!seen) throw new Error(`${at} has the focus, and does not show it`);
        return;
      }
    }
    throw new Error(`${at} is not reached by Tab`);
  },
  look: async ({ colours, width, height }) => {
    await page.emulateMedia({ colorScheme: colours });
    await page.setViewportSize({ width, height });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) throw new Error(`the page is ${wide} wide where there is room for ${width}`);
  },
  // A passkey reader without a person; whether it verifies who touches it can be changed.
  authenticator: async ({ verifies }) => {
    if (hand === undefined) {
      const cdp = await context.newCDPSession(page);
      await cdp.send("WebAuthn.enable");
      const options = {
        protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
        isUserVerified: true, automaticPresenceSimulation: true,
      };
      hand = { cdp, ...await cdp.send("WebAuthn.addVirtualAuthenticator", { options }) };
    }
    const { cdp, authenticatorId } = hand;
    await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: verifies });
  },
  // In the page, as its own code would; what it throws is the error.
  run: ({ script }) => page.evaluate(script),
  picture: ({ file }) => page.screenshot({ path: file, fullPage: true, animations: "disabled" }),
  axe: async () => {
    // Not as a script of the page's, which its policy would refuse.
    await page.evaluate(axe);
    // What moves has no colour to be measured.
    const { violations } = await page.evaluate(() => window.axe.run());
    const told = violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.target).join(" ")}`);
    if (told.length > 0) throw new Error(told.join("; "));
  },
  // Nothing went wrong in the page's own code.
  sound: () => { if (wrong.length > 0) throw new Error(wrong.join("; ")); },
};

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { order, ...what } = JSON.parse(line);
    await orders[order](what);
    console.log("ok");
  } catch (error) {
    console.log(`error: ${String(error.message).replaceAll("\n", " ")}`);
  }
}
await context.close();
