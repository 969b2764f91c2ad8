// Lists the projects of a company, and gives one a new name without overwriting what others changed.

import { all, core, ok, version } from "../src/index.js";

export async function rename(company: string, from: string, to: string): Promise<boolean> {
  const api = core({ baseUrl: location.origin });
  const projects = all((cursor) =>
    ok(api.GET("/api/v1/companies/{company}/projects", {
      params: { path: { company }, query: cursor === undefined ? {} : { cursor } },
    })));
  for await (const { id, name } of projects) {
    if (name !== from) continue;
    const path = { project: id };
    const read = await api.GET("/api/v1/projects/{project}", { params: { path } });
    const { metadata = {} } = await ok(Promise.resolve(read));
    await ok(api.PUT("/api/v1/projects/{project}", {
      params: { path, header: { "if-match": version(read.response) } },
      body: { name: to, metadata },
    }));
    return true;
  }
  return false;
}
