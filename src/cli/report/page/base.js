"use strict";
// Reads the result and builds elements. All text becomes text nodes, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const numbers = new Intl.NumberFormat("en");

// States in the order in which bars and lists show them, each with what it means for the reader.
const STATES = {
  failed: "bad", error: "bad", edited: "bad", ahead: "bad", differs: "bad",
  busy: "wait", skipped: "wait", unversioned: "wait", behind: "wait", new: "wait", planned: "wait",
  current: "same", upgraded: "good", downgraded: "good", rehearsed: "good", redone: "good", matches: "good",
};
const stateOrder = Object.keys(STATES);

// Shows what would be invisible or change the direction of the text around it.
function visible(text) {
  return String(text)
    .replace(/\r\n/g, "\n")
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g,
      (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
    );
}

// An element with attributes and children; `on…` attributes are listeners.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : visible(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(child));
  }
}

// Text with what is in backticks as code.
function prose(text) {
  return text.split("`").map((part, at, parts) =>
    at % 2 === 0 ? part : at === parts.length - 1 ? `\`${part}` : h("code", null, part));
}

function plural(count, noun) {
  return `${numbers.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function formatSeconds(seconds) {
  if (seconds < 0.001) return `${numbers.format(Math.max(1, Math.round(seconds * 1e6)))} µs`;
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function formatShare(count, total) {
  const share = (100 * count) / total;
  if (share === 100 || share === 0) return `${share} %`;
  if (share < 0.1) return "< 0.1 %";
  return `${Math.min(99.9, Number(share.toPrecision(share < 10 ? 2 : 3)))} %`;
}

function stateTag(state) {
  return h("span", { class: `state s-${state}` }, state);
}

// A bar whose parts have the widths of counts. A part that exists is always visible.
function stackedBar(counts, total, label) {
  const bar = h("div", { class: "bar", role: "img", "aria-label": label });
  for (const state of stateOrder) {
    const count = counts.get(state) ?? 0;
    if (count === 0) continue;
    const part = h("span", { class: `part s-${state}`, title: `${state}: ${numbers.format(count)}` });
    part.style.flex = `${count / total} 0 3px`;
    bar.append(part);
  }
  return bar;
}

// Names are stored as the length of what they share with the name before, and the rest.
const LENGTHS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function decodeNames(text) {
  const names = text.split("\n");
  names.pop();
  let last = "";
  for (let at = 0; at < names.length; at += 1) {
    last = last.slice(0, LENGTHS.indexOf(names[at][0])) + names[at].slice(1);
    names[at] = last;
  }
  return names;
}

function section(id, title, ...children) {
  return h("section", { id }, h("h2", null, title), children);
}
