"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const idle = (model) => new Promise((done) => {
    const within = model.document;
    if (within.is_idle) done(); else within.idle.connect(done);
  });
  // The model of a figure, once it has been drawn.
  const draw = async (item, id) => {
    const views = await Bokeh.embed.embed_item(item, id);
    const model = [...views.roots][0].model;
    await idle(model);
    return model;
  };

  const losses = async () => {
    await draw(data.linear, "linear");
    const log = document.getElementById("log");
    let drawn = false;
    log.addEventListener("click", async () => {
      const on = log.getAttribute("aria-pressed") !== "true";
      log.setAttribute("aria-pressed", String(on));
      document.getElementById("linear").hidden = on;
      document.getElementById("logarithmic").hidden = !on;
      if (on && !drawn) {
        drawn = true;
        await draw(data.log, "logarithmic");
      }
    });
  };

  const distances = async () => {
    const map = document.getElementById("map");
    const { rows, starts, ends, first } = data.cells;
    const plot = await draw(data.map, "map");
    const source = (name) => plot.document.get_model_by_name(name);
    const image = source("cells").data.image[0];
    const read = document.getElementById("cell");
    let row = first ? first[0] : 0;
    let column = first ? first[1] : 0;

    const said = (cell) => {
      if (Number.isNaN(cell)) return "nothing to compare";
      if (cell < -20) return "equal";
      return cell > 20 ? "differs, size unknown" : `relative distance ${(10 ** cell).toPrecision(3)}`;
    };
    const tell = (r, c) => {
      const steps = starts[c] === ends[c] ? `step ${starts[c]}` : `steps ${starts[c]} to ${ends[c]}`;
      const many = rows[r].count > 1 ? ` (largest of ${rows[r].count})` : "";
      read.textContent = `${steps}, ${rows[r].phase} ${rows[r].name}${many}: ${said(image[r * starts.length + c])}`;
    };
    const show = () => {
      tell(row, column);
      source("cursor").data = { x: [column], y: [row] };
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
    const under = ({ x, y }) => {
      const [r, c] = [Math.round(y), Math.round(x)];
      return r >= 0 && r < rows.length && c >= 0 && c < starts.length ? [r, c] : null;
    };
    plot.on_event("mousemove", (event) => {
      const cell = under(event);
      if (cell) tell(...cell);
    });
    plot.on_event("tap", (event) => {
      const cell = under(event);
      if (!cell) return;
      [row, column] = cell;
      show();
    });
  };

  Promise.all([data.linear ? losses() : null, data.map ? distances() : null]).then(() => {
    document.documentElement.dataset.ready = String(performance.now());
  });
})();
