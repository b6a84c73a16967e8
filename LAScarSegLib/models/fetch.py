"""Fetching a model of the project from its release: the one place that opens a connection, and only when a person asked for it.

What comes is trusted for its SHA-256 alone, which the package holds: it is written to a scratch file in the store, bounded by the
length it must have, and added only when every byte is right.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from .. import __version__
from ..errors import InputError, LAScarSegError, ProcessingError
from ..support.printable import printable
from ..support.progress import Progress
from .bundle import Bundle
from .fetchable import MEGABYTE, FetchableModel
from .store import STORE_VARIABLE, ModelStore

TIMEOUT_S = 30.0
"""How long a server may be silent, at the beginning and in between."""
CHUNK_BYTES = 1 << 16
"""Between two of them it is asked whether the user cancelled."""
FETCHED = 0.95
"""Share of the work that is the transfer; checking and copying is the rest."""
ROOM = 2.0
"""The ZIP and the model that is made of it lie on the disk together."""
CERTIFICATES_VARIABLE = "SSL_CERT_FILE"
PROXY_LOGIN, FORBIDDEN, NOT_FOUND, SERVER_FAILS = 407, (401, 403, 451), (404, 410), 500
"""Status codes of HTTP (RFC 9110)."""
NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


def fetch_model(
    model: FetchableModel, store: ModelStore, accept_terms: bool = False, progress: Progress | None = None, force: bool = False
) -> Bundle:
    """Fetch a model, check every byte of it and add it to the user's store, its terms accepted; whole or not at all.

    One that is here already and whole is returned, and no connection is opened.

    Parameters
    ----------
    accept_terms
        the person has read the model's terms and accepts them; without that nothing is fetched.
    force
        replace another bundle of this name and version in the user's store.

    Raises
    ------
    InputError
        the terms were not accepted, others may write to the store, or it has another bundle of this name and version.
    ProcessingError
        no connection, not what was expected, or no disk; the message says what to do, and how it is done by hand.
    Cancelled
        `progress` was cancelled; nothing is left behind.
    """
    progress = progress or Progress()
    if (here := model_here(model, store)) is not None:
        _accept(store, here, accept_terms)
        return here
    if model.terms is not None and not accept_terms:
        raise InputError(
            f"The model {model.name} may be used under these terms only:\n{model.terms.strip()}\n"
            f"Nothing was fetched. To accept them and fetch it: `{model.command} --accept-terms`."
        )
    mine = next((m for m in store.models() if not m.shipped and m.folder.name == f"{model.name}-{model.version}"), None)
    if mine and mine.bundle and mine.bundle.card.sha256 != model.bundle_sha256 and not force:
        raise InputError(
            f"The store has another {model.reference}, so nothing was fetched. Remove it first (`lascarseg models remove "
            f"{model.reference}`), or give --force to replace it."
        )
    progress.report("fetch", 0.0, f"Connecting to {_host(model.address)}")
    with store.scratch_file(model.file) as scratch:
        _check_room(model, scratch)
        _transfer(model, scratch, progress.part(0.0, FETCHED))
        progress.report("fetch", FETCHED, f"Checking {model.reference}")
        bundle = store.add(scratch, force=mine is not None)
    _accept(store, bundle, accept_terms)
    if not progress.is_cancelled:
        # Too late to cancel: the model is there, and nobody is told otherwise.
        progress.report("fetch", 1.0, f"{model.reference} is here")
    return bundle


def model_here(model: FetchableModel, store: ModelStore) -> Bundle | None:
    """The model, when it came along or was fetched and every byte of it is right; else None."""
    for found in store.models():
        card = found.bundle.card if found.bundle else None
        if card and (card.sha256 == model.bundle_sha256 or (found.shipped and card.reference == model.reference)):
            try:
                found.bundle.verify()
            except LAScarSegError:
                # To be fetched anew.
                continue
            return found.bundle
    return None


def _accept(store: ModelStore, bundle: Bundle, accept_terms: bool) -> None:
    if accept_terms and not store.accepted(bundle):
        store.accept(bundle)


def _check_room(model: FetchableModel, scratch: Path) -> None:
    free = shutil.disk_usage(scratch.parent).free
    if free < ROOM * model.bytes:
        raise ProcessingError(
            f"The disk of the model store {scratch.parent} has {free / MEGABYTE:.0f} MB left, and {model.name} needs "
            f"{ROOM * model.bytes / MEGABYTE:.0f}. {_MORE_ROOM}"
        )


_MORE_ROOM = f"Nothing was kept. Free some space, or set {STORE_VARIABLE} to a folder on another disk."


def _transfer(model: FetchableModel, scratch: Path, progress: Progress) -> None:
    """Stream the ZIP into `scratch`; `ProcessingError` unless it is the very file that the package knows."""
    headers = {"User-Agent": f"LAScarSeg/{__version__}", "Accept-Encoding": "identity"}
    try:
        with _opener(model).open(urllib.request.Request(model.address, headers=headers), timeout=TIMEOUT_S) as answer:
            digest = _copy(model, answer, scratch, progress)
    except (OSError, http.client.HTTPException) as error:
        raise ProcessingError(f"{model.name} was not fetched: {_reason(error, model.address)} {model.by_hand}") from error
    if digest != model.sha256:
        raise ProcessingError(
            f"{model.name} was not fetched: what {_host(model.address)} sent is not the file that this version of LAScarSeg knows (its "
            f"SHA-256 is {digest}, not {model.sha256}), so it was thrown away. Try again; if it stays so, update LAScarSeg."
        )


def _copy(model: FetchableModel, answer: Any, scratch: Path, progress: Progress) -> str:
    """The answer's body to `scratch`; returns its SHA-256. Not one byte more is read than the file may have."""
    claimed = answer.headers.get("Content-Length", "")
    if claimed.isdecimal() and int(claimed) != model.bytes:
        raise ProcessingError(_wrong_length(model, f"{int(claimed):,} bytes"))
    digest, done = hashlib.sha256(), 0
    with open(scratch, "wb", buffering=0) as file:
        while chunk := answer.read1(min(CHUNK_BYTES, model.bytes + 1 - done)):
            done += len(chunk)
            if done > model.bytes:
                raise ProcessingError(_wrong_length(model, f"more than {model.bytes:,} bytes"))
            digest.update(chunk)
            _write(file, chunk, model, scratch)
            progress.report("fetch", done / model.bytes, f"Fetching {model.name}: {done / MEGABYTE:.1f} of {model.size}")
    if done < model.bytes:
        raise ProcessingError(_wrong_length(model, f"{done:,} bytes"))
    return digest.hexdigest()


