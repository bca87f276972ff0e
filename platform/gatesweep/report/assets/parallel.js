// Parallel coordinates on a canvas: ten thousand lines in a tenth of a second, and no WebGL, which many a server's browser lacks.
// Dragging along an axis keeps the trials that pass there, here and in the table; a line under the pointer tells its trial.
"use strict";
const kept = {rows: null, listeners: []};   // rows: a Set of rows that every brush lets through, or null without a brush

class Parallel {
  constructor(target, figure) {
    Object.assign(this, {target, figure, rows: figure.rows.parallel, brushes: new Map()});
    this.axes = figure.dimensions.map((axis) => ({...axis, at: fillColumn(axis.values, figure.rows)}));
    this.canvas = document.createElement("canvas");
    this.svg = this.make("svg", {width: "100%", height: figure.height, role: "img", "aria-label": "parallel coordinates"});
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    target.replaceChildren(this.canvas, this.svg, this.tip);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.highlight(null));
    new ResizeObserver(() => this.draw()).observe(target);
  }

  make(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  draw() {
    const [width, height, scale] = [this.target.clientWidth, this.figure.height, devicePixelRatio || 1];
    if (!width) return;
    [this.top, this.bottom] = [40, height - 16];
    const [left, right] = [88, 40];
    this.x = this.axes.map((_, k) => left + k * (width - left - right) / Math.max(1, this.axes.length - 1));
    this.y = this.axes.map((axis) => axis.at.map((value, nth) => this.height(axis, this.fanned(axis, value, nth))));
    Object.assign(this.canvas, {width: width * scale, height: height * scale});
    Object.assign(this.canvas.style, {width: `${width}px`, height: `${height}px`});
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(scale, scale);
    this.drawLines();
    this.drawAxes();
  }

  height(axis, value) {
    const [low, high] = axis.range;
    return this.bottom - (high > low ? (value - low) / (high - low) : 0.5) * (this.bottom - this.top);
  }

  // Lines through one category are fanned out a little, else they would lie upon each other.
  fanned(axis, value, nth) {
    return axis.category && value >= 0 ? value + 0.09 * (2 * ((nth * 0.6180339887) % 1) - 1) : value;
  }

  passes(nth) {
    return [...this.brushes].every(([k, [low, high]]) => this.y[k][nth] >= low && this.y[k][nth] <= high);
  }

  trace(nth) {
    const path = new Path2D();
    this.x.forEach((x, k) => (k ? path.lineTo(x, this.y[k][nth]) : path.moveTo(x, this.y[k][nth])));
    return path;
  }

  drawLines() {
    const [pen, colour, count] = [this.pen, palette(), this.rows.length];
    const shade = shades(["var(--rank-0)", "var(--rank-1)", "var(--rank-2)"].map(colour));
    this.active = this.rows.map((_, nth) => this.passes(nth));
    const many = this.active.filter(Boolean).length;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const stroke = (nth, style, width, alpha) => {
      Object.assign(pen, {strokeStyle: style, lineWidth: width, globalAlpha: alpha, lineJoin: "round"});
      pen.stroke(this.trace(nth));
    };
    const fine = Math.max(0.12, Math.min(0.95, 12 / Math.sqrt(many || 1)));
    if (this.brushes.size && count <= 2000) {
      this.rows.forEach((_, nth) => { if (!this.active[nth]) stroke(nth, colour("var(--grid)"), 1, 0.35); });
    }
    this.rows.forEach((row, nth) => {
      if (this.active[nth] && row !== sweep.best) stroke(nth, shade(nth / Math.max(1, count - 1)), many < 60 ? 1.8 : 1, fine);
    });
    const best = this.rows.indexOf(sweep.best);
    if (best >= 0) stroke(best, colour("var(--best)"), 3.5, this.active[best] ? 1 : 0.25);
  }

  drawAxes() {
    this.mark = this.make("path", {class: "mark"});
    this.svg.replaceChildren(this.mark, ...this.axes.map((axis, k) => {
      const group = this.make("g", {transform: `translate(${this.x[k]},0)`});
      group.append(this.make("line", {y1: this.top, y2: this.bottom, class: "axis"}));
      const title = this.make("text", {y: 16, "text-anchor": "middle", class: "name"}, axis.label);
      title.append(this.make("title", {}, axis.key));
      group.append(title, ...axis.tickvals.map((value, t) => this.make("text",
        {x: -7, y: this.height(axis, value) + 4, "text-anchor": "end"}, axis.ticktext[t])));
      const brush = this.make("rect", {x: -9, width: 18, class: "brush"});
      this.showBrush(brush, k);
      const grip = this.make("rect", {x: -14, width: 28, y: this.top - 8, height: this.bottom - this.top + 16, class: "grip"});
      grip.addEventListener("pointerdown", (event) => this.startBrush(event, k, brush, grip));
      group.append(brush, grip);
      return group;
    }));
  }

  showBrush(brush, k) {
    const [low, high] = this.brushes.get(k) || [0, 0];
    brush.setAttribute("y", low);
    brush.setAttribute("height", high - low);
  }

  startBrush(event, k, brush, grip) {
    const from = this.inside(event).y;
    const move = (next) => {
      const to = this.inside(next).y;
      if (Math.abs(to - from) < 4) this.brushes.delete(k);
      else this.brushes.set(k, [Math.min(from, to), Math.max(from, to)]);
      this.showBrush(brush, k);
      this.drawLines();
    };
    const end = (last) => {
      move(last);
      grip.removeEventListener("pointermove", move);
      grip.removeEventListener("pointerup", end);
      kept.rows = this.brushes.size ? new Set(this.rows.filter((_, nth) => this.active[nth])) : null;
      kept.listeners.forEach((listener) => listener());
    };
    grip.setPointerCapture(event.pointerId);
    grip.addEventListener("pointermove", move);
    grip.addEventListener("pointerup", end);
  }

  inside(event) {
    const box = this.svg.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  }

  point(event) {
    const {x, y} = this.inside(event);
    const k = this.x.findIndex((place, at) => place <= x && x <= this.x[at + 1]);
    let [nearest, least] = [null, 7];
    if (k >= 0) {
      const part = (x - this.x[k]) / (this.x[k + 1] - this.x[k]);
      this.rows.forEach((_, nth) => {
        const away = Math.abs(this.y[k][nth] + part * (this.y[k + 1][nth] - this.y[k][nth]) - y);
        if (this.active[nth] && away <= least) [nearest, least] = [nth, away];
      });
    }
    this.highlight(nearest, x, y);
  }

  highlight(nth, x, y) {
    this.tip.hidden = nth === null;
    this.mark?.setAttribute("d", nth === null ? "" : this.x.map((at, k) => `${k ? "L" : "M"}${at},${this.y[k][nth]}`).join(""));
    if (nth === null) return;
    this.tip.innerHTML = describe(this.rows[nth]);   // describe() escapes every text of the user
    const right = x > this.target.clientWidth - this.tip.offsetWidth - 24;
    this.tip.style.left = `${right ? x - this.tip.offsetWidth - 14 : x + 14}px`;
    this.tip.style.top = `${Math.max(0, Math.min(y, this.figure.height - this.tip.offsetHeight))}px`;
  }
}

// Colours between the given ones, each part of 0..1 mapped to one of 64 shades.
function shades(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const made = Array.from({length: 64}, (_, n) => {
    const place = (n / 63) * (parts.length - 1);
    const [from, to] = [parts[Math.floor(place)], parts[Math.ceil(place)]];
    return `rgb(${from.map((v, c) => Math.round(v + (to[c] - v) * (place % 1))).join(",")})`;
  });
  return (part) => made[Math.round(part * 63)];
}
