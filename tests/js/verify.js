// Verify messages by the public library: lines of {"body": base64, "headers": {...}, "secret": "whsec_..."} on standard
// input, one line of {"ok": true} or {"error": "..."} for each on standard output. The body is verified from raw bytes.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { body, headers, secret } = JSON.parse(line);
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
    console.log(JSON.stringify({ ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
  }
}
