"""The report's style sheet: a printed page that fits any screen, tables with booktabs' three rules."""

CSS = """
:root { --ink: #1a1a1a; --soft: #5c5c5c; --rule: #cfcfcf; --link: #0b5394; }
* { box-sizing: border-box; }
html { font-size: 17px; -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.55;
  font-family: Charter, "Bitstream Charter", "Source Serif 4", Cambria, Georgia, "DejaVu Serif", serif; }
main { max-width: 70rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
main > *, section > * { max-width: 42rem; margin-left: auto; margin-right: auto; }
main > section, figure.wide, div.wide { max-width: none; }
h1 { font-size: 1.9rem; line-height: 1.2; margin-top: 0; margin-bottom: .5rem; font-weight: 600; }
h2 { font-size: 1.25rem; margin-top: 3rem; margin-bottom: .6rem; font-weight: 600; }
p { margin-top: .8rem; margin-bottom: .8rem; hyphens: auto; }
a { color: var(--link); }
.meta { color: var(--soft); margin-top: 0; }
.abstract { border-left: 3px solid var(--rule); padding-left: 1.1rem; }
.abstract h2 { margin-top: 1.5rem; font-size: 1rem; }
figure { margin-top: 1.8rem; margin-bottom: 1.8rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption, .caption { font-size: .88rem; line-height: 1.45; color: var(--soft); max-width: 42rem; margin: .6rem auto; }
figcaption b, .caption b { color: var(--ink); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0 auto; font-size: .82rem; line-height: 1.4;
  font-variant-numeric: lining-nums tabular-nums; border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid
  var(--ink); }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
th { font-weight: 600; vertical-align: bottom; }
th.group { border-bottom: 1px solid var(--rule); text-align: center; }
th, td { padding: .22rem .55rem; }
th:first-child, td:first-child { padding-left: .1rem; }
th:last-child, td:last-child { padding-right: .1rem; }
td { white-space: nowrap; }
td.w { white-space: normal; min-width: 11rem; }
table.dense { font-size: .76rem; } table.dense th, table.dense td { padding: .2rem .38rem; }
.l, .w { text-align: left; } .r { text-align: right; } .c { text-align: center; }
tbody tr:hover { background: #f5f5f2; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", "DejaVu Math TeX Gyre", math; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .8rem; }
pre { overflow-x: auto; background: #f7f7f5; padding: .8rem 1rem; line-height: 1.4; }
details { margin-top: 1rem; margin-bottom: 1rem; } details.wide { max-width: none; }
details summary { max-width: 42rem; margin: 0 auto; cursor: pointer; color: var(--link); }
@media (max-width: 40rem) { html { font-size: 16px; } main { padding-top: 1.5rem; } }
@media print { html { font-size: 10pt; } main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""
