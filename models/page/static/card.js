// What a model is, who may use it, and its card: one click away, as plain text.
import { button, el } from "./elements.js";

/** Show what is known of an export in a dialog. */
export async function showCard({ folder, described }) {
  const facts = el("dl", { class: "facts" });
  const add = (key, ...shown) => facts.append(el("dt", { text: key }), el("dd", {}, ...shown));
  add("factModel", [described.model, described.preset].filter(Boolean).join(", "));
  add("factPurpose", described.purpose ?? "");
  add("factSteps", String(described.steps ?? ""));
  const datasets = Object.values(described.datasets ?? {});
  add("factDatasets", datasets.map(({ name, digest }) => `${name} (${String(digest).slice(0, 16)})`).join(", "));
  const licenses = (described.licenses ?? []).map((license) => license ?? null);
  add(
    "factLicenses",
    ...licenses.map((license) =>
      el("span", { class: "chip", ...(license === null && { text: "notStated" }) }, license),
    ),
  );
  add("factWeights", el("code", {}, described.weights ?? ""));
  if (/^https:\/\//.test(described.paper)) {
    add("factPaper", el("a", { href: described.paper, rel: "noopener noreferrer", target: "_blank" }, described.paper));
  }
  const card = el("pre", { tabindex: 0, label: "card" });
  const software = el("p", {}, el("span", { text: "software" }), ": ");
  for (const name of ["onnxruntime-web", "gifenc"]) {
    software.append(el("a", { href: `licenses/${name}.txt`, target: "_blank" }, name), " ");
  }
  const dialog = el(
    "dialog",
    { label: "about", on: { close: () => dialog.remove() } },
    el(
      "div",
      { class: "row spread" },
      el("h2", {}, described.run ?? ""),
      button("close", () => dialog.close()),
    ),
    facts,
    el("h3", { text: "card" }),
    card,
    software,
  );
  document.body.append(dialog);
  dialog.showModal();
  try {
    const response = await fetch(`${folder}/README.md`);
    card.textContent = response.ok ? await response.text() : "";
  } catch {
    card.textContent = "";
  }
}
