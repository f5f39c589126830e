"""The page's one style sheet. Small, dark where the reader's system is, and made for a phone as well."""

CSS = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--dim:#616a75;--line:#dfe3e8;--accent:#0b63c5;
--good:#12733b;--bad:#b3261e;--busy:#9a5b00;--wait:#4a5a8a}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2127;--ink:#e6e9ed;--dim:#98a2ae;--line:#333a43;
--accent:#7ab7ff;--good:#6fd08c;--bad:#ff8f86;--busy:#f0b45a;--wait:#a9b8ea}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
header{background:var(--card);border-bottom:1px solid var(--line);padding:.6rem 1rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem;
align-items:baseline}
header b{font-size:1.05rem}header .who{color:var(--dim);font-size:.85rem}
nav{display:flex;flex-wrap:wrap;gap:.1rem .9rem;width:100%}
nav a{padding:.25rem 0;color:var(--dim)}nav a.here{color:var(--ink);font-weight:600;border-bottom:2px solid var(--accent)}
main{max-width:1280px;margin:0 auto;padding:1rem}
h1{font-size:1.25rem;margin:.2rem 0 .8rem;overflow-wrap:anywhere}h2{font-size:1.02rem;margin:1.6rem 0 .5rem}
.banner{background:#8c1d18;color:#fff;padding:.6rem 1rem}.banner b{display:block}
.banner li{font-family:ui-monospace,monospace;font-size:.88rem}
.banner ul{margin:.2rem 0 .4rem;padding-left:1.2rem}.banner a{color:#fff;text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:.6rem}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;color:var(--ink);display:block}
.tile b{display:block;font-size:1.5rem;line-height:1.2}.tile span{color:var(--dim);font-size:.85rem}
.tile.bad b{color:var(--bad)}.tile.good b{color:var(--good)}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;margin:0 0 .7rem}
.chips a{border:1px solid var(--line);background:var(--card);border-radius:99px;padding:.15rem .7rem;color:var(--dim)}
.chips a.here{border-color:var(--accent);color:var(--accent);font-weight:600}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:8px}
th{font-size:.78rem;color:var(--dim);text-align:left;font-weight:600;padding:.45rem .7rem;border-bottom:1px solid var(--line)}
td{padding:.45rem .7rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
.mono,pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:.86rem}
.dim{color:var(--dim)}.nowrap,button{white-space:nowrap}td:first-child{min-width:7.6rem}
td pre{margin-top:.4rem;max-height:12rem}
.state{font-size:.76rem;font-weight:700;letter-spacing:.02em;white-space:nowrap}
.DELIVERED{color:var(--good)}.FAILED,.ERROR{color:var(--bad)}.ACTIVE,.RETRY{color:var(--busy)}.CREATED,.WAITING{color:var(--wait)}
.CANCELED,.CANCEL_REQUESTED{color:var(--dim)}
.empty{color:var(--dim);background:var(--card);border:1px dashed var(--line);border-radius:8px;padding:.9rem;margin:0}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem;overflow:auto;max-height:24rem;margin:0;
white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;background:var(--card);border:1px solid var(--line);
border-radius:8px;padding:.7rem .9rem;margin:0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
form{display:inline}button{font:inherit;font-size:.88rem;border:1px solid var(--accent);background:var(--accent);
color:var(--card);border-radius:6px;padding:.25rem .8rem;cursor:pointer}
button.quiet{background:transparent;color:var(--accent)}.banner button{background:#fff;border-color:#fff;color:#8c1d18}
footer{color:var(--dim);font-size:.82rem;padding:1.2rem 0}
@media (max-width:640px){
main{padding:.7rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}
table,tbody,tr,td{display:block}thead{display:none}table{border:0;background:none}
tr{background:var(--card);border:1px solid var(--line);border-radius:8px;margin-bottom:.6rem;padding:.3rem 0}
td,td:first-child{min-width:0}td{border:0;padding:.18rem .8rem;display:grid;grid-template-columns:5rem minmax(0,1fr);gap:.6rem}
td::before{content:attr(data-head);color:var(--dim);font-size:.8rem}td:has(>div:empty){display:none}
nav a{padding:.45rem 0}button{padding:.45rem 1rem}.chips a{padding:.35rem .8rem}}
"""
