"""Models that a package leaves out: shown with their terms, fetched when a person asks, and what is said when that fails."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

for package in ("torch", "monai", "safetensors"):
    pytest.importorskip(package, reason="the tests' weights are made with torch")

from model_cases import small_card, weights_for  # noqa: E402
from release_server import LICENCE, TERMS, Release, connections, left_in_store, make_release, serving  # noqa: E402
from small_scan import lascarseg, only_data_files, write_scan  # noqa: E402

from LAScarSegLib.cli.doctor import check_cavity_model  # noqa: E402
from LAScarSegLib.errors import Cancelled, InputError, ProcessingError  # noqa: E402
from LAScarSegLib.models import fetch, fetchable  # noqa: E402
from LAScarSegLib.models.bundle import write_bundle  # noqa: E402
from LAScarSegLib.models.fetch import fetch_model  # noqa: E402
from LAScarSegLib.models.fetchable import LIST_FILE, read_fetchable  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.support.progress import Progress  # noqa: E402

MODEL = "small-cavity"


@pytest.fixture
def release(tmp_path, monkeypatch) -> Release:
    """A package without its model, and a release that has it."""
    with serving(make_release(tmp_path, monkeypatch), monkeypatch) as release:
        yield release


def get(release: Release, **options) -> str:
    """Fetch the model; returns the words of the failure."""
    with pytest.raises(ProcessingError) as failure:
        fetch_model(release.model, ModelStore(), accept_terms=True, **options)
    assert not [path for path in ModelStore().folder.glob("*")], "something was left behind"
    return str(failure.value)


def check_by_hand(words: str, release: Release) -> None:
    """The way that needs no connection from here: the address, and what to do with the file."""
    assert words.startswith(f"{MODEL} was not fetched: ")
    assert f"open {release.model.address} in a browser" in words and "lascarseg models add small-cavity-1.0.zip" in words


def test_what_was_fetched_is_the_cavity_model_that_is_taken_when_none_is_named(release, tmp_path):
    store = ModelStore()
    assert store.default_cavity() is None and store.missing_cavity() == release.model
    bundle = fetch_model(release.model, store, accept_terms=True)
    assert bundle.card.sha256 == release.model.bundle_sha256
    assert store.default_cavity().path == bundle.path == tmp_path / "store" / "small-cavity-1.0"
    assert store.accepted(bundle) and store.missing_cavity() is None
    assert left_in_store(tmp_path) == ["accepted.json", "small-cavity-1.0"]
    assert release.asked == ["/small-cavity-1.0.zip"]


def test_nothing_is_fetched_before_its_terms_are_accepted(release):
    with pytest.raises(InputError, match=rf"(?s){TERMS}.*Nothing was fetched.*models get {MODEL} --accept-terms"):
        fetch_model(release.model, ModelStore())
    assert release.asked == []


def test_a_model_that_is_here_is_not_fetched_again(release):
    first = fetch_model(release.model, ModelStore(), accept_terms=True)
    assert fetch_model(release.model, ModelStore()).path == first.path
    assert len(release.asked) == 1


def test_a_model_whose_weights_were_damaged_is_fetched_anew(release):
    bundle = fetch_model(release.model, ModelStore(), accept_terms=True)
    weights = bundle.path / "fold_0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    fetch_model(release.model, ModelStore(), accept_terms=True).verify()


def test_another_bundle_of_that_name_and_version_stays_until_it_is_given_up(release, tmp_path):
    card = small_card(name=MODEL, threshold=0.3)
    (tmp_path / "store").mkdir()
    write_bundle(card, weights_for(card), tmp_path / "store" / "small-cavity-1.0")
    assert ModelStore().default_cavity() is None
    with pytest.raises(InputError, match="has another small-cavity@1.0, so nothing was fetched"):
        fetch_model(release.model, ModelStore(), accept_terms=True)
    assert release.asked == []
    fetch_model(release.model, ModelStore(), accept_terms=True, force=True)
    assert ModelStore().default_cavity().card.threshold == 0.5


def test_the_name_of_the_projects_model_means_that_model(release, tmp_path):
    card = small_card(name=MODEL, version="2.0")
    ModelStore().add(write_bundle(card, weights_for(card), tmp_path / "mine").path)
    assert ModelStore().default_cavity() is None
    fetch_model(release.model, ModelStore(), accept_terms=True)
    assert ModelStore().find(MODEL).card.version == ModelStore().default_cavity().card.version == "1.0"
    other = small_card(name=MODEL, threshold=0.3)
    with pytest.raises(InputError, match=f"not the {MODEL}@1.0 that this version of LAScarSeg knows"):
        ModelStore().add(write_bundle(other, weights_for(other), tmp_path / "other").path)


def test_brought_by_hand_it_is_the_same(release, tmp_path):
    (tmp_path / "brought.zip").write_bytes(release.content)
    ModelStore().add(tmp_path / "brought.zip")
    assert ModelStore().missing_cavity() is None and ModelStore().default_cavity().card.name == MODEL
    assert release.asked == []


def test_the_server_is_told_the_programs_version_and_nothing_else(release):
    seen = {}

    def answer(handler) -> None:
        seen.update(handler.headers.items())
        release.give(handler)

    release.answer = answer
    fetch_model(release.model, ModelStore(), accept_terms=True)
    assert set(seen) == {"Host", "User-Agent", "Accept-Encoding", "Connection"} and seen["User-Agent"].startswith("LAScarSeg/")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (403, "403 Forbidden: it, or a filter"), (404, "404 Not Found: the file is not there"), (503, "the server has a problem now"),
        (429, "answered 429"),
    ],
)
def test_what_the_server_answers_instead_is_said(release, code, says):
    release.answer = lambda handler: handler.send_error(code)
    words = get(release)
    assert says in words
    check_by_hand(words, release)


def send(release: Release, body: bytes, length: int | None) -> None:
    def answer(handler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)

    release.answer = answer


def test_a_sign_in_page_in_its_place(release):
    send(release, b"<html>Welcome", 13)
    words = get(release)
    assert f"sent 13 bytes instead of {release.model.bytes:,}" in words and "sign-in page" in words
    check_by_hand(words, release)


def test_a_connection_that_breaks_off(release):
    send(release, release.content[:5000], len(release.content))
    words = get(release)
    assert "sent 5,000 bytes" in words and "broke off" in words
    check_by_hand(words, release)


def test_more_than_there_should_be_is_not_even_read(release):
    send(release, release.content + bytes(10_000_000), None)
    assert f"sent more than {release.model.bytes:,} bytes" in get(release)


def test_another_file_of_the_same_length_is_thrown_away(release):
    send(release, release.content[:-1] + b"\x7f", len(release.content))
    words = get(release)
    assert "is not the file that this version of LAScarSeg knows" in words and release.model.sha256 in words


def test_a_server_that_is_not_there(release, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(fetchable, "RELEASE_ADDRESS", f"http://127.0.0.1:{free.getsockname()[1]}/")
    words = get(release)
    assert "127.0.0.1 refused the connection. Is this computer online?" in words and "HTTPS_PROXY" in words
    check_by_hand(words, release)


def refuse_names(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def no_way(*_: object, **__: object) -> None:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


@pytest.mark.parametrize(
    ("fails", "says"),
    [(refuse_names, "the name of models.example is not known here"), (no_way, "there is no way from here to models.example")],
)
def test_without_a_network(release, monkeypatch, fails, says):
    monkeypatch.setattr(fetchable, "RELEASE_ADDRESS", "https://models.example/")
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    words = get(release)
    assert says in words and "Is this computer online?" in words
    check_by_hand(words, release)


def test_a_server_that_says_nothing(release, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.2)
    release.answer = lambda handler: time.sleep(0.5)
    words = get(release)
    assert "did not answer for 0.2 s" in words
    check_by_hand(words, release)


def test_a_server_that_hangs_up(release):
    release.answer = lambda handler: None
    words = get(release)
    assert "the connection to 127.0.0.1 broke off" in words
    check_by_hand(words, release)


@pytest.mark.parametrize(
    ("code", "says"), [(407, "asks for a name and a password"), (403, "does not let this computer reach models.example (403")]
)
def test_a_proxy_that_says_no(release, monkeypatch, code, says):
    monkeypatch.setattr(fetchable, "RELEASE_ADDRESS", "https://models.example/")
    monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{release.port}")
    release.answer = lambda handler: handler.send_error(code)
    words = get(release)
    assert says in words and f"the proxy 127.0.0.1:{release.port}" in words and "secret" not in words
    assert release.asked == ["models.example:443"]
    check_by_hand(words, release)


def test_a_proxy_that_is_not_there(release, monkeypatch):
    monkeypatch.setattr(fetchable, "RELEASE_ADDRESS", "https://models.example/")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert "the proxy 127.0.0.1:9 refused the connection. Is the variable HTTPS_PROXY" in get(release)


def test_a_redirect_to_an_address_that_is_not_encrypted_is_refused(release):
    def answer(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://127.0.0.1:{release.port}/elsewhere/?key=abc")
        handler.end_headers()

    release.answer = answer
    words = get(release)
    assert "sends to http://127.0.0.1, which is not encrypted" in words and "abc" not in words
    assert release.asked == ["/small-cavity-1.0.zip"]
    check_by_hand(words, release)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A key, and a certificate for 127.0.0.1 that it has signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext".split()
    subprocess.run([*command, "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_certificate_that_nobody_vouches_for_and_one_that_the_user_vouches_for(tmp_path, monkeypatch, certificate):
    with serving(make_release(tmp_path, monkeypatch), monkeypatch, certificate) as release:
        words = get(release)
        assert "the certificate of 127.0.0.1 can't be trusted" in words and "SSL_CERT_FILE=FILE.pem" in words
        check_by_hand(words, release)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
        assert "gone.pem, which is not there" in get(release)
        assert release.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")

        def send_on(handler) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"https://127.0.0.1:{release.port}/elsewhere/")
            handler.end_headers()

        release.answer = send_on
        fetch_model(release.model, ModelStore(), accept_terms=True).verify()
        assert release.asked == ["/small-cavity-1.0.zip", "/elsewhere/"]


def test_a_disk_with_too_little_room_is_noticed_before(release, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    words = get(release)
    assert "0 MB left" in words and "LASCARSEG_MODELS" in words
    assert release.asked == []


def test_a_disk_that_fills_up_meanwhile(release, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "open", lambda *_, **__: Full(), raising=False)
    words = get(release)
    assert "can't be written to (No space left on device)" in words and "Free some space" in words


def test_a_store_that_is_read_only(release, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("LAScarSegLib.models.store.tempfile.mkstemp", refuse)
    assert "can't be written to (Read-only file system). Set LASCARSEG_MODELS" in get(release)
    assert release.asked == []


def test_a_store_that_everybody_may_write_to(release, tmp_path):
    if os.name == "nt":
        pytest.skip("POSIX permissions")
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    with pytest.raises(InputError, match="can be written to by everybody"):
        fetch_model(release.model, ModelStore(), accept_terms=True)
    assert release.asked == []


def test_cancelled_in_the_middle_it_leaves_nothing(release, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 1000)
    told = []
    progress = Progress(told.append, lambda: len(told) > 4)
    with pytest.raises(Cancelled):
        fetch_model(release.model, ModelStore(), accept_terms=True, progress=progress)
    assert "Fetching small-cavity: 0.0 of" in told[-1].message and 0 < told[-1].fraction < 1
    assert left_in_store(tmp_path) == []


def test_what_a_killed_program_left_is_cleared_away_and_what_another_one_writes_is_not(release, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    old, new = store / ".small-cavity-1.0.zip.partial-old", store / ".small-cavity-1.0.zip.partial-new"
    old.touch(), new.touch()
    os.utime(old, (0, 0))
    fetch_model(release.model, ModelStore(), accept_terms=True)
    assert not old.exists() and new.exists()


def test_the_command_shows_terms_and_licence_and_asks_before_it_fetches(release, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    refused = lascarseg(capfd, "models", "get", MODEL)
    assert refused.code == 2 and "not accepted; nothing was fetched" in refused.err and release.asked == []
    assert all(words in refused.out for words in (TERMS, LICENCE.decode(), release.model.address, "Tests only."))
    done = lascarseg(capfd, "models", "get", MODEL, "--accept-terms", "--progress", "json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and events[-1]["fraction"] == 1.0 and "Added small-cavity@1.0" in done.err
    again = lascarseg(capfd, "models", "get", f"{MODEL}@1.0", "--accept-terms")
    assert again.code == 0 and "is here already, and whole" in again.out and len(release.asked) == 1
    assert lascarseg(capfd, "models", "remove", MODEL).code == 0


def test_the_command_ends_in_one_line_when_it_fails(release, capfd):
    release.answer = lambda handler: handler.send_error(404)
    failed = lascarseg(capfd, "models", "get", MODEL, "--accept-terms")
    assert failed.code == 1 and failed.err.startswith("Error: small-cavity was not fetched: 127.0.0.1 answered 404")
    unknown = lascarseg(capfd, "models", "get", "iir")
    assert unknown.code == 2 and "'iir' is no model that can be fetched; there is small-cavity" in unknown.err


def test_whatever_needs_the_model_names_the_command_that_gets_it(release, tmp_path, monkeypatch, capfd):
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = f"lascarseg models get {MODEL}"
    run = lascarseg(capfd, "run", "image.nrrd", "-o", "out")
    assert run.code == 2 and f"`{command}` fetches it once" in run.err and "--cavity FILE" in run.err
    named = lascarseg(capfd, "run", "image.nrrd", "--cavity", MODEL, "-o", "out")
    assert named.code == 2 and f"`{command}` fetches it" in named.err
    assert command in lascarseg(capfd, "models", "list").out
    check = check_cavity_model()
    assert not check.ok and not check.required and command in check.remedy


def test_a_list_that_was_damaged_is_no_list(tmp_path):
    (tmp_path / LIST_FILE).write_text('{"format": 1, "models": [{"name": "x"}]}')
    with pytest.raises(ProcessingError, match="is damaged.*Install LAScarSeg again"):
        read_fetchable([tmp_path])


def test_the_packages_list_is_that_of_the_models_in_the_source_tree(repository, tmp_path):
    """After a change in Resources/Models: `make model-release`."""
    path = repository / "Testing" / "make_model_release.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    made = tuple(module.make_zips(repository / "Resources", tmp_path))
    assert made == read_fetchable([repository / "Resources"])
    assert all(model.terms and model.licence_text for model in made)
    assert ModelStore(tmp_path / "store").add(tmp_path / made[0].file).card.reference == made[0].reference


def test_nothing_is_fetched_unasked(release, tmp_path, monkeypatch, capfd):
    """The model is not here: whoever wanted to fetch it without being asked would do so now."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    with connections() as opened:
        for arguments in (
            ("run", "image.nrrd", "--cavity", "cavity.nrrd", "-o", "out"), ("run", "image.nrrd", "-o", "out2"),
            ("doctor",), ("models", "list"), ("models", "show", MODEL), ("models", "accept", MODEL, "--accept-terms"),
        ):  # fmt: skip
            lascarseg(capfd, *arguments)
    assert opened == []
    with connections() as opened:
        lascarseg(capfd, "models", "get", MODEL, "--accept-terms")
    assert opened, "the watch sees nothing"
