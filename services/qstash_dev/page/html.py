"""Markup that cannot forget to escape: whatever is put into a template is text, unless it is markup already. Pure."""

import html as standard
from collections.abc import Iterable
from urllib.parse import quote, urlencode


class Html(str):
    """Finished markup."""

    __slots__ = ()


def html(template: str, **values: object) -> Html:
    """The template with its `{names}` filled in."""
    return Html(template.format_map({name: escaped(value) for name, value in values.items()}))


def escaped(value: object) -> Html:
    """The value as markup; lists one after the other, None as nothing."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html()
    if isinstance(value, list | tuple):
        return joined(value)
    return Html(standard.escape(str(value), quote=True))


def joined(values: Iterable[object]) -> Html:
    """All of them as markup."""
    return Html("".join(map(escaped, values)))


def link(path: str, query: dict[str, str], text: object, *, css: str = "") -> Html:
    """A link inside this page; values of the query are kept as they are, empty ones left out."""
    return html('<a href="{href}" class="{css}">{text}</a>', href=address(path, query), css=css, text=text)


def address(path: str, query: dict[str, str]) -> str:
    """A path of this server with a query."""
    found = urlencode({name: value for name, value in query.items() if value})
    return quote(path, safe="/") + (f"?{found}" if found else "")


def table(heads: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str) -> Html:
    """A table that becomes a list of cards on a phone: each cell knows the name of its column."""
    names = list(heads)
    body = [joined(_cell(name, cell) for name, cell in zip(names, row, strict=True)) for row in rows]
    if not body:
        return html('<p class="empty">{text}</p>', text=empty)
    head = joined(html("<th>{name}</th>", name=name) for name in names)
    lines = joined(html("<tr>{row}</tr>", row=row) for row in body)
    return html("<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>", head=head, lines=lines)


def _cell(name: str, cell: object) -> Html:
    return html('<td data-head="{name}"><div>{cell}</div></td>', name=name, cell=cell)


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and values, without those that are empty."""
    rows = [html("<dt>{name}</dt><dd>{value}</dd>", name=name, value=value) for name, value in pairs if value not in (None, "")]
    return html("<dl>{rows}</dl>", rows=rows)
