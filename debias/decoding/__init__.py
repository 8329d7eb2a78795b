"""From the bytes of unknown files to pixels, in processes that may die.

The parent runs ``pool`` (all files, in order), ``chunks`` (rows of a table, to and fro), ``child``
(one process, its life and death), ``pipes`` (talking to it), ``perceptual`` (what an image looks
like in 256 bits), ``hashing`` (files without their pixels) and ``drawn`` (pixels without files). A
process runs ``worker``: ``reading`` gets the bytes of a file, ``decode`` turns them into a square
of RGB with ``formats``, ``turning`` (EXIF), ``colour`` and ``cropping``. ``protocol`` is what the
two may say to each other; ``limits``, ``reasons`` and ``notes`` are the words.

Nothing is imported here: a process starts with Pillow only, without even NumPy, and starts quickly.
"""
