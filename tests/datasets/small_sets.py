"""Public sets in exactly the layouts that their owners distribute, with some 8 x 8 images."""

import shutil

from PIL import Image

HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
ATTRIBUTES = HEADER.split()
LANDMARKS = [
    f"{part}_{axis}"
    for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    for axis in "xy"
]


def image(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 0)).save(path)


def answers(number):
    """Attributes of an image: male if even, smiling if divisible by 3, young if by 5."""
    on = {"Male": number % 2 == 0, "Smiling": number % 3 == 0, "Young": number % 5 == 0}
    return ["1" if on.get(name, False) else "-1" for name in ATTRIBUTES]


def celeba(root, count=20, newline="\n"):
    """The owner's text files: a count, a header that ends in a blank, values two wide."""
    names = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    for number, name in enumerate(names, start=1):
        image(root / "img_align_celeba" / name, number)
    lines = {
        "list_attr_celeba.txt": [
            str(count),
            HEADER + " ",
            *(
                f"{name} {' '.join(f'{v:>2}' for v in answers(n))}"
                for n, name in enumerate(names, 1)
            ),
        ],
        "identity_CelebA.txt": [f"{name} {2880 + n // 2}" for n, name in enumerate(names)],
        "list_eval_partition.txt": [
            f"{name} {0 if n < count - 4 else 1 if n < count - 2 else 2}"
            for n, name in enumerate(names)
        ],
        "list_bbox_celeba.txt": [
            str(count),
            "image_id x_1 y_1 width height",
            *(f"{name}    95  71 226 313" for name in names),
        ],
        "list_landmarks_align_celeba.txt": [
            str(count),
            " ".join(LANDMARKS) + " ",
            *(f"{name} 69  109  106  113   77  142   73  152  108  154" for name in names),
        ],
    }
    for name, text in lines.items():
        (root / name).write_bytes(newline.join([*text, ""]).encode())
    return root


def as_kaggle(root):
    """The same tables as CSV files, with the doubled folder of images and without identities."""
    shutil.move(root / "img_align_celeba", root / "moved")
    shutil.move(root / "moved", root / "img_align_celeba" / "img_align_celeba")
    headers = {
        "list_attr_celeba": ["image_id", *ATTRIBUTES],
        "list_eval_partition": ["image_id", "partition"],
        "list_bbox_celeba": ["image_id", "x_1", "y_1", "width", "height"],
        "list_landmarks_align_celeba": ["image_id", *LANDMARKS],
    }
    for stem, header in headers.items():
        lines = (root / f"{stem}.txt").read_text().splitlines()
        rows = [line.split() for line in lines if ".jpg" in line]
        (root / f"{stem}.csv").write_text("\n".join(map(",".join, [header, *rows])) + "\n")
        (root / f"{stem}.txt").unlink()
    (root / "identity_CelebA.txt").unlink()
    return root


def edit(path, old, new, count=1):
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, count).encode())


RACES = [
    "White", "Black", "Indian", "East Asian", "Southeast Asian", "Middle Eastern",
    "Latino_Hispanic",
]  # fmt: skip
AGES = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]


def fairface(root, images=None, newline="\n"):
    for part, count in {"train": 40, "val": 10}.items():
        lines = ["file,age,gender,race,service_test"]
        for n in range(1, count + 1):
            image((images or root) / part / f"{n}.jpg", n + 100 * (part == "val"))
            gender, test = ("Male", "Female")[n % 2], ("True", "False")[n % 2]
            lines.append(f"{part}/{n}.jpg,{AGES[n % 9]},{gender},{RACES[n % 7]},{test}")
        (root / f"fairface_label_{part}.csv").write_bytes(newline.join([*lines, ""]).encode())
    return root


PEOPLE = {f"Person_{letter}": 1 + number % 3 for number, letter in enumerate("ABCDEFGHIJKLMNOP")}


def lfw(root, newline="\n", folder="lfw"):
    for place, (person, count) in enumerate(PEOPLE.items()):
        for n in range(1, count + 1):
            image(root / folder / person / f"{person}_{n:04d}.jpg", 10 * place + n)
    sides = {"DevTrain": list(PEOPLE)[:12], "DevTest": list(PEOPLE)[12:]}
    for name, people in sides.items():
        lines = [str(len(people)), *(f"{person}\t{PEOPLE[person]}" for person in people)]
        (root / f"people{name}.txt").write_bytes(newline.join([*lines, ""]).encode())
    return root
