"""Shards of latents: how they are found, and read some rows at a time."""

import fsspec
import numpy as np
import pandas as pd
import pytest

from debias.errors import ConfigError, DataError
from debias.storage.shards import find_shards, spans

Z = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for name, part in zip("bac", np.split(Z, [7, 30]), strict=True):
        np.save(tmp_path / f"{name}.npy", part)
    (tmp_path / "notes.txt").write_text("nothing")
    np.save(tmp_path / ".hidden.npy", Z)
    return tmp_path


def rows(shards, at_once):
    return [span.read() for span in spans(shards, at_once)]


def test_shards_come_by_name_from_a_folder_a_pattern_or_a_list(folder):
    for given in ([folder], [f"{folder}/*.npy"]):
        assert [shard.name for shard in find_shards(given)] == ["a", "b", "c"]
    given = [folder / "b.npy", folder / "a.npy", folder / "c.npy"]
    shards = find_shards(given)
    assert [(shard.rows, shard.width) for shard in shards] == [(7, 4), (23, 4), (20, 4)]
    np.testing.assert_array_equal(np.concatenate(rows(shards, 50)), Z)


def test_addresses_are_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for given in (".", "a.npy", "*.npy"):
        assert find_shards([given])[0].address == str(folder / "a.npy")


@pytest.mark.parametrize("at_once", [1, 7, 8, 49, 50, 1000])
def test_spans_hold_every_row_once_in_order(folder, at_once):
    shards = find_shards([folder / "b.npy", folder / "a.npy", folder / "c.npy"])
    found = rows(shards, at_once)
    assert {len(part) for part in found[:-1]} <= {at_once}
    np.testing.assert_array_equal(np.concatenate(found), Z)
    columns = np.array([2, 0])
    chosen = [span.read() for span in spans(shards, at_once, columns)]
    np.testing.assert_array_equal(np.concatenate(chosen), Z[:, columns])
    last = spans(shards, at_once)[-1]
    assert last.place(len(last) - 1).endswith("row 19 of " + str(folder / "c.npy"))


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8])
def test_numbers_of_other_kinds_become_floats_as_in_one_file(tmp_path, kind):
    np.save(tmp_path / "a.npy", (10 * Z).astype(kind))
    (found,) = rows(find_shards([tmp_path]), 50)
    assert found.dtype == (np.float32 if kind == np.float16 else np.float64)
    np.testing.assert_array_equal(found, (10 * Z).astype(kind))


def test_shards_behind_an_address_of_fsspec():
    system = fsspec.filesystem("memory")
    for name, part in zip("xy", np.split(Z, [11]), strict=True):
        with system.open(f"/latents/{name}.npy", "wb") as file:
            np.save(file, part)
    for address in ("memory://latents", "memory://latents/*.npy"):
        shards = find_shards([address])
        assert [shard.name for shard in shards] == ["x", "y"]
        for at_once in (3, 50):
            np.testing.assert_array_equal(np.concatenate(rows(shards, at_once)), Z)


def test_parquet_by_columns_and_by_lists(tmp_path):
    wide = pd.DataFrame(Z, columns=["e0", "e1", "e2", "e3"])
    wide.insert(0, "sample_id", [f"face{row}" for row in range(50)])
    wide.iloc[:20].to_parquet(tmp_path / "a.parquet", row_group_size=6)
    wide.iloc[20:].to_parquet(tmp_path / "b.parquet")
    lists = pd.DataFrame({"sample_id": wide["sample_id"], "embedding": [*Z]})
    (tmp_path / "lists").mkdir()
    lists.to_parquet(tmp_path / "lists/c.parquet", row_group_size=11)
    for place, count in ((tmp_path, 2), (tmp_path / "lists", 1)):
        shards = find_shards([place])
        assert len(shards) == count
        for at_once in (5, 13, 50):
            np.testing.assert_array_equal(np.concatenate(rows(shards, at_once)), Z)
    (part,) = rows(find_shards([tmp_path / "b.parquet"], ["e1-e2"]), 50)
    np.testing.assert_array_equal(part, Z[20:, 1:3])


def test_zarr(tmp_path):
    zarr = pytest.importorskip("zarr", reason="debias[zarr] is not installed")
    array = zarr.create_array(str(tmp_path / "z.zarr"), shape=Z.shape, chunks=(9, 4), dtype="f4")
    array[:] = Z
    shards = find_shards([tmp_path])
    np.testing.assert_array_equal(np.concatenate(rows(shards, 13)), Z)


def test_what_is_no_shard_is_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for given, said in (
        (folder / "nothing.npy", "do not exist"),
        (tmp_path / "empty", "holds no shard"),
        (f"{folder}/*.zarr", "holds no shard"),
        (folder / "notes.txt", "not .txt"),
    ):
        with pytest.raises(DataError, match=said):
            find_shards([given])
    with pytest.raises(DataError, match=r"two shards are called a: .*a\.npy and .*a\.npy"):
        find_shards([folder, folder / "a.npy"])
    with pytest.raises(ConfigError, match="s3fs"):
        find_shards(["s3://bucket/latents"])


def test_damaged_shards_are_named(folder):
    np.save(folder / "d.npy", Z[:, :3])
    with pytest.raises(DataError, match=r"d\.npy holds 3 dimensions, .*a\.npy 4"):
        find_shards([folder])
    np.save(folder / "d.npy", Z[0])
    with pytest.raises(DataError, match=r"d\.npy holds an array of shape \(4,\)"):
        find_shards([folder])
    np.save(folder / "d.npy", Z[:0])
    with pytest.raises(DataError, match=r"d\.npy holds no row"):
        find_shards([folder])
    np.save(folder / "d.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(DataError, match=r"d\.npy holds pickled Python objects"):
        find_shards([folder])
    (folder / "d.npy").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"d\.npy cannot be read"):
        find_shards([folder])
    np.save(folder / "d.npy", Z)
    whole = (folder / "d.npy").read_bytes()
    (folder / "d.npy").write_bytes(whole[:-40])
    (*_, last) = find_shards([folder])
    with pytest.raises(DataError, match=r"d\.npy cannot be read"):
        last.read(0, 50)
