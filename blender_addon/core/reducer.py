"""What follows from an event: the next session, and what is to be done. No clock, no Blender, no sockets."""

from __future__ import annotations

from typing import assert_never

import msgspec

from ..protocol import messages, things
from . import backend_state
from .backend_state import LinkChanged
from .effects import Ask, AssetGone, Effect, Redraw, ShowVersion, Tell
from .events import (
    AssetsCame,
    CatalogCame,
    Dismissed,
    Event,
    FailureCame,
    Heard,
    JobsCame,
    LifeChanged,
    SteerAnswered,
    SteerAsked,
    UploadEnded,
    UploadWent,
)
from .session import MOST_NOTES, JobView, Session, Upload

Outcome = tuple[Session, tuple[Effect, ...]]
_replace = msgspec.structs.replace


def receive(session: Session, event: Event) -> Outcome:
    """The session after the event, and the effects in the order in which they are to be carried out."""
    match event:
        case Heard(message, at):
            return _heard(session, message, at)
        case LinkChanged():
            return _link_changed(session, event)
        case CatalogCame(methods, reads, writes, formats):
            return _replace(session, catalog=methods, reads=reads, writes=writes, formats=formats), (Redraw(),)
        case JobsCame():
            return _jobs_came(session, event)
        case AssetsCame(assets):
            return _assets_came(session, assets)
        case FailureCame(failure):
            return _replace(session, failure=failure), (Redraw(),)
        case Dismissed():
            return _replace(session, failure=None), (Redraw(),)
        case SteerAsked() | SteerAnswered():
            return _steered(session, event)
        case UploadWent() | UploadEnded():
            return _upload(session, event)
        case _:
            return _life_changed(session, event)


def _life_changed(session: Session, event: LifeChanged) -> Outcome:
    life = backend_state.after(session.life, event)
    return (session, ()) if life == session.life else (_replace(session, life=life), (Redraw(),))


def _link_changed(session: Session, link: LinkChanged) -> Outcome:
    life = backend_state.after(session.life, link)
    if link.state != "connected":
        changed = _replace(session, life=life)
        if life.state != "busy":
            rested = {id: _replace(job, curve=job.curve.rested(), wish=None) for id, job in session.jobs.items()}
            changed = _replace(changed, jobs=rested)
        return changed, (Redraw(),) if life != session.life else ()
    if session.life.state == "busy":  # it answers again; the connection was there all the time
        return _replace(session, life=life), (Redraw(),)
    restarted = link.ended[-1] if link.ended else ""
    session = _replace(
        session,
        life=life,
        device=link.device,
        is_local=link.is_local,
        restarted=restarted,
        is_listed=False,
        known_since_connecting=frozenset(),
    )
    told = (Tell("warning", f"The backend was started again: {restarted}"),) if restarted else ()
    # Assets before jobs: when a job turns out to be over, its last version must be known by then.
    asked = (Ask(messages.ListMethods()), Ask(messages.ListAssets()), Ask(messages.ListJobs()))
    return session, (*asked, *told, Redraw())


def _heard(session: Session, message: messages.Event | messages.Preview, at: float) -> Outcome:
    match message:
        case messages.JobChanged(job=state):
            return _job_changed(_known(session, state.job), state, at, is_news=True)
        case messages.JobProgress():
            return _progress(session, message, at)
        case messages.JobNote(job=id, text=text):
            job = session.jobs.get(id)
            if job is None:
                return session, ()
            notes = (*job.notes, text)[-MOST_NOTES:]
            return _with_job(session, _replace(job, notes=notes)), (Redraw(),)
        case messages.AssetChanged(asset=info):
            session = _known(session, info.asset)
            return _replace(session, assets={**session.assets, info.asset: info}), (Redraw(),)
        case messages.AssetRemoved(asset=id):
            session = _known(session, id)
            if id not in session.assets:
                return session, ()
            rest = {key: info for key, info in session.assets.items() if key != id}
            return _replace(session, assets=rest), (AssetGone(id), Redraw())
        case messages.Preview():
            return session, ()
        case _:
            assert_never(message)


def _progress(session: Session, progress: messages.JobProgress, at: float) -> Outcome:
    job = session.jobs.get(progress.job)
    if job is None or job.is_over:  # a job that is not listed yet comes with the list; what is over stays as it ended
        return session, ()
    state = _replace(
        job.state, stage=progress.stage, step=progress.step, steps=progress.steps, figures=progress.figures
    )
    curve = job.curve.after(progress.stage, progress.step, progress.figures, at)
    return _with_job(session, _replace(job, state=state, curve=curve)), (Redraw(),)


