"""What a classifier may be trained for: one objective a file."""

from debias.plugins import Registry
from debias.training.objectives.chi2_dro import Chi2DRO
from debias.training.objectives.class_balanced import ClassBalanced
from debias.training.objectives.cvar_dro import CVaRDRO
from debias.training.objectives.db_vae import DBVAE
from debias.training.objectives.dfr import DFR, DFRTrain
from debias.training.objectives.eiil import EIIL
from debias.training.objectives.erm import ERM
from debias.training.objectives.focal import Focal
from debias.training.objectives.george import George
from debias.training.objectives.group_dro import GroupDRO
from debias.training.objectives.jtt import JTT
from debias.training.objectives.last_layer import LastLayer
from debias.training.objectives.lff import LfF
from debias.training.objectives.objective import Objective
from debias.training.objectives.pseudo_attributes import PseudoAttributes
from debias.training.objectives.tab import TAB

OBJECTIVES = Registry(
    "objective",
    {
        "erm": ERM,
        "focal": Focal,
        "class_balanced": ClassBalanced,
        "group_dro": GroupDRO,
        "cvar_dro": CVaRDRO,
        "chi2_dro": Chi2DRO,
        "db_vae": DBVAE,
        "jtt": JTT,
        "lff": LfF,
        "eiil": EIIL,
        "tab": TAB,
        "george": George,
        "pseudo_attributes": PseudoAttributes,
        "last_layer": LastLayer,
        "dfr": DFR,
        "dfr_train": DFRTrain,
    },
    group="debias.objectives",
    asks=("uses_groups", "joint", "train", "fitted"),
)

__all__ = ["OBJECTIVES", "Objective"]
