"""Which of an object's splats are selected and which are hidden, and what a change of that asks of the backend."""

from __future__ import annotations

import msgspec

from ..protocol import messages, selecting

_replace = msgspec.structs.replace


class Shown(msgspec.Struct, frozen=True):
    """What a splat object shows: a version, and which of its splats are selected and hidden; "" = none."""

    asset: str
    version: str
    selection: str = ""
    hidden: str = ""

    def select(self, by: selecting.Selector, mode: selecting.Mode = "set") -> messages.Select:
        """The request for other selected splats; hidden ones are never among them."""
        return messages.Select(
            asset=self.asset, version=self.version, base=self.selection, mode=mode, by=by, hidden=self.hidden
        )

    def hide(self, *, unselected: bool = False) -> messages.Select:
        """The request for what is hidden from now on: the selected splats, too, or all that are not selected."""
        if unselected:
            return messages.Select(asset=self.asset, version=self.version, base=self.selection, by=selecting.Inverted())
        by = selecting.Stored(selection=self.selection)
        return messages.Select(asset=self.asset, version=self.version, base=self.hidden, mode="add", by=by)

    def with_selected(self, info: messages.SelectionInfo) -> Shown:
        return _replace(self, selection=info.selection)

    def with_hidden(self, info: messages.SelectionInfo, *, unselected: bool = False) -> Shown:
        """What is hidden is not selected; the others stay so. unselected: as in `hide`."""
        return _replace(self, hidden=info.selection, selection=self.selection if unselected else "")

    def revealed(self, *, select: bool = True) -> Shown:
        """Nothing is hidden any more; what was is selected, as Blender does it."""
        return _replace(self, hidden="", selection=self.hidden if select else self.selection)

    def with_none_selected(self) -> Shown:
        return _replace(self, selection="")


def selected_of(info: messages.SelectionInfo) -> str:
    """12,345 of 100,000 selected."""
    return f"{info.count:,} of {info.total:,} selected"
