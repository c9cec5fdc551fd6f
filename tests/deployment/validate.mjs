// Reads a list of Kubernetes objects, and prints for each what its API's own definition says: "" or
// why it is refused.
import { readFileSync } from "node:fs";

const PACKAGES = { "gateway.networking.k8s.io": "@kubernetes-models/gateway-api/gateway.networking.k8s.io" };
const said = [];
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const [version, group] = object.apiVersion.split("/").reverse();
  const folder = PACKAGES[group] ?? `kubernetes-models/${group ?? ""}`.replace(/\/$/, "");
  const { [object.kind]: Kind } = await import(`${folder}/${version}/${object.kind}`);
  try {
    new Kind(object).validate();
    said.push("");
  } catch (error) {
    said.push(String(error.message));
  }
}
console.log(JSON.stringify(said));
