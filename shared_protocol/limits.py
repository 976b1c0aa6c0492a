"""The numbers that both sides keep to: the protocol's version, sizes, and how much may be on its way."""

from __future__ import annotations

PROTOCOL_VERSION = 1
CONTROL_FRAME_BYTES = 2**20
CHUNK_BYTES = 4 * 2**20
BULK_FRAME_BYTES = CHUNK_BYTES + 2**16
WINDOW = 8  # chunks on their way that nobody has answered yet
FIRST_CREDIT = 2  # frames
FILES_A_PAGE = 1000  # of a capture's manifest
VIEWS_A_PAGE = 200  # of a capture
