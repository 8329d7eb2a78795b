"""Representations and classifiers, by the name used in a config."""

from debias.models.autoencoder import Autoencoder, LectureAutoencoder, LinearAutoencoder
from debias.models.classifiers import Classifier, ConvClassifier, PooledClassifier, ResNet18
from debias.models.conditional_vae import ConditionalVAE
from debias.models.draw import DRAW
from debias.models.embeddings import Embeddings
from debias.models.encoder import Encoder
from debias.models.gan import GAN
from debias.models.kmeans import KMeans
from debias.models.pca import PCA
from debias.models.representation import (
    Decodes,
    Encodes,
    Explains,
    Finds,
    Generates,
    Representation,
    Samples,
)
from debias.models.vae import ConvVAE
from debias.models.vae_gan import VAEGAN
from debias.plugins import Registry

REPRESENTATIONS = Registry(
    "representation",
    {
        "conv_vae": ConvVAE,
        "conditional_vae": ConditionalVAE,
        "draw": DRAW,
        "gan": GAN,
        "vae_gan": VAEGAN,
        "autoencoder": Autoencoder,
        "lecture_autoencoder": LectureAutoencoder,
        "linear_autoencoder": LinearAutoencoder,
        "pca": PCA,
        "kmeans": KMeans,
        "embeddings": Embeddings,
        "encoder": Encoder,
    },
    group="debias.representations",
    asks=(
        "trained",
        "by_id",
        "told_column",
        "require_size",
        "require_places",
        "identity",
        "build",
        "open",
    ),
)
CLASSIFIERS = Registry(
    "classifier",
    {"conv": ConvClassifier, "pooled": PooledClassifier, "resnet18": ResNet18},
    group="debias.classifiers",
    asks=("build",),
)

__all__ = [
    "CLASSIFIERS",
    "REPRESENTATIONS",
    "Classifier",
    "ConvClassifier",
    "ConvVAE",
    "Decodes",
    "Embeddings",
    "Encoder",
    "Encodes",
    "Explains",
    "Finds",
    "Generates",
    "PooledClassifier",
    "Representation",
    "ResNet18",
    "Samples",
]
