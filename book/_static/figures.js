// Draws each interactive figure from the JSON beside it, in the page's own colours.
(function () {
  function ink() {
    const style = getComputedStyle(document.documentElement);
    return {
      text: style.getPropertyValue("--pst-color-text-base").trim() || "#222",
      line: style.getPropertyValue("--pst-color-border").trim() || "#ccc",
    };
  }

  function draw(box) {
    const { data, layout } = JSON.parse(box.querySelector("script").textContent);
    const colour = ink();
    // In the template, where a colour does not switch a grid on.
    const template = structuredClone(layout.template || {});
    template.layout = template.layout || {};
    for (const key of ["xaxis", "yaxis"]) {
      const axis = { gridcolor: colour.line, zerolinecolor: colour.line, linecolor: colour.line };
      template.layout[key] = Object.assign({}, template.layout[key], axis);
    }
    const merged = Object.assign({}, layout, {
      template,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: Object.assign({}, layout.font, { color: colour.text }),
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour.line, activecolor: colour.text },
      margin: Object.assign({ l: 48, r: 16, t: layout.title ? 48 : 16, b: 48 }, layout.margin),
      autosize: true,
    });
    delete merged.width;
    let target = box.querySelector("div");
    if (!target) {
      target = document.createElement("div");
      box.appendChild(target);
    }
    Plotly.react(target, data, merged, { responsive: true, displaylogo: false });
  }

  function drawAll() {
    document.querySelectorAll(".agentops-plotly").forEach(draw);
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  new MutationObserver(drawAll).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
})();
