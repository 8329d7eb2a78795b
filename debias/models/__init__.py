"""Representations and classifiers, by the name used in a config."""

from debias.models.classifiers import Classifier, ConvClassifier, PooledClassifier, ResNet18
from debias.models.embeddings import Embeddings
from debias.models.encoder import Encoder
from debias.models.pretrained import ImageEncoder, Pretrained, SampleIndex
from debias.models.vae import ConvVAE, ConvVAENetwork, Posterior

REPRESENTATIONS = {"conv_vae": ConvVAE, "embeddings": Embeddings, "encoder": Encoder}
CLASSIFIERS = {"conv": ConvClassifier, "pooled": PooledClassifier, "resnet18": ResNet18}

__all__ = [
    "CLASSIFIERS",
    "REPRESENTATIONS",
    "Classifier",
    "ConvClassifier",
    "ConvVAE",
    "ConvVAENetwork",
    "Embeddings",
    "Encoder",
    "ImageEncoder",
    "PooledClassifier",
    "Posterior",
    "Pretrained",
    "ResNet18",
    "SampleIndex",
]
