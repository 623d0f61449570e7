// A figure over the last minute, drawn on a canvas that follows the page's colours and width.

const SECONDS = 60;
const EDGE = { top: 8, right: 10, bottom: 22, left: 62 };
const FONT = "12px system-ui, sans-serif";

export class Plot {
  // `format` writes a value with its unit; `least` is the smallest top of the scale.
  constructor(canvas, now, format, least) {
    Object.assign(this, { canvas, now, format, least, points: [] });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(value) {
    const at = performance.now();
    this.points.push({ at, value });
    // One point before the left edge, so that the line begins there.
    while (this.points.length > 1 && this.points[1].at < at - SECONDS * 1000) this.points.shift();
    this.now.textContent = this.format(value);
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
    const { top, step } = axis(Math.max(this.least, ...this.points.map((point) => point.value)));
    const x = (at) => width - EDGE.right - ((now - at) / (SECONDS * 1000)) * (width - EDGE.left - EDGE.right);
    const y = (value) => height - EDGE.bottom - (value / top) * (height - EDGE.top - EDGE.bottom);

    // A canvas has no colours of its own: the style sheet gives it these.
    const style = getComputedStyle(this.canvas);
    const [text, line, accent] = [style.color, style.borderTopColor, style.caretColor];
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

    if (this.points.length < 2) return;
    pen.beginPath();
    pen.rect(EDGE.left, 0, width - EDGE.left - EDGE.right + 1, height);
    pen.clip();
    const line2d = this.points.map(({ at, value }) => [x(at), y(value)]);
    pen.strokeStyle = pen.fillStyle = accent;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    stroke(pen, line2d);
    pen.lineTo(line2d.at(-1)[0], y(0));
    pen.lineTo(line2d[0][0], y(0));
    pen.globalAlpha = 0.14;
    pen.fill();
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
