// Takes /docs through what a reader does, in a real browser: make an account,
// sign in, authorize, call a route. Fails where the page asks another host for
// anything, or breaks the policy that it is sent with.
//
//   node docs.mjs URL CHROMIUM

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [origin, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// Each launch has a user-data-dir of its own, which goes away with the browser.
const browser = await chromium.launch({ executablePath, args, headless: true });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  const abroad = [];
  const complaints = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== origin) abroad.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));

  await page.goto(`${origin}/docs`);

  // Opens a route, sends what it is given, and gives the answer's status and body.
  const call = async (method, path, body) => {
    const block = page.locator(`.opblock-${method}`)
      .filter({ has: page.locator(`[data-path="${path}"]`) });
    await block.locator(".opblock-summary-control").click();
    if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
    await block.getByRole("button", { name: "Execute" }).click();
    const live = block.locator(".live-responses-table .response").first();
    const status = (await live.locator(".response-col_status").innerText()).trim();
    return { status: status.split(/\s/)[0], text: await live.locator("pre.microlight, code").first().innerText() };
  };

  const account = { username: "reader", email: "reader@example.com", password: "securepassword123" };
  const registered = await call("post", "/auth/register_user", account);
  assert.equal(registered.status, "201", registered.text);

  const { email, password } = account;
  const login = await call("post", "/auth/login", { email, password });
  assert.equal(login.status, "200", login.text);
  const token = JSON.parse(login.text).access_token;

  await page.locator(".auth-wrapper .authorize").first().click();
  const form = page.locator(".auth-container").filter({ hasText: "bearer" }).first();
  await form.locator("input").fill(token);
  await form.getByRole("button", { name: "Apply credentials" }).click();
  await page.locator(".btn-done").first().click();

  const list = await call("get", "/registrations");
  assert.equal(list.status, "200", list.text);
  assert.deepEqual(JSON.parse(list.text), []);

  assert.deepEqual(abroad, [], "requests to another host");
  assert.deepEqual(complaints, [], "errors in the browser's console");
  console.log("/docs: registered, signed in, authorized, listed registrations; no other host");
} finally {
  await browser.close();
}
