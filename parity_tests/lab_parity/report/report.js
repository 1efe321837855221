"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const drawn = [];

  const loss = document.getElementById("loss");
  if (loss) {
    drawn.push(Plotly.newPlot(loss, data.loss.data, data.loss.layout, config));
    const log = document.getElementById("log");
    log.addEventListener("click", () => {
      const on = log.getAttribute("aria-pressed") !== "true";
      log.setAttribute("aria-pressed", String(on));
      Plotly.relayout(loss, { "yaxis.type": on ? "log" : "linear", "yaxis.autorange": true });
    });
  }

  const map = document.getElementById("map");
  if (map) {
    const { rows, starts, ends, far, first } = data.cells;
    const shapes = data.map.layout.shapes || [];
    const read = document.getElementById("cell");
    let row = first ? first[0] : 0;
    let column = first ? first[1] : 0;

    const around = (r, c, colour, width) => ({
      type: "rect", x0: c - 0.5, x1: c + 0.5, y0: r - 0.5, y1: r + 0.5, line: { color: colour, width },
    });
    const said = (cell) => {
      if (cell === null) return "nothing to compare";
      if (cell === 0) return "equal";
      return cell < 0 ? "differs, size unknown" : `relative distance ${cell.toPrecision(3)}`;
    };
    const tell = (r, c) => {
      const steps = starts[c] === ends[c] ? `step ${starts[c]}` : `steps ${starts[c]} to ${ends[c]}`;
      const many = rows[r].count > 1 ? ` (largest of ${rows[r].count})` : "";
      read.textContent = `${steps}, ${rows[r].phase} ${rows[r].name}${many}: ${said(far[r][c])}`;
    };
    const show = () => {
      tell(row, column);
      const marks = first ? [around(first[0], first[1], "#b3261e", 2)] : [];
      Plotly.relayout(map, { shapes: [...shapes, ...marks, around(row, column, "#000", 2)] });
    };
    const phase = (way) => {
      let next = row;
      while (next + way >= 0 && next + way < rows.length && rows[next + way].phase === rows[row].phase) next += way;
      return next + way;
    };
    const moves = {
      ArrowUp: () => { row -= 1; },
      ArrowDown: () => { row += 1; },
      ArrowLeft: () => { column -= 1; },
      ArrowRight: () => { column += 1; },
      Home: () => { column = 0; },
      End: () => { column = starts.length - 1; },
      PageUp: () => { row = phase(-1); },
      PageDown: () => { row = phase(1); },
      Enter: () => { if (first) [row, column] = first; },
    };
    map.addEventListener("keydown", (event) => {
      if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      moves[event.key]();
      row = Math.min(Math.max(row, 0), rows.length - 1);
      column = Math.min(Math.max(column, 0), starts.length - 1);
      show();
    });
    map.addEventListener("focus", show);
    const jump = document.getElementById("jump");
    jump.disabled = !first;
    jump.addEventListener("click", () => {
      [row, column] = first;
      map.focus();
      show();
    });
    if (first) data.map.layout.shapes = [...shapes, around(first[0], first[1], "#b3261e", 2)];
    drawn.push(Plotly.newPlot(map, data.map.data, data.map.layout, config).then(() => {
      map.on("plotly_hover", (event) => tell(event.points[0].y, event.points[0].x));
      map.on("plotly_click", (event) => {
        row = event.points[0].y;
        column = event.points[0].x;
        show();
      });
    }));
  }

  Promise.all(drawn).then(() => { document.documentElement.dataset.ready = String(performance.now()); });
})();
