#include "report/html_parts.h"

namespace elastikv {

std::string html_style() {
  return R"css(:root{color-scheme:light dark;--back:#fff;--text:#1b1b1b;--soft:#5c5c5c;--rule:#d5d5d5;--head:#f3f3f3;--mark:#e8f1fa;--warn:#fff0d6;--warn-rule:#d98e04}
@media (prefers-color-scheme:dark){:root{--back:#16181b;--text:#e8e8e8;--soft:#a6a6a6;--rule:#3b3f45;--head:#22262b;--mark:#1d3247;--warn:#3b2c0c;--warn-rule:#e0a030}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1.5rem 1.25rem 4rem;background:var(--back);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,sans-serif}
h1{font-size:1.7rem;margin:0 0 .5rem}h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.6rem;border-top:2px solid var(--rule)}h3{font-size:1.02rem;margin:1.6rem 0 .4rem}h4{margin:1.2rem 0 .3rem;font-size:.95rem}
code,.signature{font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.signature,.note{color:var(--soft);font-size:12.5px;margin:.3rem 0}
.banner,.missing{border:1px solid var(--warn-rule);border-left-width:6px;background:var(--warn);padding:.5rem .9rem;margin:.9rem 0}
.banner{font-weight:700;font-size:1.15rem}
.wide{overflow:auto;max-height:85vh;border:1px solid var(--rule);border-radius:4px}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
thead th{position:sticky;top:0;background:var(--head)}
th:first-child,td:first-child{text-align:left}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
td small{color:var(--soft);font-size:11px}
td.best{background:var(--mark);font-weight:700}
td.best small{font-weight:400}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:1rem;margin:1rem 0}
.chart{width:100%;max-width:720px;height:auto;background:var(--back)}
.chart-text{fill:var(--text);font-size:12px}.chart-title{font-size:14px;font-weight:600}
.chart-line{stroke:var(--text);fill:none;stroke-width:1}.chart-grid{stroke:var(--rule);fill:none;stroke-width:.7}
.chart-reference{stroke:var(--text);fill:none;stroke-width:1.4;stroke-dasharray:2 3}
.chart-band{fill:var(--text);opacity:.1}.chart-shade{fill:#e69f00;opacity:.2}
.hidden{position:absolute;width:0;height:0;overflow:hidden}
.sample{border:1px solid var(--rule);border-radius:6px;padding:.2rem 1rem 1rem;margin:1rem 0}
.sample-top{display:flex;flex-wrap:wrap;gap:1.2rem;align-items:flex-start}
.sample-top .question{flex:1;min-width:240px}
.thumbnail{width:150px;flex:none;image-rendering:auto;border:1px solid var(--rule)}
.strip{display:grid;grid-template-columns:150px 1fr;gap:.3rem .8rem;align-items:center;margin:.5rem 0}
.strip .name{font-size:13px}.strip .name small{color:var(--soft);display:block}
.layers{display:flex;flex-wrap:wrap;gap:4px}
.layers figure{margin:0;text-align:center}.layers figcaption{font-size:10px;color:var(--soft);line-height:1.2}
.layer{width:64px;height:auto;display:block;border:1px solid var(--rule)}
.positions{width:100%;height:10px;display:block;border:1px solid var(--rule);margin-top:3px}
.dropped{fill:#000}.kept{fill:#0072b2}.image-place{fill:#e69f00;opacity:.35}
.texts td{white-space:pre-wrap;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.texts td:first-child{white-space:nowrap}
.provenance td{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere}.provenance th{text-align:left;vertical-align:top}
@media print{body{max-width:none;font-size:11px}.wide{overflow:visible;max-height:none}thead th{position:static}.sample,.chart,tr{break-inside:avoid}h2,h3,h4{break-after:avoid}.dropped,.kept,.best{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)css";
}

}  // namespace elastikv
