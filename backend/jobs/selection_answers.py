"""What else clients ask about selections: names, the splat that is pointed at, how values are spread, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import numpy as np

from backend.jobs.labelling import LabellingJobs
from backend.jobs.splat_values import splat_values
from backend.jobs.wire_cameras import camera_of, matrix_of_wire
from backend.selection.by_value import base_colors
from backend.selection.in_picture import Look, pointed_at
from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.cards import JobCard, VersionCard
from backend.store.selection_names import SelectionNames
from backend.store.selections import SelectionStore
from shared_protocol.messages import JobAccepted
from shared_protocol.selecting import (
    FetchHistogram,
    FetchSelection,
    FetchValues,
    Histogram,
    IndexVersion,
    LabelSplats,
    ListSelections,
    NamedSelection,
    NamedSelections,
    NameSelection,
    PickedSplat,
    PickSplat,
    SelectedSplats,
    SelectionQuestion,
    SplatValues,
)
from shared_protocol.things import JobState, Message


class SelectionAnswers:
    """cloud_of: the splats of a version. submit: puts a job into the queue. device: where views are drawn."""

    def __init__(
        self,
        assets: AssetStore,
        selections: SelectionStore,
        names: SelectionNames,
        jobs: LabellingJobs,
        *,
        cloud_of: Callable[[VersionCard], SplatCloud],
        submit: Callable[[JobCard], JobState],
        device: str,
    ) -> None:
        self._assets, self._selections, self._names, self._jobs = assets, selections, names, jobs
        self._cloud_of, self._submit, self._device = cloud_of, submit, device

    def answer(self, asked: SelectionQuestion) -> Message:
        """May take long. Raises UserError for what the user can mend."""
        card = self._assets.version(asked.asset, asked.version)
        match asked:
            case PickSplat():
                return self._pick(card, asked)
            case NameSelection():
                self._names.name(card, asked.name, asked.selection)
                return self._named(card)
            case ListSelections():
                return self._named(card)
            case FetchSelection():
                selected = self._selections.read(card, asked.selection)
                return SelectedSplats(
                    asset=card.asset, version=card.id, selection=asked.selection, selected=selected.copy()
                )
            case FetchValues():
                values = splat_values(self._names, card, self._cloud_of(card), asked.attribute)
                return SplatValues(
                    asset=card.asset,
                    version=card.id,
                    attribute=asked.attribute,
                    values=np.ascontiguousarray(values, np.float32),
                )
            case FetchHistogram():
                return self._histogram(card, asked)
            case IndexVersion() | LabelSplats():
                return JobAccepted(job=self._submit(self._jobs.accept(asked)))
            case _:
                assert_never(asked)

    def _pick(self, card: VersionCard, asked: PickSplat) -> PickedSplat:
        cloud = self._cloud_of(card)
        look = Look(
            camera_of(asked.camera),
            matrix_of_wire(asked.world_from_object),
            asked.camera.near,
            asked.camera.far,
            self._selections.read(card, asked.hidden) if asked.hidden else None,
            card.antialiased,
        )
        found = pointed_at(cloud, look, (asked.x, asked.y), self._device)
        if found is None:
            return PickedSplat(index=-1)
        one = cloud.select(np.array([found.index]))
        red, green, blue = base_colors(one)[0].tolist()
        x, y, z = one.means[0].tolist()
        return PickedSplat(index=found.index, color=(red, green, blue), position=(x, y, z), depth=found.depth)

    def _named(self, card: VersionCard) -> NamedSelections:
        sums = self._names.label_sums(card)
        return NamedSelections(
            asset=card.asset,
            version=card.id,
            selections=tuple(
                NamedSelection(name=name, selection=selection, count=int(self._selections.read(card, selection).sum()))
                for name, selection in self._names.all(card).items()
            ),
            labels=0 if sums is None else sums.shape[1],
        )

    def _histogram(self, card: VersionCard, asked: FetchHistogram) -> Histogram:
        values = splat_values(self._names, card, self._cloud_of(card), asked.attribute)
        if asked.selection:
            values = values[self._selections.read(card, asked.selection)]
        values = values[np.isfinite(values)]
        if not len(values):
            return Histogram(low=0.0, high=0.0, counts=())
        low, high = float(values.min()), float(values.max())
        counts, _ = np.histogram(values, bins=asked.bins, range=(low, high))
        return Histogram(low=low, high=high, counts=tuple(counts.tolist()))