def _job_changed(session: Session, state: things.JobState, at: float, *, is_news: bool) -> Outcome:
    """is_news: it happened just now; of a list, only what we saw at work before can have ended meanwhile."""
    before = session.jobs.get(state.job)
    job = before or JobView(state)
    if state.status == "running" and (before is None or before.state.status != "running" or not job.started):
        job = _replace(job, started=job.started or at, curve=job.curve.rested())
    if job.is_granted(state.status):
        job = _replace(job, wish=None)
    session = _with_job(session, _replace(job, state=state))
    was_at_work = is_news if before is None else not before.is_over
    if was_at_work and state.status in things.ENDED:
        return _job_ended(session, state)
    return session, (Redraw(),)


def _job_ended(session: Session, state: things.JobState) -> Outcome:
    """From now on the job's objects show what came of it."""
    effects: list[Effect] = []
    if state.failure is not None:
        session = _replace(session, failure=state.failure)
        effects.append(Tell("error", f"{state.name}: {state.failure.message}"))
    info = session.assets.get(state.asset)
    if info is not None and info.job == state.job:  # the backend does not say again that nobody writes it any more
        info = _replace(info, job="")
        session = _replace(session, assets={**session.assets, info.asset: info})
    if info is not None and state.version:
        label = f"Splatwright: {state.name}"
        effects.append(
            ShowVersion(info.asset, state.version, state.job, label, state.selection, state.hidden, apart=state.apart)
        )
    return session, (*effects, Redraw())


def _jobs_came(session: Session, came: JobsCame) -> Outcome:
    listed = {state.job for state in came.jobs}
    if came.is_all:
        kept = {id: job for id, job in session.jobs.items() if id in listed | session.known_since_connecting}
        session = _replace(session, jobs=kept)
    effects: list[Effect] = []
    for state in came.jobs:
        if came.is_all and state.job in session.known_since_connecting:
            continue
        session, more = _job_changed(session, state, came.at, is_news=False)
        effects += [effect for effect in more if not isinstance(effect, Redraw)]
    # Jobs that were heard of before the list came stand at its end.
    order = [*(s.job for s in came.jobs), *session.jobs] if came.is_all else list(session.jobs)
    jobs = {id: session.jobs[id] for id in order if id in session.jobs}
    session = _replace(session, jobs=jobs, is_listed=session.is_listed or came.is_all)
    return session, (*effects, Redraw())


def _steered(session: Session, event: SteerAsked | SteerAnswered) -> Outcome:
    """The answer says only whether the wish is still open: events may have told a newer state by then."""
    job = session.jobs.get(event.job)
    if job is None:
        return session, ()
    match event:
        case SteerAsked(wish=wish):
            return _with_job(session, _replace(job, wish=wish)), (Redraw(),)
        case SteerAnswered(status=status):
            if status is not None and not job.is_granted(status):
                return session, ()
            return _with_job(session, _replace(job, wish=None)), (Redraw(),)


def _upload(session: Session, event: UploadWent | UploadEnded) -> Outcome:
    match event:
        case UploadWent(id, name, done, all, at):
            before = session.uploads.get(id) or Upload(name)
            stage = "reading" if not all else "sending"
            now = Upload(name, done, all, before.curve.after(stage, done, {}, at))
            return _replace(session, uploads={**session.uploads, id: now}), (Redraw(),)
        case UploadEnded(ended):
            rest = {id: upload for id, upload in session.uploads.items() if id != ended}
            return _replace(session, uploads=rest), (Redraw(),)


def _assets_came(session: Session, assets: tuple[things.AssetInfo, ...]) -> Outcome:
    known = session.known_since_connecting
    listed = {info.asset: info for info in assets if info.asset not in known}
    heard = {id: info for id, info in session.assets.items() if id in known}
    gone = [AssetGone(id) for id in session.assets if id not in listed and id not in heard]
    return _replace(session, assets={**listed, **heard}), (*gone, Redraw())


def _with_job(session: Session, job: JobView) -> Session:
    return _replace(session, jobs={**session.jobs, job.state.job: job})


def _known(session: Session, id: str) -> Session:
    if id in session.known_since_connecting:
        return session
    return _replace(session, known_since_connecting=session.known_since_connecting | {id})
