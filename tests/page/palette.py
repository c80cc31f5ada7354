"""Makes a picture of a page small: few colours are in it, so 256 are enough, a byte each."""

import base64
import struct
import zlib

import numpy as np
from playwright.sync_api import Browser

COLOURS = 256

PIXELS = """async (data) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const pixels = canvas.getImageData(0, 0, image.width, image.height);
    const reader = new FileReader();
    const read = new Promise((done) => { reader.onload = () => done(reader.result); });
    reader.readAsDataURL(new Blob([pixels.data]));
    return [image.width, image.height, (await read).split(",")[1]];
}"""
"""The browser that drew the picture decodes it, too."""


def smaller(picture: bytes, browser: Browser) -> bytes:
    """The same PNG with its most frequent colours, the nearest of them in place of each other one."""
    tab = browser.new_page()
    width, height, encoded = tab.evaluate(PIXELS, base64.b64encode(picture).decode())
    tab.close()
    pixels = np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)
    codes = pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]
    found, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    channels = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    frequent = np.argsort(-counts, kind="stable")
    # one of those that are nearly alike
    _, alike = np.unique(channels[frequent] >> 3, axis=0, return_index=True)
    palette = channels[frequent[np.sort(alike)[:COLOURS]]]
    nearest = np.argmin(((channels[:, None] - palette[None]) ** 2).sum(axis=2), axis=1)
    rows = nearest[places].astype(np.uint8).reshape(height, width)
    lines = np.hstack([np.zeros((height, 1), np.uint8), rows])  # a line begins with its filter: none
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette.astype(np.uint8).tobytes()),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
