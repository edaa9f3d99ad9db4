"""GANs of anime faces, trained from a manifest and nothing else.

A paper is one file of `papers` and one row of `zoo.MODELS`: networks and Config, and a Trainer whose `step` is its
algorithm. `data` hands out the i-th batch, `training.loop.fit` is the one loop, `runs` opens a run's folder and exports
what it is for, and `sampling` uses it.
"""
