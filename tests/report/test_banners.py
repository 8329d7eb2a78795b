from debias.report.run_page import Run, arm_notes, banners

PEOPLE = "Nobody says who is shown: images are treated as independent. Give the identities."
SIZES = "Of 70 rates by group, 27 are withheld."
PAIRED = "Paired over 5 seeds. A difference is found only where both leave out 0."
TRADE = "Over all images recall rose by 0.77 points while precision fell by 0.065."
CHANGES = "Of 56 changes of groups, 21 are withheld."


def run(fairness, compared):
    document = {"arms": list(fairness), "fairness": fairness, "comparisons": compared,
                "data": {"planted": ""}}  # fmt: skip
    return Run(document)


def fairness(*arms):
    return {arm: {"notes": [PEOPLE, SIZES.replace("27", str(27 + i))]}
            for i, arm in enumerate(arms)}  # fmt: skip


def test_banners_are_those_of_the_first_arm_and_what_every_comparison_adds():
    notes = {"notes": [PAIRED, PEOPLE.replace(" Give the identities.", ""), TRADE, CHANGES]}
    documents = fairness("uniform", "latent", "groups")
    compared = {"latent": notes, "groups": {"notes": [PAIRED, CHANGES]}}
    assert banners(run(documents, compared)) == [PEOPLE, SIZES, PAIRED]
    assert arm_notes(run(documents, compared), "latent") == [TRADE, CHANGES]
    assert arm_notes(run(documents, compared), "groups") == [CHANGES]


def test_what_one_of_several_comparisons_adds_stands_with_its_arm():
    documents = fairness("uniform", "latent", "groups")
    compared = {"latent": {"notes": [PAIRED]}, "groups": {"notes": []}}
    assert banners(run(documents, compared)) == [PEOPLE, SIZES]
    assert arm_notes(run(documents, compared), "latent") == [PAIRED]


def test_figures_of_the_only_arm_are_no_banner():
    documents = fairness("uniform", "latent")
    assert banners(run(documents, {"latent": {"notes": [TRADE]}})) == [PEOPLE, SIZES]


def test_a_run_in_which_nothing_is_compared_says_why():
    assert banners(run(fairness("uniform"), {}))[0].startswith("Only one classifier")
    assert "not part of this run" in banners(run(fairness("latent", "groups"), {}))[0]
