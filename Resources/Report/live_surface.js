/* The live surface of the report: unpacks plotly's script when the reader comes near, draws the mesh that
   LAScarSegLib/output/live_surface.py describes, and answers buttons, slider and camera. Nothing is fetched. */
(function () {
  "use strict";
  const EYE = 20, SIZE = 2.2; // in plotly's units: the camera, always outside, and the scene; two are the height of the picture
  const ZOOM = 1.25, NEAREST = 5, FARTHEST = 0.5; // a press of + or −, and how far they go
  const LIGHT = { x: -350, y: 500, z: -100 }; // over the reader's left shoulder: plotly's light stands in the picture, and so moves with the camera
  const SHARP = 1e-6; // two stops of a colour scale this far apart are a line
  const COSINE = 0.5; // a letter names a side within 60°: "LA" between left and anterior, as in the figures
  const box = document.getElementById("live-box"), plot = document.getElementById("live-plot");
  const slider = document.getElementById("live-threshold"), said = document.getElementById("live-said");
  const legend = document.getElementById("live-legend"), note = document.getElementById("live-note");
  let data, mode, camera, zoom = 1;

  function fail(words) {
    box.classList.add("failed");
    note.textContent = words;
  }

  function bytes(base64) {
    const text = atob(base64), out = new Uint8Array(text.length);
    for (let n = 0; n < text.length; n++) out[n] = text.charCodeAt(n);
    return out;
  }

  function array(packed) {
    const types = { uint8: Uint8Array, uint16: Uint16Array, int16: Int16Array, float32: Float32Array };
    return new types[packed.type](bytes(packed.data).buffer);
  }

  async function script() {
    const stream = new Blob([bytes(document.getElementById("live-script").textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const element = document.createElement("script");
    element.textContent = await new Response(stream).text();
    document.head.appendChild(element);
  }

  function columns(packed) {
    const flat = array(packed), count = flat.length / 3, xyz = [0, 1, 2].map(() => new Float32Array(count));
    for (let n = 0; n < flat.length; n++) xyz[n % 3][(n / 3) | 0] = flat[n] * data.unit_mm;
    return xyz;
  }

  /* What the page knows of the surface, unpacked. */
  function unpack() {
    data = JSON.parse(document.getElementById("live-data").textContent);
    data.xyz = columns(data.points);
    data.triangles = array(data.triangles);
    data.kind = array(data.kind);
    data.share = array(data.share);
    for (const name of ["scar", "iir", "probability"]) if (data[name]) data[name] = array(data[name]);
    for (const one of [...data.labels, ...data.unsure]) one.values = array(one.values);
    data.total = data.share.reduce((sum, share) => sum + share, 0);
  }

  /* Vertices of the measured wall above the threshold: how many, and the share they are of the headline's surface. */
  function above(threshold) {
    let count = 0, share = 0;
    for (let n = 0; n < data.iir.length; n++)
      if (data.kind[n] === 0 && data.iir[n] > threshold) { count++; share += data.share[n]; }
    return { count, pct: data.total ? (100 * share) / data.total : 0 };
  }

  /* Triangles whose corners are of a kind: the kind of two of three. */
  function facesOf(kind) {
    const ijk = [[], [], []], t = data.triangles;
    for (let n = 0; n < t.length; n += 3) {
      const corners = [data.kind[t[n]], data.kind[t[n + 1]], data.kind[t[n + 2]]];
      const found = corners[0] === corners[1] || corners[0] === corners[2] ? corners[0] : corners[1];
      if (kind === null || found === kind) for (let c = 0; c < 3; c++) ijk[c].push(t[n + c]);
    }
    return ijk;
  }

  /* A mesh of its own `name`: plotly keeps what an earlier one of the same name was coloured by. */
  function mesh(name, ijk, more) {
    const [x, y, z] = data.xyz, [i, j, k] = ijk;
    const lighting = { ambient: 0.62, diffuse: 0.5, specular: 0.04, roughness: 0.9, fresnel: 0 };
    return Object.assign({ type: "mesh3d", uid: name, x, y, z, i, j, k, lighting, flatshading: false, lightposition: LIGHT, showscale: false, hoverinfo: "text" }, more);
  }

  /* Sharp bands between `limits`, each with its colour: one colour more than limits. */
  function bands(low, high, limits, colours) {
    const at = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
    const scale = [[0, colours[0]]];
    limits.forEach((limit, n) => scale.push([at(limit), colours[n]], [Math.min(1, at(limit) + SHARP), colours[n + 1]]));
    scale.push([1, colours[colours.length - 1]]);
    return scale.filter(([place], n) => n === 0 || place >= scale[n - 1][0]);
  }

  function ramp(colours) {
    return colours.map((colour, n) => [n / (colours.length - 1), colour]);
  }

  /* The ways to look at it, as far as there is something to look at. */
  function modes() {
    const found = [];
    const unsure = data.unsure.map((one, n) => ({ key: "unsure" + n, title: one.title }));
    if (data.withheld) return [{ key: "shape", title: "Shape" }, ...unsure];
    found.push({ key: "scar", title: "Scar" });
    if (data.iir) found.push({ key: "intensity", title: "Intensity" });
    if (data.threshold !== null) found.push({ key: "threshold", title: "Threshold" });
    if (data.probability) found.push({ key: "probability", title: "Probability" });
    found.push(...unsure);
    data.labels.forEach((one, n) => found.push({ key: "labels" + n, title: one.title }));
    return found;
  }

  function swatches(entries) {
    return entries.map(([name, colour]) => {
      const item = document.createElement("span"), patch = document.createElement("i");
      patch.style.background = colour;
      item.append(patch, name);
      return item;
    });
  }

  function scaleBar(colours, low, high, words) {
    const item = document.createElement("span"), bar = document.createElement("i");
    bar.className = "ramp";
    bar.style.background = "linear-gradient(to right, " + colours.join(", ") + ")";
    item.append(words + ": " + low, bar, String(high));
    return [item];
  }

  /* What a mode draws: values, their scale, and the legend. */
  function look() {
    const healthy = data.withheld ? null : data.classes[0], classes = data.withheld ? [] : Object.values(data.classes);
    if (mode === "shape") return { plain: "#d6cda0", entries: [] };
    if (mode === "scar") {
      const colours = classes.map((entry) => entry[1]), last = Math.max(1, classes.length - 1);
      return { values: data.scar, low: 0, high: last, scale: bands(0, last, colours.slice(1).map((_, n) => n + 0.5), colours), entries: swatches([...classes].reverse()) };
    }
    if (mode === "intensity") {
      const [low, high] = data.iir_range;
      return { values: data.iir, low, high, scale: ramp(data.iir_colours), entries: scaleBar(data.iir_colours, low, high, "intensity relative to blood (IIR)") };
    }
    if (mode === "threshold") {
      const [low, high] = data.slider, colours = [healthy[1], data.classes[Object.keys(data.classes).pop()][1]];
      return { values: data.iir, low, high, scale: bands(low, high, [Number(slider.value)], colours), entries: swatches([["above the threshold", colours[1]], ["below", colours[0]]]) };
    }
    if (mode === "probability") {
      const colours = ["#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b"]; // ColorBrewer's Reds of RdBu
      return { values: data.probability, low: 0, high: 1, scale: ramp(colours), entries: scaleBar(colours, 0, 1, "probability of scar") };
    }
    if (mode.startsWith("unsure")) {
      const one = data.unsure[Number(mode.slice("unsure".length))], colours = data.unsure_colours;
      return { values: one.values, low: 0, high: 1, scale: ramp(colours), entries: scaleBar(colours, 0, 1, one.words) };
    }
    const one = data.labels[Number(mode.slice("labels".length))];
    return { labels: one, entries: swatches(Object.values(one.entries)) };
  }

  function faceColours(one) {
    const t = data.triangles, colours = [];
    for (let n = 0; n < t.length; n += 3) {
      const [a, b, c] = [one.values[t[n]], one.values[t[n + 1]], one.values[t[n + 2]]];
      colours.push(one.entries[b === c ? b : a][1]);
    }
    return colours;
  }

  function traces() {
    const found = look(), marks = [];
    let meshes;
    if (found.labels) meshes = [mesh(mode, facesOf(null), { facecolor: faceColours(found.labels) })];
    else {
      const wall = found.plain ? { color: found.plain } : { intensity: found.values, colorscale: found.scale, cmin: found.low, cmax: found.high };
      meshes = [mesh("wall", facesOf(0), wall), ...Object.keys(data.kinds).map((kind) => mesh("kind" + kind, facesOf(Number(kind)), { color: data.kinds[kind][1] }))];
    }
    meshes = meshes.filter((one) => one.i.length);
    if (meshes[0]) meshes[0].text = hoverTexts();
    if (!data.withheld && mode !== "scar") marks.push(outline());
    for (const gap of data.gaps) marks.push(...gapMarks(gap));
    return meshes.concat(marks);
  }

  /* Plotly reads a few tags in what it shows: words of the result stay words. */
  function plain(words) {
    return words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function hoverTexts() {
    if (data.withheld) return "";
    return Array.from(data.scar, (scar, n) => {
      if (data.kind[n]) return data.kinds[data.kind[n]][0];
      const words = [data.classes[scar][0]];
      if (data.iir) words.push("IIR " + data.iir[n].toFixed(2));
      if (data.probability) words.push("probability " + data.probability[n].toFixed(2));
      for (const one of data.unsure) words.push(one.title.toLowerCase() + " " + one.values[n].toFixed(2));
      for (const one of data.labels) words.push(one.entries[one.values[n]][0]);
      return plain(words.join(" · "));
    });
  }

  function outline() {
    const xyz = columns(data.outline).map((ends) => {
      const line = [];
      for (let n = 0; n < ends.length; n += 2) line.push(ends[n], ends[n + 1], null);
      return line;
    });
    return { type: "scatter3d", mode: "lines", x: xyz[0], y: xyz[1], z: xyz[2], line: { color: data.ink, width: 3 }, hoverinfo: "skip", showlegend: false };
  }

  function gapMarks(gap) {
    const [x, y, z] = columns(gap.mark), words = plain("gap " + gap.number + ": " + gap.text);
    const font = { size: 14, color: data.ink, family: "system-ui, Arial, sans-serif" };
    const marks = [{ type: "scatter3d", mode: "markers+text", x, y, z, text: ["<b>" + gap.number + "</b>"], textposition: "top center", textfont: font,
      hovertext: [words], hoverinfo: "text", marker: { size: 6, color: data.ink, line: { color: "#fff", width: 2 } }, showlegend: false }];
    if (gap.line) {
      const [lx, ly, lz] = columns(gap.line);
      marks.unshift({ type: "scatter3d", mode: "lines", x: lx, y: ly, z: lz, line: { color: data.ink, width: 8 }, hoverinfo: "skip", showlegend: false });
    }
    return marks;
  }

  function cameraOf(view) {
    const [x, y, z] = view.direction.map((part) => -EYE * part || 0), [ux, uy, uz] = view.up;
    return { eye: { x, y, z }, up: { x: ux, y: uy, z: uz }, center: { x: 0, y: 0, z: 0 }, projection: { type: "orthographic" } };
  }

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => { const length = Math.sqrt(dot(a, a)) || 1; return a.map((part) => part / length); };

  /* Right and up of the picture and towards the reader, in LPS. */
  function frame() {
    const back = unit([camera.eye.x, camera.eye.y, camera.eye.z]), raw = [camera.up.x, camera.up.y, camera.up.z];
    const right = unit(cross(raw, back));
    return { right, up: cross(back, right), back };
  }

  function side(direction) {
    const letters = [["R", "L"], ["A", "P"], ["I", "S"]];
    const order = [0, 1, 2].sort((a, b) => Math.abs(direction[b]) - Math.abs(direction[a])).filter((axis) => Math.abs(direction[axis]) >= COSINE);
    return order.slice(0, 2).map((axis) => letters[axis][direction[axis] > 0 ? 1 : 0]).join("");
  }

  function letters() {
    const { right, up } = frame(), minus = (a) => a.map((part) => -part);
    for (const [name, direction] of [["left", minus(right)], ["right", right], ["top", up], ["bottom", minus(up)]])
      document.getElementById("live-" + name).textContent = side(direction);
    const { back } = frame();
    for (const button of document.querySelectorAll("#live-views button")) {
      const view = data.views[Number(button.value)];
      button.setAttribute("aria-pressed", String(dot(view.direction, back) < -0.999 && dot(view.up, up) > 0.999));
    }
  }

  function draw() {
    const size = SIZE * zoom;
    const scene = { camera, aspectmode: "manual", aspectratio: { x: size, y: size, z: size }, dragmode: "orbit", hovermode: "closest" };
    for (const axis of ["xaxis", "yaxis", "zaxis"]) scene[axis] = { visible: false, range: [-data.half_mm, data.half_mm], autorange: false, showspikes: false };
    const layout = { scene, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "#fff", hoverlabel: { bgcolor: "#fff", bordercolor: data.ink, font: { color: data.ink } } };
    legend.replaceChildren(...look().entries, ...(mode.startsWith("labels") ? [] : swatches(present())), ...swatches(data.withheld || mode === "scar" ? [] : [["border of this map’s own scar", data.ink]]));
    return window.Plotly.react(plot, traces(), layout, { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false });
  }

  function present() {
    return Object.keys(data.kinds).filter((kind) => data.kind.includes(Number(kind))).map((kind) => data.kinds[kind]);
  }

  function tell() {
    if (data.withheld || data.threshold === null) return;
    const threshold = Number(slider.value), { count, pct } = above(threshold);
    said.textContent = "IIR " + threshold.toFixed(2) + ": " + pct.toFixed(1) + " % of the " + data.of + " lies above";
    said.dataset.vertices = String(count);
    slider.setAttribute("aria-valuetext", said.textContent);
  }

  async function choose(key) {
    mode = key;
    await draw();
    for (const button of document.querySelectorAll("#live-modes button")) button.setAttribute("aria-pressed", String(button.value === key));
    box.dataset.drawn = slider ? slider.value : "";
  }

  function buttons(place, entries, act) {
    for (const [value, title] of entries) {
      const button = document.createElement("button");
      button.type = "button";
      button.value = value;
      button.textContent = title;
      button.addEventListener("click", () => act(value));
      document.getElementById(place).append(button);
    }
  }

  /* While the slider moves, one picture after the other: the last position is never left out. */
  let busy = false, again = false;
  async function slide() {
    tell();
    if (busy) { again = true; return; }
    busy = true;
    do { again = false; await choose("threshold"); } while (again);
    busy = false;
  }

  async function start() {
    unpack();
    buttons("live-modes", modes().map((one) => [one.key, one.title]), choose);
    buttons("live-views", data.views.map((view, n) => [String(n), view.name]), (n) => { camera = cameraOf(data.views[n]); draw().then(letters); });
    buttons("live-zoom", [[String(ZOOM), "+"], [String(1 / ZOOM), "−"]], (factor) => { zoom = Math.min(NEAREST, Math.max(FARTHEST, zoom * factor)); draw(); });
    camera = cameraOf(data.views[0]);
    if (slider && data.threshold !== null && !data.withheld) {
      [slider.min, slider.max, slider.step] = data.slider.map(String);
      slider.value = String(data.threshold);
      slider.addEventListener("input", slide);
      tell();
    }
    await script();
    await choose(modes()[0].key);
    letters();
    plot.on("plotly_relayouting", moved);
    plot.on("plotly_relayout", moved);
    box.dataset.ready = "yes";
  }

  function moved(change) {
    const now = change["scene.camera"];
    if (!now) return;
    camera = Object.assign({}, now, { projection: { type: "orthographic" } });
    letters();
  }

  function able() {
    if (typeof DecompressionStream === "undefined") return "The live surface needs a newer browser (from 2023 on). All else of the report is here.";
    const canvas = document.createElement("canvas");
    if (!(canvas.getContext("webgl2") || canvas.getContext("webgl"))) return "The live surface needs WebGL, which this browser does not offer. All else of the report is here.";
    return "";
  }

  const problem = able();
  if (problem) { fail(problem); return; }
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    near.disconnect();
    start().catch((error) => fail("The live surface could not be drawn: " + error.message));
  }, { rootMargin: "300px" });
  near.observe(box);
})();
