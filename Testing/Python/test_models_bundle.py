"""The bundle format: what is written is read, what was changed, cut short or smuggled in is refused with the reason."""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the tests' weights are made with torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import small_card, weights_for  # noqa: E402

from LAScarSegLib.errors import InputError, ProcessingError  # noqa: E402
from LAScarSegLib.models import bundle_files  # noqa: E402
from LAScarSegLib.models.bundle import read_bundle, write_bundle  # noqa: E402
from LAScarSegLib.models.card import FORMAT, ModelCard  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors, unpack_tensors  # noqa: E402


@pytest.fixture
def folder(tmp_path) -> Path:
    """A bundle of two folds and a coarse network, with a licence file."""
    card = small_card(folds=2, coarse=True, scores={"dice": 0.9}, training={"data": "balls"}, terms="Research only.")
    write_bundle(card, weights_for(card) | {"LICENSE.txt": b"free"}, tmp_path / "model")
    return tmp_path / "model"


def edited(folder: Path, change) -> Path:
    """The folder, its `model.json` changed by `change(content)`."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


def zipped(folder: Path, prefix: str = "", extra: dict[str, bytes] | None = None) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return target


def test_what_is_written_is_read(folder):
    bundle = read_bundle(folder)
    assert bundle.card.scores == {"dice": 0.9} and bundle.card.terms == "Research only."
    assert set(bundle.card.files) == {"fold_0.safetensors", "fold_1.safetensors", "coarse.safetensors", "LICENSE.txt"}
    assert ModelCard.from_json(json.loads(json.dumps(bundle.card.to_json()))) == bundle.card
    bundle.verify()


def test_a_zip_of_it_is_the_same_bundle_with_or_without_a_folder_in_it(folder):
    for prefix in ("", "some folder/"):
        bundle = read_bundle(zipped(folder, prefix))
        assert bundle.card.sha256 == read_bundle(folder).card.sha256
        bundle.verify()


def test_a_written_zip_is_the_same_bytes_every_time(tmp_path):
    card = small_card()
    first, second = (write_bundle(card, weights_for(card), tmp_path / name).path.read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second


def test_half_precision_halves_the_file_and_keeps_the_values(tmp_path):
    tensors = {"a": torch.linspace(-1, 1, 20_000), "count": torch.arange(3)}
    half = pack_tensors(tensors, half=True)
    assert len(half) < 0.6 * len(pack_tensors(tensors))
    bundle = write_bundle(small_card(), {"fold_0.safetensors": half}, tmp_path / "model")
    read = unpack_tensors(bundle.weights("fold_0.safetensors"))
    # float16 has 11 bits: half a unit in the last place below 1.
    assert torch.allclose(read["a"].float(), tensors["a"], atol=2**-12)
    assert read["count"].dtype == torch.int64


def test_a_changed_weight_is_refused(folder):
    path = folder / "fold_1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    bundle = read_bundle(folder)
    bundle.read("fold_0.safetensors")
    with pytest.raises(InputError, match=r"fold_1\.safetensors was changed.*SHA-256"):
        bundle.verify()
    with pytest.raises(InputError, match="SHA-256"):
        unpack_tensors(bundle.weights("fold_1.safetensors"))


def test_a_truncated_weight_is_refused(folder):
    path = folder / "fold_0.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        read_bundle(folder).verify()


def test_a_truncated_zip_is_refused(folder):
    path = zipped(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="neither a folder nor a whole zip"):
        read_bundle(path)


def test_a_damaged_zip_is_refused(folder):
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    content[content.index(b"LICENSE.txt") + len("LICENSE.txt")] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_bundle(path).verify()


@pytest.mark.parametrize("key", ["threshold", "licence", "terms", "simulated", "scores"])
def test_a_changed_card_is_refused(folder, key):
    value = {"threshold": 0.4, "licence": "none", "terms": None, "simulated": True, "scores": {"dice": 0.99}}[key]
    with pytest.raises(InputError, match="was changed"):
        read_bundle(edited(folder, lambda content: content.__setitem__(key, value)))


def test_a_bundle_of_a_future_format_says_to_update(folder):
    with pytest.raises(InputError, match=f"format {FORMAT + 1}.*Update LAScarSeg"):
        read_bundle(edited(folder, lambda content: content.__setitem__("format", FORMAT + 1)))


@pytest.mark.parametrize("system", ["three_stage_sdm", "", 3])
def test_a_bundle_of_an_unknown_system_is_refused(folder, tmp_path, system):
    with pytest.raises(InputError, match="system"):
        card = small_card(system=system)
        write_bundle(card, weights_for(card), tmp_path / "other")


def test_a_bundle_of_another_system_or_stage_is_refused(folder):
    with pytest.raises(InputError, match="finds the cavity, it can't be used for the scar"):
        read_bundle(folder, stage="scar")
    with pytest.raises(InputError, match="of the system 'two_stage_sdm', not 'boundary_focused'"):
        read_bundle(folder, system="boundary_focused")


def test_a_bundle_with_other_inputs_than_its_system_makes_is_refused(tmp_path):
    card = small_card("scar")
    turned = replace(card, channels=(card.channels[0], card.channels[2], card.channels[1]))
    with pytest.raises(InputError, match="takes lge, sdm_wall, sdm_cavity"):
        write_bundle(turned, weights_for(card), tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.pop("licence"), "missing key licence"),
        (lambda c: c.update(colour="red"), "unknown key colour"),
        (lambda c: c.update(threshold="half"), "threshold is 'half'"),
        (lambda c: c.update(name="../../etc"), "name is"),
        (lambda c: c.update(version="latest"), "version is 'latest'"),
        (lambda c: c["fine"].update(patch=[30, 32, 32]), "not a multiple"),
        (lambda c: c["fine"].update(spacing_mm=[0, 1, 1]), "spacing_mm"),
        (lambda c: c["fine"]["plan"].update(features=[4, 6, 10**9]), "features"),
        (lambda c: c["fine"].update(weights=["fold_0.pth"]), "weights"),
        (lambda c: c["inputs"][0].update(normalisation="none"), "zscore"),
        (lambda c: c["preprocessing"].update(resampling="cubic"), "resampling is 'cubic'"),
        (lambda c: c.update(files={}), "lists no files"),
        (lambda c: c["files"].update({"../x.txt": {"sha256": "0" * 64, "bytes": 1}}), "only plain names"),
        (lambda c: c["files"].update({"x.py": {"sha256": "0" * 64, "bytes": 1}}), "can hold code"),
        (lambda c: c.update(inputs=None), "model.json can't be used"),
        (lambda c: c.update(format=None), "no format number"),
    ],
)
def test_a_card_that_can_not_be_is_refused_with_the_key(folder, change, reason):
    with pytest.raises(InputError, match=reason):
        read_bundle(edited(folder, change))


def test_a_card_that_is_no_json_is_refused(folder):
    for content in (b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        (folder / "model.json").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.json"):
            read_bundle(folder)


def test_a_folder_or_file_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(InputError, match="no model bundle"):
        read_bundle(tmp_path)
    with pytest.raises(InputError, match="There is no bundle"):
        read_bundle(tmp_path / "nowhere")
    (tmp_path / "x.zip").write_bytes(b"hello")
    with pytest.raises(InputError, match="neither a folder nor a whole zip"):
        read_bundle(tmp_path / "x.zip")


def test_an_unlisted_or_missing_file_is_refused(folder):
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.txt, which model\.json does not list"):
        read_bundle(folder)
    (folder / "notes.txt").unlink()
    (folder / "fold_0.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks fold_0\.safetensors"):
        read_bundle(folder)


def test_what_desktops_leave_behind_is_ignored(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    read_bundle(zipped(folder, "model/", {"__MACOSX/model/._model.json": b"x"})).verify()
    read_bundle(folder).verify()


class Bomb:
    """Unpickling it raises."""

    def __reduce__(self):
        return eval, ("1 / 0",)


def test_a_pickle_is_never_loaded_whatever_it_is_called(folder):
    with pytest.raises(InputError, match="not a safetensors file"):
        write_bundle(small_card(), {"fold_0.safetensors": pickle.dumps(Bomb())}, folder.parent / "other")
    with pytest.raises(InputError, match="can hold code"):
        write_bundle(small_card(), weights_for(small_card()) | {"fold_0.pth": pickle.dumps(Bomb())}, folder.parent / "other")
    assert not (folder.parent / "other").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "C:\\evil.txt", "..\\evil.txt"])
def test_a_zip_with_a_name_that_leads_out_of_it_is_refused(folder, name):
    with pytest.raises(InputError, match="leads out of it"):
        read_bundle(zipped(folder, extra={name: b"x"}))


def test_a_zip_with_a_link_is_refused(folder):
    link = zipfile.ZipInfo("fold_2.safetensors")
    link.external_attr = 0o120777 << 16
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        read_bundle(path)


def test_an_encrypted_zip_says_to_unpack_it(folder):
    # Bit 0 of an entry's flags, in the file's directory at its end (APPNOTE 4.4.4).
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted. Unpack it"):
        read_bundle(path)


def test_a_folder_with_a_link_is_refused(folder):
    original = (folder / "fold_0.safetensors").rename(folder.parent / "elsewhere")
    (folder / "fold_0.safetensors").symlink_to(original)
    with pytest.raises(InputError, match="is a link"):
        read_bundle(folder)


def test_a_zip_that_would_fill_the_memory_is_refused(folder, monkeypatch):
    monkeypatch.setattr(bundle_files, "LARGEST_BUNDLE_BYTES", 100_000)
    with pytest.raises(InputError, match="would unpack to more than"):
        read_bundle(zipped(folder, extra={"zeros.txt": bytes(200_000)}))


def test_a_file_longer_than_the_card_says_is_not_read_to_its_end(folder):
    # A zip can claim any size in its directory; the card's is what counts.
    with pytest.raises(InputError, match="longer than"):
        bundle = read_bundle(folder)
        (folder / "LICENSE.txt").write_bytes(bytes(10_000_000))
        bundle.read("LICENSE.txt")


def test_a_zip_with_too_many_files_is_refused(folder, monkeypatch):
    monkeypatch.setattr(bundle_files, "LARGEST_COUNT", 3)
    with pytest.raises(InputError, match="more than 3"):
        read_bundle(zipped(folder))


def test_a_bundle_that_is_there_is_only_replaced_when_asked(folder):
    card = small_card(version="2.0")
    with pytest.raises(InputError, match="--force"):
        write_bundle(card, weights_for(card), folder)
    write_bundle(card, weights_for(card), folder, force=True)
    assert read_bundle(folder).card.version == "2.0"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_is_not_a_bundle_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="not a model bundle"):
        write_bundle(small_card(), weights_for(small_card()), tmp_path / "mine", force=True)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    for name in ("model", "model.zip"):
        with pytest.raises(ProcessingError, match="No space left"):
            write_bundle(small_card(), weights_for(small_card()), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_the_card_names_must_be_given(tmp_path):
    with pytest.raises(InputError, match=r"fold_1\.safetensors is used but not listed"):
        write_bundle(small_card(folds=2), weights_for(small_card()), tmp_path / "model")
