// Reboots a device, and waits until it is known what became of it.

import { core, ok, once, ProblemError } from "../src/index.js";

export async function reboot(baseUrl: string, token: string, device: string): Promise<string> {
  const api = core({ baseUrl, token: () => token });
  // One key for all tries: however often this is sent, the device reboots once.
  const header = once();
  const order = () =>
    ok(api.POST("/api/v1/devices/{device}/commands", {
      params: { path: { device }, header },
      body: { op: "reboot" },
    }));
  let command = await order().catch((error: unknown) => {
    if (error instanceof ProblemError && error.code === "too_many") return order();
    throw error;
  });
  while (["queued", "sent", "running"].includes(command.state)) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const path = { device, command: command.id };
    command = await ok(api.GET("/api/v1/devices/{device}/commands/{command}", { params: { path } }));
  }
  return command.state;
}
