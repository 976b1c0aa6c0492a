"""The picture that a triangle mesh wears, and where on it each corner of each face lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.splats.triangle_mesh import TriangleMesh


@dataclass(frozen=True)
class MeshTexture:
    uvs: np.ndarray  # [F, 3, 2] float32, 0..1; u to the right, v upward from the picture's lower edge
    image: np.ndarray  # [S, S, 3] uint8 sRGB, the first row on top

    def __post_init__(self) -> None:
        """Raises ValueError for arrays that are no texture."""
        if self.uvs.ndim != 3 or self.uvs.shape[1:] != (3, 2) or self.uvs.dtype != np.float32:
            raise ValueError(f"uvs must be float32 [F, 3, 2], got {self.uvs.dtype} {self.uvs.shape}")
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image must be uint8 [H, W, 3], got {self.image.dtype} {self.image.shape}")

    def png(self) -> bytes:
        """The picture as the content of a PNG file."""
        import cv2

        written, content = cv2.imencode(".png", self.image[..., ::-1])
        assert written
        return content.tobytes()

    def seams_apart(self, mesh: TriangleMesh) -> tuple[TriangleMesh, np.ndarray]:
        """The mesh with a vertex for each place on the picture, as files want it, and coordinates [V, 2] float32."""
        corners = np.empty((3 * len(mesh.faces), 3), np.int64)
        corners[:, 0] = mesh.faces.ravel()
        corners[:, 1:] = np.ascontiguousarray(self.uvs.reshape(-1, 2)).view(np.int32)  # equal to the last bit
        rows, first, renamed = np.unique(corners, axis=0, return_index=True, return_inverse=True)
        colors = None if mesh.colors is None else mesh.colors[rows[:, 0]]
        faces = renamed.reshape(-1, 3).astype(np.int32)
        return TriangleMesh(mesh.vertices[rows[:, 0]], faces, colors), self.uvs.reshape(-1, 2)[first]

    def at(self, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Colours [P, 3] float32 0..1 at places on faces [P], between the centres of four pixels.

        weights: [P, 3] barycentric.
        """
        height, width = self.image.shape[:2]
        uv = (self.uvs[faces] * weights[..., None]).sum(axis=1)
        x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        right, down = (x - left)[:, None], (y - top)[:, None]

        def pixel(column: np.ndarray, row: np.ndarray) -> np.ndarray:
            return self.image[row.clip(0, height - 1), column.clip(0, width - 1)] / np.float32(255)

        upper = pixel(left, top) * (1 - right) + pixel(left + 1, top) * right
        lower = pixel(left, top + 1) * (1 - right) + pixel(left + 1, top + 1) * right
        return (upper * (1 - down) + lower * down).astype(np.float32)
