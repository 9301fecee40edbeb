"""The one palette: a colour for each role, on a white page and on a dark one, and the ramps of densities and maps.

Safe for colour-blind viewers (Okabe & Ito 2008, darkened where thin lines need it); no colour is the only sign of anything.
"""

from __future__ import annotations

import numpy as np

ROLES = {
    "ink": ("#222222", "#ECECEC"),
    "grey": ("#6E6E6E", "#A8A8A8"),
    "faint": ("#B8B8B8", "#5C5C5C"),
    "grid": ("#D8D8D8", "#3E3E3E"),
    "paper": ("#F7F7F7", "#1E1E1E"),
    "page": ("#FFFFFF", "#111111"),
    "chosen": ("#E6E6E6", "#333333"),
    "blue": ("#0072B2", "#56B4E9"),
    "orange": ("#C04A00", "#F0894A"),
    "green": ("#00795A", "#2CC29A"),
    "purple": ("#6A3D9A", "#B99AE0"),
    "olive": ("#8A6A00", "#D9B84A"),
    "target": ("#009E73", "#2CC29A"),
    "dark blue": ("#00263D", "#CFEAFB"),
    "dark orange": ("#401800", "#FFE0CC"),
    "pale blue": ("#7FB3D5", "#2F5F80"),
}
"""Role -> its colour on a white page, and on a dark one."""

RAMPS = {
    "blue": (
        "#F7F7F7 #DEEBF7 #C6DBEF #9DCAE1 #6AAED6 #4191C6 #2070B4 #08509B #08306B",
        "#1E1E1E #12293D #123C5E #175583 #2272A8 #3C92C8 #68B2DE #9DD1EF #D6EFFF",
    ),
    "orange": (
        "#F7F7F7 #FEE6CE #FDD0A2 #FDAE6B #FD8C3B #F16913 #D84801 #A53603 #7F2704",
        "#1E1E1E #3D2413 #5F3315 #854417 #AD5A20 #D37833 #EE9B58 #FBC28F #FFE9D6",
    ),
    "grey": ("#F7F7F7 #F0F0F0 #D9D9D9 #BDBDBD #959595 #737373 #525252 #252525 #000000",
             "#1E1E1E #2A2A2A #3C3C3C #555555 #747474 #959595 #B5B5B5 #D6D6D6 #F6F6F6"),
    "purple": ("#F7F7F7 #EFEDF5 #DADAEB #BCBDDC #9E9AC8 #807DBA #6A51A3 #54278F #3F007D",
               "#1E1E1E #2B2440 #3D3160 #53428A #6E5CB0 #8D7CCB #AB9EDF #CBC1EF #EBE6FB"),
    "red": ("#F7F7F7 #FEE0D2 #FCBBA1 #FC9272 #FB694A #EF3B2C #CB181D #A50F15 #67000D",
            "#1E1E1E #47191B #6E1D20 #982427 #C23333 #E2524C #F27C6F #FAA99B #FFDCD3"),
    "viridis": ("#440154 #472D7B #3B528B #2C728E #21918C #28AE80 #5EC962 #ADDC30 #FDE725",) * 2,
    "yellow to blue": (
        "#FFFFD9 #EDF8B1 #C7E9B4 #7FCDBB #41B6C4 #1D91C0 #225EA8 #253494 #081D58",
        "#16202E #1B2F4E #21447A #2464A3 #2587B5 #3BA9BB #6DC7B8 #B2E3B6 #F2FBC4",
    ),
    "blue to red": (
        "#053061 #2166AC #4393C3 #92C5DE #D1E5F0 #F7F7F7 #FDDBC7 #F4A582 #D6604D #B2182B #67001F",
        "#9CCBEF #5FA3D8 #3A7DB4 #275B88 #1D3A55 #222222 #55291F #8C3F2C #C05A42 #E5826A #F9B9A5",
    ),
    "purple to orange": (
        "#2D004B #542788 #8073AC #B2ABD2 #D8DAEB #F7F7F7 #FEE0B6 #FDB863 #E08214 #B35806 #7F3B08",
        "#D5C8F2 #A795D9 #7D6BB5 #574A86 #38325A #222222 #4E3414 #80521A #B57623 #E3A04A #FBD29A",
    ),
}  # fmt: skip
"""Name -> its colours at equal steps, on a white page and on a dark one: ColorBrewer's and viridis, and dark mates of them."""

LOOKS = [
    ("blue", "o", "●"), ("orange", "s", "■"), ("green", "^", "▲"), ("purple", "D", "◆"), ("olive", "v", "▼"), ("grey", "P", "✚"),
]  # fmt: skip
"""Role, marker and its character of each line of a picture, in order."""


def color(role: str, dark: bool = False) -> str:
    """The colour of a role; "#0072B2" and "#0072B2|#56B4E9", for both kinds of page, are colours already."""
    return role.split("|")[-1 if dark else 0] if role.startswith("#") else ROLES[role][dark]


def ramp(name: str, steps: int = 256, dark: bool = False) -> np.ndarray:
    """A ramp as so many colours, shape (steps, 3), uint8."""
    stops = np.array([[int(word[i : i + 2], 16) for i in (1, 3, 5)] for word in RAMPS[name][dark].split()])
    places = np.linspace(0, 1, steps)
    columns = [np.interp(places, np.linspace(0, 1, len(stops)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)


def shades(count: int) -> list[str]:
    """Colours of lines in an order, from viridis: its darker part on a white page, its brighter part on a dark one."""
    parts = (np.linspace(0.72, 0.08, count), np.linspace(0.45, 1, count))
    tables = [ramp("viridis")[np.rint(part * 255).astype(int)].tolist() for part in parts]
    return ["|".join("#{:02X}{:02X}{:02X}".format(*row) for row in pair) for pair in zip(*tables)]
