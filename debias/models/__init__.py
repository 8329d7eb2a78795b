"""Representations and classifiers, by the name used in a config."""

from debias.models.classifiers import Classifier, ConvClassifier, ResNet18
from debias.models.conv_vae import ConvVAE, ConvVAENetwork, Posterior

REPRESENTATIONS = {"conv_vae": ConvVAE}
CLASSIFIERS = {"conv": ConvClassifier, "resnet18": ResNet18}

__all__ = [
    "CLASSIFIERS",
    "REPRESENTATIONS",
    "Classifier",
    "ConvClassifier",
    "ConvVAE",
    "ConvVAENetwork",
    "Posterior",
    "ResNet18",
]
