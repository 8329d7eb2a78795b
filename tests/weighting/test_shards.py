"""Weights over shards by two Dask workers against those of one process."""

import os
import signal
import threading
import time
from functools import reduce

import numpy as np
import pandas as pd
import psutil
import pytest
from scipy.stats import spearmanr

import debias
from debias.density import HistogramDensity, NeighbourDensity, Points
from debias.density.histogram import FittedHistogram
from debias.density.points import Limits, limits_of
from debias.errors import ConfigError, DataError, NonFiniteLatentError, StorageError, WeightError
from debias.storage.sealed import is_sealed, read_manifest, verify
from debias.weighting import blocks, shards

distributed = pytest.importorskip("distributed", reason="debias[workers] is not installed")
da = pytest.importorskip("dask.array")

ROWS, WIDTH = 300_000, 32
UNEVEN = (1000, 90_001, 200_000)  # where one shard ends and the next begins; no piece ends there


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="2GiB"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several for each worker, each of two pieces, so that some hold rows of two shards."""
    monkeypatch.setattr(shards, "VALUES_AT_ONCE", 2**21)


@pytest.fixture(scope="module")
def z():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(ROWS, WIDTH)).astype(np.float32)
    hidden = generator.normal(size=(ROWS, 3)).astype(np.float32)
    hidden[:9000] += 4
    z[:, 1:] += hidden @ generator.normal(size=(3, WIDTH - 1)).astype(np.float32)
    z[:, 0] = 7  # constant
    return z


@pytest.fixture(scope="module")
def folder(z, tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    for number, part in enumerate(np.split(z, UNEVEN)):
        np.save(folder / f"part{number}.npy", part)
    return folder


def relative(found, expected):
    return np.abs(found / expected - 1).max()


def test_weights_are_those_of_one_process(client, z, folder):
    found, expected = debias.shard_weights(folder, client=client), debias.latent_weights(z)
    assert relative(found.weight.compute(scheduler=client), expected.weight) < 1e-12
    assert found.origin.keys() == expected.origin.keys()
    tau = "tau"
    assert found.origin[tau] == pytest.approx(expected.origin[tau], rel=1e-12)
    left = {name: value for name, value in found.origin.items() if name != tau}
    assert left == {name: value for name, value in expected.origin.items() if name != tau}
    assert found.origin["factors"] == [3]
    assert found.origin["dropped_dimensions"] == [0]
    assert found.ess == pytest.approx(expected.ess, rel=1e-12)
    assert found.largest == pytest.approx(expected.weight.max(), rel=1e-12)
    assert [shard.rows for shard in found.shards] == [1000, 89_001, 109_999, 100_000]


@pytest.mark.parametrize(
    "density",
    [
        HistogramDensity(),
        HistogramDensity(bins="auto", components=5),
        HistogramDensity(components=None),
    ],
    ids=str,
)
def test_counts_and_directions_are_those_of_one_process_to_the_last_bit(client, z, folder, density):
    crew, source = blocks.Crew(client), blocks.Files.found(folder, ())
    columns = np.arange(1, WIDTH)
    lies = source.blocks(2 * shards.rows_of_moments(WIDTH - 1), columns)
    assert len(lies) == 5
    limits = reduce(Limits.merge, crew.each_points(limits_of, lies))
    empty = density.suited(lies, crew.each_points, limits)
    found = reduce(FittedHistogram.merge, crew.each_points(empty.partial_fit, lies))
    whole = density.fit(Points(mean=z, columns=columns))
    assert [*map(len, found.counts)] == [*map(len, whole.counts)]
    for one, other in zip(found.counts, whole.counts, strict=True):
        np.testing.assert_array_equal(one, other)
    if density.components is not None:
        np.testing.assert_array_equal(found.projection.directions, whole.projection.directions)


@pytest.mark.parametrize("ess", [0.3, 1.0, "published"])
def test_every_way_to_temper(client, z, folder, ess):
    settings = {"ess": ess, "cap": 4.0, "alpha": 0.03}
    found = debias.shard_weights(folder, client=client, **settings)
    expected = debias.latent_weights(z, **settings)
    weight = found.weight.compute(scheduler=client)
    np.testing.assert_allclose(weight, expected.weight, rtol=1e-12, atol=1e-12)
    assert found.origin["capped"] == expected.origin["capped"]


def test_a_dask_array_of_any_chunks_and_parquet_shards(client, z, tmp_path):
    few = z[:70_000]
    expected = debias.latent_weights(few).weight
    array = da.concatenate([da.from_array(part, chunks=(9000, 10)) for part in np.split(few, 7)])
    found = debias.shard_weights(array, client=client)
    assert relative(found.weight.compute(scheduler=client), expected) < 1e-12
    with pytest.raises(ConfigError, match="to_npy_stack"):
        found.save(tmp_path / "weights")
    for number, part in enumerate(np.split(few, [30_000])):
        table = pd.DataFrame(part, columns=[f"e{column}" for column in range(WIDTH)])
        table["name"] = [f"face{row}" for row in range(len(part))]
        table.to_parquet(tmp_path / f"p{number}.parquet", row_group_size=7000)
    found = debias.shard_weights(f"{tmp_path}/p*.parquet", client=client)
    assert relative(found.weight.compute(scheduler=client), expected) < 1e-12


def test_neighbours_are_nearly_those_of_one_process(client, z, folder, tmp_path):
    """Of both, 3,000 evenly drawn samples stand for all 80,000, but not the same ones."""
    density, few = NeighbourDensity(components=6, among=3000, neighbours=2000), z[:80_000]
    for number, part in enumerate(np.split(few, [30_000])):
        np.save(tmp_path / f"{number}.npy", part)
    found = debias.shard_weights(tmp_path, client=client, density=density)
    expected = debias.latent_weights(few, density=density)
    assert found.origin["compared_with"] == expected.origin["compared_with"] == [3000]
    weight = found.weight.compute(scheduler=client)
    assert spearmanr(weight, expected.weight).statistic > 0.95
    assert found.ess == pytest.approx(0.5, rel=1e-6)


def test_draws_go_by_the_weights(client, folder):
    found = debias.shard_weights(folder, client=client)
    rows = found.draw(200_000, seed=3).compute(scheduler=client)
    np.testing.assert_array_equal(rows, found.draw(200_000, seed=3).compute(scheduler=client))
    weight = found.weight.compute(scheduler=client)
    assert rows.shape == (200_000,)
    # Of twenty ranges of rows, each drawn as often as it should be: 5 standard errors.
    ends = np.linspace(0, ROWS, 21).astype(int)
    share = np.add.reduceat(weight, ends[:-1]) / ROWS
    drawn = np.histogram(rows, ends)[0] / len(rows)
    assert (np.abs(drawn - share) < 5 * np.sqrt(share * (1 - share) / len(rows))).all()


def test_a_folder_of_weights_is_there_whole_or_not_at_all(client, folder, tmp_path, monkeypatch):
    found, out = debias.shard_weights(folder, client=client), tmp_path / "weights"
    with monkeypatch.context() as patch:
        patch.setattr(shards, "_write", _no_space)
        with pytest.raises(StorageError, match="No space"):
            found.save(out)
    assert [*tmp_path.iterdir()] == []
    found.save(out)
    assert is_sealed(out)
    verify_files(out)
    parts = [np.load(out / f"part{number}.npy") for number in range(4)]
    assert [*map(len, parts)] == [shard.rows for shard in found.shards]
    np.testing.assert_array_equal(np.concatenate(parts), found.weight.compute(scheduler=client))
    assert read_manifest(out)["weights"]["density"] == "histogram"
    with pytest.raises(StorageError, match="already"):
        found.save(out)


def verify_files(out):
    manifest = read_manifest(out)
    assert set(manifest["files"]) == {f"part{number}.npy" for number in range(4)}
    verify(out)


def _no_space(weight, file):
    file.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_a_killed_worker_costs_nothing(client, z, folder):
    """The scores it kept are made again from their shards."""
    found = debias.shard_weights(folder, client=client)
    victim = next(iter(client.run(os.getpid).values()))
    late = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    late.start()
    again = debias.shard_weights(folder, client=client)
    late.join()
    while psutil.pid_exists(victim):
        time.sleep(0.05)
    expected = debias.latent_weights(z).weight
    for one in (again, found):
        assert relative(one.weight.compute(scheduler=client), expected) < 1e-12


def test_what_cannot_be_used_is_named(client, z, tmp_path):
    first, second = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(first, z[:200])
    broken = z[200:400].copy()
    broken[[17, 40], 3] = np.nan, np.inf
    np.save(second, broken)
    with pytest.raises(NonFiniteLatentError, match=r"2 of 400 .* row 17 of .*b\.npy"):
        debias.shard_weights(tmp_path, client=client)
    with pytest.raises(NonFiniteLatentError, match="row 217 of the array"):
        debias.shard_weights(da.from_array(np.concatenate([z[:200], broken])), client=client)
    with pytest.raises(WeightError, match="none of 32"):
        debias.shard_weights(da.ones((50, 32)), client=client)
    with pytest.raises(DataError, match="1 row"):
        debias.shard_weights(da.ones((1, 32)), client=client)
    array = da.from_array(z[:50])
    with pytest.raises(DataError, match="compute_chunk_sizes"):
        debias.shard_weights(array[array[:, 1] > 0], client=client)
    with pytest.raises(ConfigError, match="'histogram' or 'knn', got 'mixture'"):
        debias.shard_weights(first, client=client, density="mixture")
    with pytest.raises(ConfigError, match="alpha"):
        debias.shard_weights(first, client=client, alpha=float("inf"))
    with pytest.raises(ConfigError, match="client="):
        debias.shard_weights(first)
