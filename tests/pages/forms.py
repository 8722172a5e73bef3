"""What a browser sends for the filter form of a page, with nothing in it touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

Attributes = dict[str, str | None]


@dataclass
class _Form:
    is_wanted: bool
    pairs: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects the successful fields of each GET form, as the HTML standard names them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._form: _Form | None = None
        self._select = ""
        self._chosen: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: Attributes = dict(attrs)
        if tag == "form":
            classes = (given.get("class") or "").split()
            self._form = _Form(given.get("method") == "get" and "filters" in classes)
            self.forms.append(self._form)
        elif tag == "select":
            self._select = given.get("name") or ""
        elif self._form is not None and tag == "input":
            self._form.pairs += _sent_by(given)
        elif self._form is not None and tag == "option" and "selected" in given:
            if "value" in given:
                self._form.pairs.append((self._select, given["value"] or ""))
            else:
                self._chosen = []

    def handle_data(self, data: str) -> None:
        if self._chosen is not None:
            self._chosen.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "option" and self._form is not None and self._chosen is not None:
            self._form.pairs.append((self._select, " ".join("".join(self._chosen).split())))
            self._chosen = None
        if tag == "form":
            self._form = None


def _sent_by(given: Attributes) -> list[tuple[str, str]]:
    name, kind, value = given.get("name"), given.get("type", "text"), given.get("value")
    if not name or (kind in ("checkbox", "radio") and "checked" not in given):
        return []
    if kind == "number" and not (value or "").isdigit():
        return [(name, "")]  # browsers empty such a field
    return [(name, value if value is not None else "on" if kind == "checkbox" else "")]


def press_filter(page: str) -> str:
    """The query that the filter form of this page leads to."""
    reader = _Reader()
    reader.feed(page)
    (form,) = [form for form in reader.forms if form.is_wanted]
    return urlencode(form.pairs)
