#!/usr/bin/env bash
# @asyncapi/modelina 5.10.1, TypeScript generator with modelType "interface".
#
# The fields of an AsyncAPI payload that are called `type`, `status` or `name` are renamed in
# the generated interface: `reservedType`, `reservedStatus`, `reservedName`. None of them is a
# reserved word in TypeScript, and nothing converts between the two at run time, because an
# interface has no code: a received frame does not have the fields that its type promises. With
# `rawPropertyNames: true` the names stay.
#
# Seen: which of the fields id, type, status and name are renamed, by default and with
# rawPropertyNames. Fails if that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @asyncapi/modelina@5.10.1
cat >run.mjs <<'JS'
import modelina from "@asyncapi/modelina";

const text = { type: "string" };
const document = {
  asyncapi: "3.0.0",
  info: { title: "a bell", version: "1" },
  channels: {
    bell: { address: "bell", messages: { ring: { $ref: "#/components/messages/ring" } } },
  },
  operations: {
    ring: { action: "receive", channel: { $ref: "#/channels/bell" } },
  },
  components: {
    messages: { ring: { payload: { $ref: "#/components/schemas/Ring" } } },
    schemas: {
      Ring: {
        type: "object",
        properties: { id: text, type: text, status: text, name: text },
        additionalProperties: false,
      },
    },
  },
};

async function fields(options) {
  const generator = new modelina.TypeScriptGenerator({ modelType: "interface", ...options });
  const [model] = await generator.generate(structuredClone(document));
  return [...model.result.matchAll(/^\s+'?(\w+)'?\??:/gm)].map((match) => match[1]).sort();
}

const byDefault = await fields({});
const raw = await fields({ rawPropertyNames: true });
console.log("by default:", byDefault.join(" "));
console.log("rawPropertyNames:", raw.join(" "));
const expected = ["id", "reservedName", "reservedStatus", "reservedType"];
const same = byDefault.join() === expected.join() && raw.join() === "id,name,status,type";
process.exit(same ? 0 : 1);
JS
node run.mjs