def _write(file: IO[bytes], chunk: bytes, model: FetchableModel, scratch: Path) -> None:
    """Apart from the network's errors: a full disk is no broken connection."""
    try:
        if file.write(chunk) != len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise ProcessingError(
            f"{model.name} was not fetched: the model store {scratch.parent} can't be written to ({error.strerror}). {_MORE_ROOM}"
        ) from error


def _wrong_length(model: FetchableModel, got: str) -> str:
    return (
        f"{model.name} was not fetched: {_host(model.address)} sent {got} instead of {model.bytes:,}. The connection broke off, or "
        f"something in between answered in its place (a sign-in page, a filter). Nothing was kept; try again. {model.by_hand}"
    )


def _opener(model: FetchableModel) -> urllib.request.OpenerDirector:
    """Proxies as the environment or the system says, certificates checked, no redirect but to https."""
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_certificates()), _HttpsOnly(model))


def _certificates() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if context.cert_store_stats()["x509_ca"] == 0 and ssl.get_default_verify_paths().capath is None:
        # An interpreter that was built elsewhere, such as Slicer's, looks for the system's certificates where there are none.
        try:
            import certifi
        except ImportError:
            return context
        context.load_verify_locations(certifi.where())
    return context


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """The release's files lie on another server than its address: it sends there, and may, but not to one that anybody can listen to."""

    def __init__(self, model: FetchableModel) -> None:
        self._model = model

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise ProcessingError(
                f"{self._model.name} was not fetched: {_host(self._model.address)} sends to {printable(_shown(newurl))}, which is not "
                f"encrypted; something in between may have answered in its place (a sign-in page). {self._model.by_hand}"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error: Exception, address: str) -> str:
    """What went wrong between here and the server, and what to do about it, in words."""
    if isinstance(error, urllib.error.HTTPError):
        return _reason_of_status(error.code, address)
    inner = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException) else error
    proxy = _proxy(address)
    who = f"the proxy {proxy}" if proxy else _host(address)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return _reason_of_certificate(inner, address)
    if isinstance(inner, ssl.SSLError):
        return f"no encrypted connection to {_host(address)} could be made ({printable(inner.reason or inner)})."
    if str(inner).startswith("Tunnel connection failed:"):
        # http.client says so of a proxy that answers CONNECT with anything but yes.
        status = str(inner).partition(": ")[2]
        if status.startswith(str(PROXY_LOGIN)):
            return _reason_of_status(PROXY_LOGIN, address)
        return f"{who} does not let this computer reach {_host(address)} ({printable(status)}). Ask who runs it."
    if isinstance(inner, socket.gaierror):
        return f"the name of {who} is not known here. {_offline(proxy)}"
    if isinstance(inner, ConnectionRefusedError):
        return f"{who} refused the connection. {_offline(proxy)}"
    if isinstance(inner, TimeoutError):
        return f"{who} did not answer for {TIMEOUT_S:g} s. {_offline(proxy)}"
    if isinstance(inner, OSError) and inner.errno in NO_WAY:
        return f"there is no way from here to {who} ({os.strerror(inner.errno)}). {_offline(proxy)}"
    return f"the connection to {who} broke off ({type(inner).__name__}: {printable(inner)}). Try again."


