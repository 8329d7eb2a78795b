"""From the bytes of unknown files to pixels, in processes that may die.

The parent runs ``pool`` (all files, in order; one process a core, its life and death) with
``perceptual`` (what an image looks like in 256 bits). A process runs ``worker``: ``rules`` has the
limits, the words and the reading of a file, ``decode`` turns its bytes into a square of RGB with
``cropping``. ``protocol`` is what the two may say to each other.

Nothing is imported here: a process starts with Pillow only, without even NumPy, and starts quickly.
"""
