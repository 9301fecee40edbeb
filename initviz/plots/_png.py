"""A PNG writer for pictures that are shown once: Pillow's tries five filters on every row, and zlib takes 7 ms of the explorer's
picture where ISA-L takes 1."""

import struct
import zlib

import numpy as np
from isal import isal_zlib


def encode(pixels: np.ndarray) -> bytes:
    """The PNG of an array of shape (height, width, 3), RGB, or (height, width, 4), RGBA, uint8. Of a canvas, RGBA is the faster one:
    its rows are copied as they lie. Source: PNG specification, third edition, sections 5 and 7."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + channels * width), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:].reshape(height, width, channels)[...] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", isal_zlib.compress(rows.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