def _offline(proxy: str) -> str:
    if proxy:
        return "Is the variable HTTPS_PROXY, or the system's proxy setting, right?"
    return (
        "Is this computer online? Where a proxy leads to the internet, set HTTPS_PROXY=http://PROXY:PORT; a firewall may have to allow it."
    )


def _reason_of_status(code: int, address: str) -> str:
    answer = f"{_host(address)} answered {code} {http.client.responses.get(code, '')}".rstrip()
    if code == PROXY_LOGIN:
        return f"the proxy {_proxy(address)} asks for a name and a password. Set HTTPS_PROXY=http://NAME:PASSWORD@PROXY:PORT."
    if code in FORBIDDEN:
        return f"{answer}: it, or a filter in between, does not give the file away from here."
    if code in NOT_FOUND:
        return f"{answer}: the file is not there any more. A newer LAScarSeg knows where models are."
    if code >= SERVER_FAILS:
        return f"{answer}: the server has a problem now. Try again later."
    return f"{answer}."


def _reason_of_certificate(error: ssl.SSLCertVerificationError, address: str) -> str:
    chosen = os.environ.get(CERTIFICATES_VARIABLE)
    absent = f" ({CERTIFICATES_VARIABLE} names {printable(chosen)}, which is not there)" if chosen and not Path(chosen).is_file() else ""
    return (
        f"the certificate of {_host(address)} can't be trusted ({printable(error.verify_message)}){absent}. Where a hospital's network puts "
        f"its own certificate in its place, ask for that certificate as a .pem file, set {CERTIFICATES_VARIABLE}=FILE.pem, and start again."
    )


def _proxy(address: str) -> str:
    """HOST:PORT of the proxy on the way to `address`, without the name and password that its setting may hold; "" without one."""
    parts = urlsplit(address)
    setting = urllib.request.getproxies().get(parts.scheme, "")
    if not setting or (parts.hostname and urllib.request.proxy_bypass(parts.hostname)):
        return ""
    return printable(setting.rpartition("://")[2].rpartition("@")[2].rstrip("/"))


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _shown(address: str) -> str:
    """Scheme and host: what follows may hold keys, and help nobody."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}"
