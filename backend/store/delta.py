"""What an edit changed of a cloud: splats that went, values that changed, splats that came."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from backend.splats.change import SplatChange
from backend.splats.cloud import SplatCloud
from backend.splats.io.content import SplatContent, with_sh_degree
from backend.store.payload import CLOUD_FIELDS, Arrays

_KEEP, _ROWS, _ADDED, _CHANGE = "keep", "rows.", "added.", "change."


@dataclass(frozen=True)
class SplatDelta:
    """First the kept splats are chosen and followed by copies, then one change is done, then single values are set,
    then new splats are appended."""

    count: int  # splats of the cloud that it changes
    keep: np.ndarray | None = None  # bool [count]; None = all stay
    copies: np.ndarray | None = None  # int64 [C], of which splats of the old cloud copies follow
    sh_degree: int | None = None  # of the new cloud: coefficients are cut off, or are zero; None = as it was
    change: SplatChange | None = None  # of the kept splats and the copies
    rows: dict[str, np.ndarray] = field(default_factory=dict)  # by field: which of these get values, int64 [M]
    values: dict[str, np.ndarray] = field(default_factory=dict)  # by field: the new values of these, [M, ...]
    added: SplatCloud | None = None

    @classmethod
    def between(
        cls,
        before: SplatCloud,
        after: SplatCloud,
        keep: np.ndarray | None = None,
        copies: np.ndarray | None = None,
        change: SplatChange | None = None,
    ) -> SplatDelta:
        """What makes `after` of `before`.

        keep: bool, which splats of `before` are the first ones of `after`; None = as many as both have.
        copies: int64, of which splats of `before` the next ones are copies.
        change: what was done to all these; what it does not explain is stored as values.
        """
        if keep is None:
            keep = np.arange(len(before)) < len(after)
        degree = None if after.sh_degree == before.sh_degree else after.sh_degree
        delta = cls(len(before), None if keep.all() else keep, copies, degree, change)
        old = delta._old_splats(before)
        if len(old) > len(after):
            raise ValueError("the kept splats must come first in the new cloud")
        rows, values = {}, {}
        for name in CLOUD_FIELDS:
            were, are = getattr(old, name), getattr(after, name)[: len(old)]
            # By bits: NaN equals itself, and 0 differs from -0.
            differs = (_bits(were) != _bits(are)).any(axis=tuple(range(1, were.ndim)))
            if differs.any():
                rows[name] = np.flatnonzero(differs)
                values[name] = are[differs]
        added = after.select(np.arange(len(old), len(after))) if len(after) > len(old) else None
        return replace(delta, rows=rows, values=values, added=added)

    def apply(self, cloud: SplatCloud) -> SplatCloud:
        """Raises ValueError when the cloud is not the one that the delta was made for."""
        if len(cloud) != self.count:
            raise ValueError(f"the delta changes {self.count} splats and not {len(cloud)}")
        old = self._old_splats(cloud)
        fields = {name: getattr(old, name) for name in CLOUD_FIELDS}
        for name, rows in self.rows.items():
            fields[name] = fields[name].copy()
            fields[name][rows] = self.values[name]
        if self.added is not None:
            fields = {name: np.concatenate([array, getattr(self.added, name)]) for name, array in fields.items()}
        return SplatCloud(**fields)

    def carried(self, extra: Arrays) -> Arrays:
        """Further numbers of the old splats [N] as those of the new ones [M]; 0 for splats that are new."""
        keep = np.arange(self.count) if self.keep is None else np.flatnonzero(self.keep)
        rows = keep if self.copies is None else np.concatenate([keep, self.copies])
        new = 0 if self.added is None else len(self.added)
        return {name: np.pad(column[rows], (0, new)) for name, column in extra.items()}

    def _old_splats(self, cloud: SplatCloud) -> SplatCloud:
        """The kept splats and the copies, after the change."""
        if self.keep is not None or self.copies is not None:
            keep = np.arange(self.count) if self.keep is None else np.flatnonzero(self.keep)
            cloud = cloud.select(keep if self.copies is None else np.concatenate([keep, self.copies]))
        if self.sh_degree is not None:
            cloud = with_sh_degree(SplatContent(cloud), self.sh_degree).cloud
        return cloud if self.change is None else self.change.apply(cloud)

    def to_arrays(self) -> Arrays:
        arrays: Arrays = {"count": np.array([self.count], np.int64)}
        if self.keep is not None:
            arrays[_KEEP] = np.packbits(self.keep)
        if self.copies is not None:
            arrays["copies"] = self.copies
        if self.sh_degree is not None:
            arrays["sh_degree"] = np.array([self.sh_degree], np.int64)
        if self.change is not None:
            arrays |= {_CHANGE + name: array for name, array in self.change.to_arrays().items()}
        for name, rows in self.rows.items():
            # Rows that all change need no list.
            arrays[_ROWS + name] = np.zeros(0, np.int64) if len(rows) == self._old_count else rows.astype(np.int64)
            arrays[name] = self.values[name]
        if self.added is not None:
            arrays |= {_ADDED + name: getattr(self.added, name) for name in CLOUD_FIELDS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> SplatDelta:
        """Raises KeyError, ValueError or IndexError for what is no delta."""
        count = int(arrays["count"][0])
        keep = np.unpackbits(arrays[_KEEP], count=count).astype(bool) if _KEEP in arrays else None
        copies = arrays.get("copies")
        if copies is not None and len(copies) and not 0 <= copies.min() <= copies.max() < count:
            raise ValueError("copies of splats that are not there")
        degree = int(arrays["sh_degree"][0]) if "sh_degree" in arrays else None
        delta = cls(count, keep, copies, degree)
        change = {name.removeprefix(_CHANGE): array for name, array in arrays.items() if name.startswith(_CHANGE)}
        rows, values = {}, {}
        for name in CLOUD_FIELDS:
            if name in arrays:
                listed, values[name] = arrays[_ROWS + name], arrays[name]
                rows[name] = np.arange(delta._old_count) if not len(listed) else listed
                if len(rows[name]) != len(values[name]) or (len(listed) and listed.max() >= delta._old_count):
                    raise ValueError("rows that are not there")
        added = None
        if _ADDED + "means" in arrays:
            added = SplatCloud(**{name: arrays[_ADDED + name] for name in CLOUD_FIELDS})
        return replace(
            delta,
            change=SplatChange.from_arrays(change, delta._old_count) if change else None,
            rows=rows,
            values=values,
            added=added,
        )

    @property
    def _old_count(self) -> int:
        """Of the kept splats and the copies."""
        kept = self.count if self.keep is None else int(self.keep.sum())
        return kept + (0 if self.copies is None else len(self.copies))

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.to_arrays().values())


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint32)
