"""What an edit changed of a cloud: splats that went, values that changed, splats that came."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.store.payload import CLOUD_FIELDS, Arrays

_KEEP, _ROWS, _ADDED = "keep", "rows.", "added."


@dataclass(frozen=True)
class SplatDelta:
    """First the kept splats are chosen, then values of them change, then new ones are appended."""

    count: int  # splats of the cloud that it changes
    keep: np.ndarray | None = None  # bool [count]; None = all stay
    rows: dict[str, np.ndarray] = field(default_factory=dict)  # by field: which of the kept splats change, int64 [M]
    values: dict[str, np.ndarray] = field(default_factory=dict)  # by field: the new values of these, [M, ...]
    added: SplatCloud | None = None

    @classmethod
    def between(cls, before: SplatCloud, after: SplatCloud, keep: np.ndarray | None = None) -> SplatDelta:
        """What makes `after` of `before`.

        keep: bool, which splats of `before` are the first ones of `after`; None = as many as both have.
        """
        if keep is None:
            keep = np.arange(len(before)) < len(after)
        kept = before.select(keep)
        if len(kept) > len(after) or kept.sh_degree != after.sh_degree:
            raise ValueError("the kept splats must come first in the new cloud, with the same SH degree")
        rows, values = {}, {}
        for name in CLOUD_FIELDS:
            old, new = getattr(kept, name), getattr(after, name)[: len(kept)]
            # By bits: NaN equals itself, and 0 differs from -0.
            differs = (_bits(old) != _bits(new)).any(axis=tuple(range(1, old.ndim)))
            if differs.any():
                rows[name] = np.flatnonzero(differs)
                values[name] = new[differs]
        added = after.select(np.arange(len(kept), len(after))) if len(after) > len(kept) else None
        return cls(len(before), None if keep.all() else keep, rows, values, added)

    def apply(self, cloud: SplatCloud) -> SplatCloud:
        """Raises ValueError when the cloud is not the one that the delta was made for."""
        if len(cloud) != self.count:
            raise ValueError(f"the delta changes {self.count} splats and not {len(cloud)}")
        kept = cloud if self.keep is None else cloud.select(self.keep)
        fields = {name: getattr(kept, name) for name in CLOUD_FIELDS}
        for name, rows in self.rows.items():
            fields[name] = fields[name].copy()
            fields[name][rows] = self.values[name]
        if self.added is not None:
            fields = {name: np.concatenate([array, getattr(self.added, name)]) for name, array in fields.items()}
        return SplatCloud(**fields)

    def to_arrays(self) -> Arrays:
        arrays: Arrays = {"count": np.array([self.count], np.int64)}
        if self.keep is not None:
            arrays[_KEEP] = np.packbits(self.keep)
        for name, rows in self.rows.items():
            # Rows that all change need no list.
            arrays[_ROWS + name] = np.zeros(0, np.int64) if len(rows) == self._kept else rows.astype(np.int64)
            arrays[name] = self.values[name]
        if self.added is not None:
            arrays |= {_ADDED + name: getattr(self.added, name) for name in CLOUD_FIELDS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> SplatDelta:
        """Raises KeyError or ValueError for what is no delta."""
        count = int(arrays["count"][0])
        keep = None
        if _KEEP in arrays:
            keep = np.unpackbits(arrays[_KEEP], count=count).astype(bool)
        kept = count if keep is None else int(keep.sum())
        rows, values = {}, {}
        for name in CLOUD_FIELDS:
            if name in arrays:
                listed, values[name] = arrays[_ROWS + name], arrays[name]
                rows[name] = np.arange(kept) if not len(listed) else listed
                if len(rows[name]) != len(values[name]) or (len(rows[name]) and rows[name].max() >= kept):
                    raise ValueError("rows that are not there")
        added = None
        if _ADDED + "means" in arrays:
            added = SplatCloud(**{name: arrays[_ADDED + name] for name in CLOUD_FIELDS})
        return cls(count, keep, rows, values, added)

    @property
    def _kept(self) -> int:
        return self.count if self.keep is None else int(self.keep.sum())

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.to_arrays().values())


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint32)
