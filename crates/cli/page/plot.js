// Figures over the last minute, drawn on a canvas that follows the page's colours and width: one line, or two.

const SECONDS = 60;
const EDGE = { top: 8, right: 10, bottom: 22, left: 74 };
const FONT = "12px system-ui, sans-serif";

export class Plot {
  // `now`: where the latest values are written, one element for each line. `format` writes a value with its unit; `least` is
  // the smallest top of the scale.
  constructor(canvas, now, format, least) {
    const lines = [now].flat().map((output) => ({ output, points: [] }));
    Object.assign(this, { canvas, lines, format, least });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // A value for each line; null where it is not known.
  add(...values) {
    const at = performance.now();
    this.lines.forEach(({ output, points }, index) => {
      const value = values[index] ?? null;
      output.textContent = value === null ? "–" : this.format(value);
      if (value !== null) points.push({ at, value });
      // One point before the left edge, so that the line begins there.
      while (points.length > 1 && points[1].at < at - SECONDS * 1000) points.shift();
    });
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);

    const now = performance.now();
    const values = this.lines.flatMap(({ points }) => points.map((point) => point.value));
    const { top, step } = axis(Math.max(this.least, ...values));
    const x = (at) => width - EDGE.right - ((now - at) / (SECONDS * 1000)) * (width - EDGE.left - EDGE.right);
    const y = (value) => height - EDGE.bottom - (value / top) * (height - EDGE.top - EDGE.bottom);

    // A canvas has no colours of its own: the style sheet gives it these.
    const style = getComputedStyle(this.canvas);
    const [text, line] = [style.color, style.borderTopColor];
    pen.font = FONT;
    pen.fillStyle = text;
    pen.strokeStyle = line;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let value = 0; value <= top * 1.001; value += step) {
      const level = Math.round(y(value)) + 0.5;
      stroke(pen, [[EDGE.left, level], [width - EDGE.right, level]]);
      pen.fillText(this.format(value), EDGE.left - 8, level);
    }
    pen.textBaseline = "alphabetic";
    for (const [seconds, label, align] of [[60, "60 s ago", "left"], [30, "30 s", "center"], [0, "now", "right"]]) {
      pen.textAlign = align;
      pen.fillText(label, x(now - seconds * 1000), height - 5);
    }

    pen.beginPath();
    pen.rect(EDGE.left, 0, width - EDGE.left - EDGE.right + 1, height);
    pen.clip();
    // The second line is told apart by its dashes too.
    const manners = [[style.caretColor, []], [style.outlineColor, [6, 4]]];
    this.lines.forEach(({ points }, index) => {
      if (points.length < 2) return;
      const line2d = points.map(({ at, value }) => [x(at), y(value)]);
      const [colour, dashes] = manners[index];
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.setLineDash(dashes);
      stroke(pen, line2d);
      if (index > 0) return;
      pen.lineTo(line2d.at(-1)[0], y(0));
      pen.lineTo(line2d[0][0], y(0));
      pen.globalAlpha = 0.14;
      pen.fill();
      pen.globalAlpha = 1;
    });
  }
}

// A round top for the scale, and the distance of its lines: 1, 2 or 5 times a power of ten.
function axis(largest) {
  const raw = largest / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  return { step, top: Math.ceil(largest / step) * step };
}

function stroke(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}
