"""Numbers as the page writes them."""

from __future__ import annotations


def percent(part: float, whole: float) -> str:
    """A share; 100 % and 0 % only where it is."""
    if not whole:
        return "–"
    share = 100 * part / whole
    # 99.96 % is not 100 %.
    return f"{share:.0f} %" if share in (0, 100) else f"{min(max(share, 0.1), 99.9):.3g} %"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"
