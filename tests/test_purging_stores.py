"""A person is taken out of a store that ``debias ingest`` made, killed at any point or not."""

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from debias.commands import app
from debias.datasets import Store
from debias.errors import ConfigError, DataError, EmptyDatasetError, StorageError
from debias.ingesting.build import ingest_faces
from debias.ingesting.quarantine import read_quarantine
from debias.pipeline.ingest import make_store
from debias.pipeline.purging import forget, purge
from debias.pipeline.purging.holdings import Store as Held
from debias.pipeline.purging.rebuilt import Rebuilding
from debias.pipeline.purging.traces import Traces
from debias.pipeline.source import Request, store_recipe
from debias.report.blocks import Sentence
from debias.report.ingest_page import render_ingest, summary
from debias.storage.artifacts import RunFolder, load_faces
from debias.storage.sealed import verify
from debias.storage.suppressed import FILE
from debias.tracking.tracker import Silence

PEOPLE = [f"Person_{number:02d}" for number in range(12)]
ZOE = PEOPLE[0]


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC)


def source(folder):
    """Five images of each of twelve people, under the same five names in everybody's folder.

    Of Zoe (the first): a copy, a re-encoded copy, and a broken file; of somebody else a broken
    file and a pair, too.
    """
    rows = []

    def add(who, name, group="a"):
        path = f"{who.lower()}/{name}"
        rows.append({"path": path, "smiles": "ny"[len(rows) % 2], "group": group, "who": who})
        return folder / "in" / path

    for number, who in enumerate(PEOPLE):
        (folder / "in" / who.lower()).mkdir(parents=True)
        for image in range(5):
            picture(5 * number + image).save(add(who, f"image-{image}.png", "ab"[image % 2]))
    for who, number in ((ZOE, 0), (PEOPLE[5], 25)):
        picture(number).save(add(who, f"copy-of-{who}.png"))
        picture(number + 1).save(add(who, f"again-{number}.jpg", "b"), quality=80)
        add(who, f"broken-{number}.png", "b").write_bytes(b"no image of %d" % number)
    table = pd.DataFrame(rows)
    table.loc[table["path"].str.contains("copy-of|again"), "smiles"] = "n"
    table.to_csv(folder / "table.csv", index=False)
    return Request(
        source=folder / "in",
        data={"table": folder / "table.csv", "subject_column": "who"},
        recipe={"label": "smiles", "attributes": ["group"], "image_size": 32},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with its pages, made once."""
    folder = tmp_path_factory.mktemp("made")
    request = source(folder)
    make_store(store_recipe(request), folder / "store")
    return request


@pytest.fixture
def store(made, tmp_path):
    """A copy of it to work on."""
    shutil.copytree(made.source.parent / "store", tmp_path / "store", copy_function=shutil.copy2)
    return tmp_path / "store"


def faces_of_made(made):
    return faces_of(made.source.parent / "store")


def faces_of(store):
    return store / "faces" / json.loads((store / "store.json").read_text())["faces"]


def account_of(store):
    return json.loads((faces_of(store) / "account.json").read_text())


def naming(store, *needles):
    """Independent search: files whose bytes or table cells hold one of the needles."""
    found = []
    for path in (path for path in store.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += pd.read_parquet(path).to_csv().encode()
        found += [path.name for needle in needles if needle.encode() in content]
    return found


def zoes(store):
    """Everything by which files could name her, and nothing that others share."""
    samples = pd.read_parquet(faces_of(store) / "samples.parquet")
    mine = samples[samples["subject_id"] == ZOE]
    records = [
        record
        for record in read_quarantine(faces_of(store) / "quarantine.jsonl")
        if record["subject_id"] == ZOE
    ]
    assert len(mine) == 6
    assert len(records) == 2
    paths = [*mine["path"], *(record["path"] for record in records)]
    names = [path.rsplit("/", 1)[1] for path in paths]
    own = [name for name in names if not name.startswith("image-")]
    assert sorted(own) == ["again-0.jpg", "broken-0.png", f"copy-of-{ZOE}.png"]
    return [ZOE, f"{ZOE.lower()}/", *own, *mine["sample_id"], *mine["sha256"]]


def test_paths_of_the_person_go_and_those_of_others_stay(store):
    names = zoes(store)
    purge_page = (store / "ingest.html").exists()
    assert purge_page
    assert {"account.json", "ingest.json", "quarantine.jsonl"} <= set(naming(store, "broken-0.png"))
    result = purge(ZOE, [store])
    assert result.complete
    assert naming(store, *names) == []
    left = pd.read_parquet(faces_of(store) / "samples.parquet")
    assert left["path"].str.contains("image-|copy-of").sum() == 5 * 11  # all have an image-1.png
    assert "broken-25.png" in (faces_of(store) / "quarantine.jsonl").read_text()


def test_a_page_made_from_a_purged_store_names_nobody(made, store):
    names = zoes(store)
    purge(ZOE, [store])
    again = make_store(store_recipe(made), store)
    assert again.document["reused"]
    assert naming(store, *names) == []


def test_the_account_is_counted_again(made, store):
    before, samples = account_of(store), pd.read_parquet(faces_of(store) / "samples.parquet")
    purge(ZOE, [store])
    after = account_of(store)
    left = samples[samples["subject_id"] != ZOE]
    assert (
        before["counts"]
        | {
            "listed": before["counts"]["listed"] - 8,
            "kept": len(left),
            "rejected": 1,
            "exact_duplicates": 1,
            "near_pairs": before["counts"]["near_pairs"] // 2,
            "conflicts": before["counts"]["conflicts"] // 2,
            "clusters": 1,
            "clustered_images": 2,
            "people": 11,
        }
        == after["counts"]
    )
    assert before["counts"]["near_pairs"] == 2
    assert [row["count"] for row in before["reasons"]] == [2]
    assert [row["count"] for row in after["reasons"]] == [1]
    assert "broken-25.png" in after["reasons"][0]["examples"][0]["path"]
    assert set(after["reasons"][0]["examples"][0]) == set(before["reasons"][0]["examples"][0])
    assert [len(account["duplicates"]["pairs"]) for account in (before, after)] == [4, 2]
    for row in after["splits"]:
        part = left[left["split"] == row["split"]]
        assert (row["images"], row["people"]) == (len(part), part["subject_id"].nunique())
        assert row["share"] == pytest.approx(len(part) / len(left))
        counted = {group["group"]: group["images"] for group in row["by_group"]}
        assert counted == part["group"].value_counts().to_dict()
    assert after["purged"] == 6
    assert list(after) == [*before, "purged"]
    assert after["seen"]["line"].startswith(
        "66 files seen: 57 read, 8 held back (purged), 1 left out, 0 ignored"
    )


def test_what_a_refused_ingest_decoded_is_purged_too(tmp_path):
    """The faces it kept name nobody, but hold whoever is asked for by an id."""
    (tmp_path / "in").mkdir()
    for number in range(8):
        picture(number).save(tmp_path / "in" / f"face-{number}.png")
    for number in range(3):
        (tmp_path / "in" / f"broken-{number}.png").write_bytes(b"no image of %d" % number)
    recipe = store_recipe(Request(source=tmp_path / "in", recipe={"image_size": 16}))
    store = tmp_path / "store"
    with pytest.raises(DataError, match=r"faces decoded so far are kept in .*faces/\.parts "):
        make_store(recipe, store)
    (found,) = (pd.read_parquet(path) for path in store.rglob("found.parquet"))
    name, content = found.loc[3, "sample_id"], found.loc[3, "sha256"]
    with pytest.raises(DataError, match="give the images one by one, with --image"):
        purge(ZOE, [store])
    with pytest.raises(DataError, match="only the path of the file itself"):
        purge("face-9.png", [store], sample=True)
    (file,) = (
        path for path in (tmp_path / "in").iterdir()
        if hashlib.sha256(path.read_bytes()).hexdigest() == content
    )  # fmt: skip
    told = purge(str(file), [store], sample=True)
    assert told.complete
    assert told.held_back == (store.resolve(),)
    assert f"in {store.resolve()}, whatever the source holds; no other" in "".join(told.lines())
    assert naming(store, name, content) == []
    assert not list(store.rglob("*.npy"))

    for path in (tmp_path / "in").glob("broken-*"):
        path.unlink()
    document = make_store(recipe, store).document
    assert document["seen"]["line"] == (
        "8 files seen: 7 read, 1 held back (purged), 0 left out, 0 ignored."
    )
    text = render_ingest(document, {})
    assert "1 held back (purged)" in text
    assert "Nothing was left out" not in text
    assert not any(
        isinstance(block, Sentence) and block.text == "Every image listed is in the store."
        for block in summary(document)
    )


def test_an_untouched_account_counts_the_same_as_the_ingest_did(store):
    """An oracle: counted again without anybody gone, nothing may change."""
    before = account_of(store)
    faces = faces_of(store)
    samples, pairs = (
        pd.read_parquet(faces / f"{name}.parquet") for name in ("samples", "duplicates")
    )
    again = Rebuilding(Held(faces), Traces()).account(before, samples, pairs)
    for name in ("counts", "reasons", "notes", "splits", "leaks", "identities", "duplicates"):
        assert again[name] == before[name], name
    untested = {"p": None, "p_adjusted": None}
    assert again["groups"] == [row | untested for row in before["groups"]]


def test_groups_lose_what_was_removed(store):
    before = {row["group"]: row for row in account_of(store)["groups"]}
    purge(ZOE, [store])
    after = {row["group"]: row for row in account_of(store)["groups"]}
    # Of Zoe: three of group a and two of b, a copy (a), a re-encoded copy (b), a broken file (b).
    lost = {"group:a": (4, 0, 1), "group:b": (4, 1, 0)}
    for group, (listed, rejected, copies) in lost.items():
        assert after[group]["listed"] == before[group]["listed"] - listed
        assert after[group]["rejected"] == before[group]["rejected"] - rejected
        assert after[group]["duplicates"] == before[group]["duplicates"] - copies
        share = after[group]["rejected"] / after[group]["listed"]
        assert after[group]["share"] == pytest.approx(share)
        assert after[group]["p"] is None  # it was not tested again
    everybody = after["group:a"]["listed"] + after["group:b"]["listed"]
    assert after["group:b"]["times_overall"] == pytest.approx(
        after["group:b"]["share"] / (1 / everybody)
    )


def test_the_page_of_a_recounted_account_adds_up(made, store):
    purge(ZOE, [store])
    document = make_store(store_recipe(made), store).document
    page = render_ingest(document, {})
    assert "add up" not in page
    assert "6 images were taken out" in page


def test_a_second_purge_goes_on_counting(store):
    purge(ZOE, [store])
    purge(PEOPLE[5], [store])
    account = account_of(store)
    assert account["purged"] == 12
    assert account["reasons"] == []
    assert (account["counts"]["rejected"], account["counts"]["clusters"]) == (0, 0)
    assert account["counts"]["people"] == 10
    assert account["counts"]["listed"] == account["counts"]["kept"] == 50


class Notes(Silence):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def test_whoever_was_purged_is_held_back_until_that_is_lifted(made, store, tmp_path):
    """Whatever changed in the source or the settings; the list that does it names nobody."""
    names, ann = zoes(store), tmp_path / "in" / "person_03"
    folder = shutil.copytree(made.source, tmp_path / "in")
    shutil.copy(made.source.parent / "table.csv", tmp_path / "table.csv")
    assert not (store / FILE).exists()
    purge(ZOE, [store])
    assert stat.S_IMODE((store / FILE).stat().st_mode) == 0o600
    assert naming(store, *names) == []

    # A new file of hers, an old one under another name, a new one of somebody else.
    picture(900).save(folder / ZOE.lower() / "new.png")
    shutil.copy(folder / ZOE.lower() / "image-3.png", ann / "hers.png")
    picture(901).save(ann / "new.png")
    with (tmp_path / "table.csv").open("a") as table:
        table.write(f"{ZOE.lower()}/new.png,n,a,{ZOE}\n")
        table.writelines(f"person_03/{name}.png,y,b,{PEOPLE[3]}\n" for name in ("hers", "new"))
    changed = replace(made, source=folder, data={**made.data, "table": tmp_path / "table.csv"})
    notes = Notes()
    found = make_store(store_recipe(changed), store, notes)
    told = "10 images are held back because they were purged from this folder."
    assert notes.said == [told]
    assert told in found.document["concluded"]
    assert found.document["held_back"] == 10
    counts = found.document["counts"]
    assert (counts["listed"], counts["kept"], counts["people"]) == (5 * 11 + 4, 5 * 11 + 2, 11)
    assert naming(store, *names) == []
    assert naming(store, "new.png") != []
    assert make_store(store_recipe(changed), store).document["reused"]

    # Without anybody's name the content counts.
    nameless = replace(changed, data={"table": changed.data["table"]})
    samples = load_faces(ingest_faces(store_recipe(nameless), RunFolder(store))).samples
    assert samples["path"].str.contains(f"{ZOE.lower()}/").sum() == 1  # new.png: nobody saw it

    with pytest.raises(DataError, match="nobody called 'Person_99' is held back in 1 folder"):
        forget("Person_99", [store])
    assert forget(ZOE, [store]) == [store]
    again = make_store(store_recipe(changed), store)
    assert (again.document["held_back"], again.document["counts"]["people"]) == (0, 12)
    assert ingest_faces(store_recipe(made), RunFolder(store)).key == faces_of_made(made).name
    with pytest.raises(DataError, match="held back"):
        forget(ZOE, [store])


def test_a_second_purge_says_when_the_first_was_and_a_typo_that_it_is_one(store):
    purge(ZOE, [store])
    again = purge(ZOE, [store])
    assert (again.images, again.steps, again.complete) == (0, (), True)
    assert next(again.lines()).startswith(f"Purged on {again.already} already")
    with pytest.raises(DataError, match=r"no subject 'person_00' is in 1 store with 56 images"):
        purge("person_00", [store])
    for empty in ("", "  "):
        with pytest.raises(ConfigError, match="empty"):
            purge(empty, [store])

    def typed(*arguments):
        result = CliRunner().invoke(app, ["purge", ZOE, str(store), *arguments])
        return result.exit_code, result.output

    assert typed()[0] == 0
    assert typed("--forget", "--dry-run")[0] == 2
    code, said = typed("--forget")
    assert (code, "the next ingest reads it anew" in said) == (0, True)
    assert typed()[0] == 3  # nobody knows of her any more


def test_where_everybody_was_purged_it_is_said(made, store):
    purge(ZOE, [store])
    alone = {**made.recipe, "selection.filters": {"subject_id": [ZOE]}}
    with pytest.raises(EmptyDatasetError, match="no sample is left: 8 images are held back"):
        ingest_faces(store_recipe(replace(made, recipe=alone)), RunFolder(store))


def test_a_list_that_cannot_be_read_lets_nobody_in(made, store):
    (store / FILE).write_text("{}")
    with pytest.raises(StorageError, match="not known who was purged"):
        ingest_faces(store_recipe(made), RunFolder(store))


# Every change of a file is an event of the interpreter; at the n-th the process kills itself.
KILLED = """
    import os, signal, sys
    from pathlib import Path
    import pandas, pyarrow.parquet, scipy.sparse, debias.pipeline.purging.removal as removal
    CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.chmod"}
    person, *folders = sys.argv[1:]

    def purge(folder, left):
        seen = []

        def watch(event, arguments):
            is_write = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (event in CHANGES or is_write) and folder in str(arguments[0]):
                seen.append(event)
                if len(seen) == left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        removal.purge(person, [Path(folder)])
        return seen

    for folder in folders:
        folder, left = folder.split("=")
        child = os.fork()
        if not child:
            print(*purge(folder, int(left)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


def killed(places):
    """Purge Zoe from several folders, each killed at its own point; what those not killed did."""
    named = [f"{folder}={point}" for folder, point in places.items()]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), ZOE]
    done = subprocess.run([*command, *named], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def check_healed(folder, made, names, *, used=True):
    if used:  # somebody reads the store, and somebody makes it again
        Store(root=folder).collect(0)
        verify(ingest_faces(store_recipe(made), RunFolder(folder)).path)
    assert purge(ZOE, [folder]).complete
    assert naming(folder, *names) == []
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]
    assert len(pd.read_parquet(faces_of(folder) / "samples.parquet")) == 62 - 6


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_a_purge_killed_at_any_point_is_finished_by_the_next(made, store, tmp_path, every):
    names = zoes(store)
    counted = shutil.copytree(store, tmp_path / "counted")
    (changes,) = killed({counted: 10**9})
    assert len(changes) > 20
    points = set(range(1, len(changes) + 1, every))
    renames = [at for at, change in enumerate(changes, 1) if change == "os.rename"]
    points |= set(renames[-3:]) | {at + 1 for at in renames[-3:]}  # where a name may be missing
    places = {tmp_path / f"at-{at}": at for at in sorted(points)}
    for folder in places:
        shutil.copytree(store, folder)
    assert killed(places) == []
    for number, folder in enumerate(places):
        check_healed(folder, made, names, used=every == 1 or number % 3 == 0)


@pytest.mark.slow
def test_a_purge_killed_twice_has_not_forgotten_the_names(made, store, tmp_path):
    names = zoes(store)
    counted = shutil.copytree(store, tmp_path / "counted")
    (changes,) = killed({counted: 10**9})
    killed({store: len(changes) // 2})
    places = {tmp_path / f"at-{at}": at for at in range(6, 16, 2)}
    for folder in places:
        shutil.copytree(store, folder)
    assert killed(places) == []
    for folder in places:
        check_healed(folder, made, names)
