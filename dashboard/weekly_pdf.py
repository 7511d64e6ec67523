"""Make the weekly summary as an A4 PDF, with ReportLab. This needs no browser and no installed fonts.

PDF's standard fonts have only Latin letters. Chinese characters use an Adobe font that PDF readers provide. Arrows and
some other symbols are replaced by words or simpler characters, and all other characters by "?".
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape  # nosec B406 # writes XML, parses none

from django.conf import settings
from django.utils.translation import get_language
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

if TYPE_CHECKING:
    from dashboard.weekly_summary import Section

# light colours of static/tokens.css
TEXT, MUTED, ACCENT, LINE = (HexColor(colour) for colour in ("#1c2321", "#5b6460", "#0f766e", "#dedad0"))
MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN - 12  # ReportLab's frame has a padding of 6 points on either side
CHINESE = "STSong-Light"
REPLACED = {"→": "to", "−": "-", "≤": "<=", "≥": ">=", "✓": "+", "✗": "x", "\u202f": " "}

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=8.5, leading=11, textColor=TEXT)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.5, leading=9.5, textColor=MUTED)
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=16, leading=20, spaceAfter=4 * mm)
HEADING = ParagraphStyle("heading", parent=BODY, fontName="Helvetica-Bold", fontSize=11, leading=14, spaceBefore=5 * mm)
FIGURE = ParagraphStyle("figure", parent=BODY, fontName="Helvetica-Bold", fontSize=14, leading=18)


def render(title: str, figures: Sequence[tuple[str, str, str]], sections: Sequence[Section]) -> bytes:
    """Return the weekly summary as a PDF file.

    ``figures``: the headline figures, each as name, value and remark.
    """
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=title,
        author="Voice service",
        lang=get_language() or settings.LANGUAGE_CODE,
    )
    story: list[Flowable] = [_words(title, TITLE), _tiles(figures)]
    for section in sections:
        story += _section(section)
    document.build(story)
    return file.getvalue()


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    for odd, plain in REPLACED.items():
        text = text.replace(odd, plain)
    parts: list[str] = []
    for letter in text:
        is_latin = letter.encode("cp1252", "ignore") != b""
        is_chinese = "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"
        known = escape(letter) if is_latin or is_chinese else "?"
        parts.append(f'<font name="{CHINESE}">{known}</font>' if is_chinese else known)
    return Paragraph("".join(parts), style)


def _tiles(figures: Sequence[tuple[str, str, str]]) -> Table:
    """Return a table that shows the headline figures as tiles, three in a row."""
    cells = [[_words(name, SMALL), _words(value, FIGURE), _words(note, SMALL)] for name, value, note in figures]
    rows = [cells[start : start + 3] for start in range(0, len(cells), 3)]
    rows[-1] += [[]] * (3 - len(rows[-1]))
    table = Table(rows, colWidths=[WIDTH / 3] * 3)
    table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, LINE), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    return table


def _section(section: Section) -> list[Flowable]:
    heading = _words(section.title, HEADING)
    note: list[Flowable] = [_words(section.note, SMALL)] if section.note else []
    if not section.rows:
        return [KeepTogether([heading, Spacer(1, 1 * mm), *note])]
    lengths = [max(len(row[place]) for row in (section.head, *section.rows)) for place in range(len(section.head))]
    shares = [min(max(length, 9), 46) for length in lengths]
    widths = [WIDTH * share / sum(shares) for share in shares]
    rows = [[_words(cell, SMALL) for cell in section.head]]
    rows += [[_words(cell, BODY) for cell in row] for row in section.rows]
    table = Table(rows, colWidths=widths, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ]
        )
    )
    return [heading, Spacer(1, 1 * mm), table, *note]
