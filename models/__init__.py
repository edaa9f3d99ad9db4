"""GANs of anime faces, trained from manifests alone.

A paper is one file of `papers` and one row of `zoo.MODELS`: a Config, networks, and a Trainer whose `step` is the
paper's algorithm; `contracts` says what these must have. `data` computes the i-th batch, `training.loop.fit` is the
only loop, `runs` holds a run's folder and exports its networks, and `sampling` and `evaluation` use them.
"""
