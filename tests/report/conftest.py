import pytest
from fake_run import fake_document, fake_pictures
from reading import render

from debias.report import figures


@pytest.fixture(scope="session")
def document():
    return fake_document()


@pytest.fixture(scope="session")
def pictures():
    return fake_pictures(m=12, size=16)


STUB = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.fixture(scope="session")
def quick():
    """Pages with an empty picture for each chart; drawing has its own tests."""
    names = (
        "intervals_by_group",
        "detectable",
        "change_by_group_latent",
        "weight_share",
        "weight_distribution",
        "latent_dimensions",
        "training_curves",
    )

    def page_of(document, pictures):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("debias.report.figures", lambda *_: dict.fromkeys(names, STUB))
            return render(document, pictures)

    return page_of


@pytest.fixture(scope="session")
def page(document, pictures, quick):
    return quick(document, pictures)


@pytest.fixture(scope="session")
def charts(document, pictures):
    return figures(document, pictures)


@pytest.fixture(scope="session")
def sketch():
    """Pages about classifiers with an empty picture for each chart."""

    def page_of(render, *arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("debias.report.charts.style.svg", lambda *_: STUB)
            return render(*arguments)

    return page_of
