addEventListener("load", () => { document.body.dataset.out = encodeURIComponent(JSON.stringify({
  trial: document.getElementById("timeline-pick").value, predictor: document.getElementById("timeline-predictor").value,
  read: document.getElementById("timeline-read").value, sorted: document.querySelector("table[data-csv=seeds]").dataset.sorted,
  open: document.querySelector("table[data-csv=seeds]").closest("details").open })); });
