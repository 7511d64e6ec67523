r"""Turn LaTeX formulas ("\frac{3}{4}") into plain symbols ("3/4") that the rules for numbers and maths can read."""

from __future__ import annotations

import re

_DELIMITED = re.compile(
    r"\$\$([^$]{1,1000})\$\$|\\\(([^\n]{1,500}?)\\\)|\\\[((?:[^\\]|\\(?!\])){1,1000})\\\]"
    r"|(?<![\w$])\$(?=\S)([^$\n]{1,300}?)(?<=\S)\$(?!\d)"
)
_FORMULA_SIGNS = re.compile(r"[\\^_=<>+]")
_SIGN = re.compile(r"\\[a-zA-Z]{1,20}\*?|\\.|[{}^_]|[^\\{}^_]")
_MAX_DEPTH = 12
_COMMANDS = {
    "times": " × ",
    "cdot": " × ",
    "div": " ÷ ",
    "pm": " ± ",
    "mp": " ± ",
    "leq": " ≤ ",
    "le": " ≤ ",
    "leqslant": " ≤ ",
    "geq": " ≥ ",
    "ge": " ≥ ",
    "geqslant": " ≥ ",
    "lt": " < ",
    "gt": " > ",
    "neq": " ≠ ",
    "ne": " ≠ ",
    "approx": " ≈ ",
    "sim": " ≈ ",
    "equiv": " = ",
    "infty": " ∞ ",
    "pi": " π ",
    "alpha": " α ",
    "beta": " β ",
    "gamma": " γ ",
    "delta": " δ ",
    "theta": " θ ",
    "lambda": " λ ",
    "sigma": " σ ",
    "omega": " ω ",
    "Omega": " Ω ",
    "phi": " phi ",
    "rho": " rho ",
    "Delta": " Δ ",
    "mu": " μ ",
    "sum": " ∑ ",
    "to": " → ",
    "rightarrow": " → ",
    "Rightarrow": " → ",
    "implies": " → ",
    "degree": "°",
    "circ": "°",
    "percent": "%",
    "sin": " sin ",
    "cos": " kos ",
    "tan": " tan ",
    "log": " log ",
    "ln": " ln ",
    "lim": " lim ",
    "therefore": ", ",
    "ldots": ", ",
    "dots": ", ",
    "cdots": ", ",
    "quad": " ",
    "qquad": " ",
    "%": "%",
    "$": "$",
    "&": " & ",
    ",": " ",
    ";": " ",
    ":": " ",
    "!": "",
    " ": " ",
    "\\": ", ",
    "{": "(",
    "}": ")",
    "|": "|",
}
_PLAIN_ARGUMENT = frozenset(
    "text mathrm mathbf operatorname mathit mathsf textbf textit mbox boxed overline bar".split()
)
_IGNORED_ARGUMENT = frozenset("begin end label tag color hspace vspace".split())


def without_latex(text: str) -> str:
    """Replace the LaTeX formulas in a text with plain symbols. Prices ("$5 and $6") are not taken for formulas."""
    if "$" not in text and "\\" not in text:
        return text
    return _DELIMITED.sub(_formula, text)


def _formula(match: re.Match[str]) -> str:
    body = next(group for group in match.groups() if group is not None)
    if match[4] is not None and not _FORMULA_SIGNS.search(body) and not re.fullmatch(r"[a-zA-Z]|\d{1,6}[a-z]?", body):
        return match[0]
    spoken = re.sub(r"\s+", " ", _Reader(body).read()).strip()
    return f" {spoken.replace('*', '×').replace('`', ' ')}"


class _Reader:
    """Reads one formula from left to right. Braces may be nested. Malformed LaTeX raises no error."""

    def __init__(self, body: str) -> None:
        self._signs: list[str] = _SIGN.findall(body.replace("\n", " "))
        self._at = 0

    def read(self, depth: int = 0) -> str:
        """Read on to the closing brace, or else to the end of the formula. Return this part in plain symbols.

        ``depth``: number of open braces.
        """
        parts: list[str] = []
        while self._at < len(self._signs):
            sign = self._next()
            if sign == "}":
                if depth:
                    break
            elif sign == "{":
                parts.append(self.read(depth + 1) if depth < _MAX_DEPTH else " ")
            elif sign == "^":
                parts.append(_power(self._argument(depth)))
            elif sign == "_":
                parts.append(f" {self._argument(depth)} ")
            elif sign[0] == "\\":
                parts.append(self._command(sign[1:].rstrip("*"), depth))
            elif sign in "-−":
                parts.append(_minus("".join(parts)))
            else:
                parts.append(sign.replace("~", " ").replace("&", " "))
        return "".join(parts)

    def _next(self) -> str:
        sign = self._signs[self._at]
        self._at += 1
        return sign

    def _argument(self, depth: int) -> str:
        """Return the next argument of a command: a group in braces, a command or a single character."""
        while self._at < len(self._signs) and self._signs[self._at] == " ":
            self._at += 1
        if self._at >= len(self._signs) or depth >= _MAX_DEPTH:
            return ""
        sign = self._next()
        if sign == "{":
            return self.read(depth + 1).strip()
        return self._command(sign[1:], depth + 1).strip() if sign[0] == "\\" else sign

    def _command(self, name: str, depth: int) -> str:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return _fraction(self._argument(depth), self._argument(depth))
        if name == "sqrt":
            return f" √ {self._argument(depth)} "
        if name in _PLAIN_ARGUMENT:
            argument = self._argument(depth)
            return argument if len(argument) == 1 else f" {argument} "
        if name in _IGNORED_ARGUMENT:
            self._argument(depth)
            return " "
        return _COMMANDS.get(name, " ")


def _fraction(top: str, bottom: str) -> str:
    if re.fullmatch(r"\d{1,3}", top) and re.fullmatch(r"\d{1,4}", bottom):
        return f" {top}/{bottom} "
    return f" {top} ÷ {bottom} "


def _power(exponent: str) -> str:
    return "°" if exponent == "°" else f"^{exponent} " if exponent else ""


def _minus(before: str) -> str:
    """Return the symbol for a minus: " − " for a subtraction, " ¬" for the sign of a negative term.

    ``before``: the formula before the minus.
    """
    return " − " if re.search(r"[\w)°}]\s*$", before) else " ¬"
