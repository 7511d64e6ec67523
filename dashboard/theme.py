"""The admin's accent colour: the teal of the service's other pages (static/tokens.css)."""

from __future__ import annotations

from django.http import HttpRequest

# White text on colours 600 and 700, and text of colour 500 on a dark background, have a contrast of at least 4.5 to 1.
TEAL = {
    "50": "#f0fdfa",
    "100": "#d9efec",
    "200": "#b2dfd9",
    "300": "#7cc9c0",
    "400": "#2dd4bf",
    "500": "#2bb8a8",
    "600": "#0f766e",
    "700": "#0b5c56",
    "800": "#0e4a46",
    "900": "#12393a",
    "950": "#06221f",
}


def primary(_request: HttpRequest) -> dict[str, str]:
    """Return the colours for unfold's setting ``COLORS.primary``."""
    return dict(TEAL)  # a copy, because unfold writes into it
