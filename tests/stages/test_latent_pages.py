"""The sheets of pictures that a trained VAE gives, on a tiny untrained one."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from debias.auditing.galleries import LatentPages, anomalies
from debias.models import ConvVAE, encoding
from debias.models import galleries as generation
from debias.models.quality.bounds import nats_by_dimension
from debias.training.batches import Batch, Batches
from debias.training.device import choose
from debias.types import FaceStore, Latents, ShardedImages

CPU = choose("cpu", "float32")
SIDE = 16
FORBIDDEN = re.compile(r"\b(fair|unfair|unbiased|bias-free|solved|compliant|PASS)\b", re.IGNORECASE)


def make_faces(n, split="train", **attributes):
    images = np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE, 3)).astype(np.uint8)
    ids = [f"i{row:03d}" for row in range(n)]
    samples = pd.DataFrame({"sample_id": ids, "split": split, "label": 0, **attributes})
    return FaceStore(
        images=ShardedImages([images]),
        samples=samples,
        classes=("face",),
        attributes=tuple(attributes),
        label="none",
    )


def make_network(k):
    with torch.random.fork_rng():
        torch.manual_seed(k)
        return ConvVAE(latent_dim=k, width=2, hidden=8).build(SIDE).eval()


def make_latents(faces, k, flat=()):
    """Standard normal places, whatever the network would say; some dimensions say nothing."""
    mean = np.random.default_rng(1).normal(size=(len(faces.images), k)).astype(np.float32)
    log_var = np.full_like(mean, -2.0)
    mean[:, list(flat)], log_var[:, list(flat)] = 0.0, 0.0
    return Latents(sample_ids=faces.ids(np.arange(len(mean))), mean=mean, log_var=log_var)


def drawn(network, faces, latents, **options):
    rows = np.arange(len(faces.images))
    source = LatentPages(
        network=network, faces=faces, rows=rows, latents=latents, compute=CPU, **options
    )
    pages = source.pages()
    pictures = {text["name"]: picture for text, picture in pages}
    texts = [text for text, _ in pages]
    return SimpleNamespace(pages=texts, pictures=pictures, left_out=source.left_out)


def make_pages(faces, k=4, seed=0, nats=None, **options):
    latents = options.get("latents") or make_latents(faces, k, options.get("flat", ()))
    return drawn(make_network(k), faces, latents, seed=seed, nats=nats)


def titled(pages, name):
    return next(page for page in pages.pages if page["name"] == name)


def test_every_page_has_its_sentences_and_a_label_for_each_row_or_for_none():
    group = np.where(np.arange(120) % 3, "one_kind", "other")
    pages = make_pages(make_faces(120, group=group), nats=np.arange(120.0))
    shapes = {name: picture.shape[:2] for name, picture in pages.pictures.items()}
    assert shapes == {
        "reconstructions": (4, 8),
        "extremes": (4, 8),
        "samples": (4, 8),
        "manifold": (8, 8),
        "traversals": (4, 7),
        "interpolation": (6, 9),
        "arithmetic_1": (8, 5),
    }
    assert [page["name"] for page in pages.pages] == list(shapes)
    for page in pages.pages:
        assert set(page) == {"name", "title", "means", "do", "rows"}
        assert page["means"].endswith(".")
        assert page["do"].endswith(".")
        assert not FORBIDDEN.search(" ".join([page["title"], page["means"], page["do"]]))
        assert len(page["rows"]) in (0, shapes[page["name"]][0])
        assert pages.pictures[page["name"]].dtype == np.uint8
    assert titled(pages, "manifold")["rows"] == []
    assert titled(pages, "arithmetic_1")["rows"] == ["+ one kind"] * 4 + ["+ other"] * 4
    assert not pages.left_out


def test_the_seed_decides_what_is_shown_and_a_page_less_shifts_no_other():
    faces = make_faces(120, group=["a", "b"] * 60)
    first, again, other = make_pages(faces), make_pages(faces), make_pages(faces, seed=1)
    more = make_pages(faces, nats=np.arange(120.0))
    for name, picture in first.pictures.items():
        assert np.array_equal(picture, again.pictures[name])
        assert np.array_equal(picture, more.pictures[name])
        fixed = name in ("manifold", "traversals")
        assert np.array_equal(picture, other.pictures[name]) == fixed
    assert first.pages == other.pages


def test_below_each_original_stands_its_own_reconstruction():
    faces, network = make_faces(60), make_network(3)
    rows = np.arange(60)
    mean, log_var = encoding.posterior(network, Batches(faces, 60, CPU.device).evaluate(rows), CPU)
    latents = Latents(sample_ids=faces.ids(rows), mean=mean, log_var=log_var)
    picture = drawn(network, faces, latents, seed=0).pictures["reconstructions"]
    for originals, below in (picture[:2], picture[2:]):
        images = torch.from_numpy(originals).permute(0, 3, 1, 2) / 255
        rows = torch.arange(len(images))
        shown = Batch(image=images, label=rows, index=rows)
        expected = generation.reconstruct(network, shown, CPU).astype(int)
        assert np.abs(below.astype(int) - expected).max() <= 1


def test_reconstructions_show_images_that_were_not_trained_on_where_there_are_enough():
    split = np.array(["train"] * 30 + ["validation"] * 16)
    faces = make_faces(46, split=split)
    pages = make_pages(faces)
    assert "not trained on" in titled(pages, "reconstructions")["means"]
    shown = pages.pictures["reconstructions"][[0, 2]].reshape(16, -1)
    unseen = faces.images[np.arange(30, 46)].reshape(16, -1)
    assert {face.tobytes() for face in shown} == {face.tobytes() for face in unseen}
    assert "of the data set" in titled(make_pages(make_faces(46)), "reconstructions")["means"]


def test_the_extremes_are_the_largest_and_the_smallest_nats_in_order():
    nats = np.random.default_rng(2).permutation(40).astype(float)
    faces = make_faces(40)
    picture = make_pages(faces, nats=nats).pictures["extremes"]
    order = np.argsort(-nats)
    assert np.array_equal(picture[0], faces.images[order[:8]])
    assert np.array_equal(picture[2], faces.images[order[-8:]])


def test_a_walk_between_images_starts_and_ends_at_two_real_ones_and_takes_none_twice():
    faces = make_faces(30)
    picture = make_pages(faces).pictures["interpolation"]
    ends = [face.tobytes() for face in np.concatenate([picture[:, 0], picture[:, -1]])]
    known = {face.tobytes(): row for row, face in enumerate(faces.images[np.arange(30)])}
    assert len({known[face] for face in ends}) == 12
    mean = make_latents(faces, 4).mean
    row = [known[picture[0, 0].tobytes()], known[picture[0, -1].tobytes()]]
    farthest = np.linalg.norm(mean[:, None] - mean, axis=2).max()
    assert np.linalg.norm(mean[row[0]] - mean[row[1]]) == pytest.approx(farthest)
    expected = generation.walk(make_network(4), *mean[row], 7, CPU)
    assert np.array_equal(picture[0, 1:-1], expected)


def test_dimensions_are_sorted_by_their_nats_and_inactive_ones_left_out():
    faces = make_faces(50)
    latents = make_latents(faces, 5, flat=(1, 4))
    latents.mean[:, 2] *= 3
    pages = make_pages(faces, 5, latents=latents)
    labels = titled(pages, "traversals")["rows"]
    assert labels[0].startswith("dimension 3, ")
    assert {label.split(",")[0] for label in labels} == {
        "dimension 1",
        "dimension 3",
        "dimension 4",
    }
    nats = [float(label.split()[-2]) for label in labels]
    assert nats == sorted(nats, reverse=True)
    assert nats[0] == pytest.approx(nats_by_dimension(latents)[2], abs=0.006)
    assert "of which 3 are in use" in titled(pages, "reconstructions")["means"]


def test_points_without_a_spread_are_sorted_by_variance():
    faces = make_faces(50)
    mean = make_latents(faces, 3).mean * np.float32([1, 5, 2])
    points = Latents(sample_ids=faces.ids(np.arange(50)), mean=mean)
    rows = titled(make_pages(faces, 3, latents=points), "traversals")["rows"]
    assert rows == ["dimension 2", "dimension 3", "dimension 1"]


def test_a_space_without_an_active_dimension_says_why_a_page_is_missing():
    pages = make_pages(make_faces(20), 3, flat=(0, 1, 2))
    assert "traversals" not in pages.pictures
    assert any("none varies" in sentence for sentence in pages.left_out)


@pytest.mark.parametrize(
    ("k", "rows", "words"), [(1, 1, "one dimension"), (2, 8, "two dimensions")]
)
def test_small_latent_spaces_have_their_own_sheet(k, rows, words):
    pages = make_pages(make_faces(40), k)
    assert pages.pictures["manifold"].shape[:2] == (rows, 8)
    assert words in titled(pages, "manifold")["means"]


def test_the_plane_of_many_dimensions_states_what_it_holds():
    faces = make_faces(400)
    latents = make_latents(faces, 4, flat=(0, 3))
    means = titled(make_pages(faces, latents=latents), "manifold")["means"]
    assert "100% of all variation" in means


@pytest.mark.parametrize("n", [1, 2, 3, 9, 17])
def test_few_images_give_smaller_pages(n):
    pages = make_pages(make_faces(n), nats=np.arange(float(n)))
    rows, columns = pages.pictures["reconstructions"].shape[:2]
    assert columns == min(8, n)
    assert rows == (4 if n >= 16 or (n < 8 and n // columns > 1) else 2)
    assert ("interpolation" in pages.pictures) == (n > 1)
    assert ("extremes" in pages.pictures) == (n > 1)


def test_the_faces_that_are_changed_had_no_part_in_the_difference():
    group = np.array(["a"] * 30 + ["b"] * 60)
    faces = make_faces(90, group=group)
    picture = make_pages(faces).pictures["arithmetic_1"]
    known = {face.tobytes(): row for row, face in enumerate(faces.images[np.arange(90)])}
    shown = [known[face.tobytes()] for face in picture[:, 0]]
    # 30 images with "a" are too few to take some away for the other direction.
    assert len(shown) == 4
    assert min(shown) >= 30
    mean = make_latents(faces, 4).mean
    lacks = (group == "b") & ~np.isin(np.arange(90), shown)
    vector = mean[:30].mean(0, dtype=float) - mean[lacks].mean(0, dtype=float)
    expected = generation.shifted(make_network(4), mean[shown], vector, (0.0, 0.5, 1.0, 1.5), CPU)
    assert np.abs(picture[:, 1:].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a"] * 90, "No two values"),
        ([""] * 90, "No two values"),
        (["a"] * 29 + ["b"] * 61, "too few images"),
        ([f"v{number}" for number in range(90)], "v10, v11, v12, v13 and 84 more"),
    ],
)
def test_an_attribute_without_enough_images_on_both_sides_is_left_out_with_a_reason(values, reason):
    pages = make_pages(make_faces(90, skin_type=values))
    assert "arithmetic_1" not in pages.pictures
    (sentence,) = pages.left_out
    assert "skin type" in sentence
    assert reason in sentence


def test_of_many_values_the_most_frequent_are_shown_and_the_others_named():
    kinds = [f"kind_{number}" for number in range(8)]
    values = np.repeat([*kinds, "few", ""], [38, 37, 36, 35, 34, 33, 32, 31, 5, 40])
    pages = make_pages(make_faces(len(values), kind=values))
    page = titled(pages, "arithmetic_1")
    assert list(dict.fromkeys(page["rows"])) == [f"+ kind {number}" for number in range(6)]
    assert pages.pictures["arithmetic_1"].shape[:2] == (12, 5)
    assert "without it): few." in page["means"]
    assert "kind_6, kind_7." in page["means"]


def test_anomalies_name_the_worst_first_and_the_distance_to_the_typical_one():
    nats = np.concatenate([np.full(40, -50.0), [950.0, -40.0]])
    ids = np.array([f"i{row}" for row in range(42)])
    found = anomalies(ids, nats)
    assert found["median"] == -50.0
    assert len(found["worst"]) == 24
    assert found["worst"][:2] == [
        {"sample_id": "i40", "nats": 950.0},
        {"sample_id": "i41", "nats": -40.0},
    ]
    assert "1,000 nats more" in found["sentence"]
