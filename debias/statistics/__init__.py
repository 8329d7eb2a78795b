"""Groups and chance: what every room may ask, and what asks no other room.

- who is compared: ``groupings`` (samples divided by attributes, and by all of them crossed),
  ``withholding`` (which numbers would give a small count away)
- how sure: ``intervals`` (of a rate and of a difference, several at once, and what sizes can show),
  ``people`` (images of one person are not independent)
- what goes together: ``areas`` (a score and a group), ``concentration`` (weights, or a label, and a
  group), ``crossfit`` (two sets, by what was left out)
"""
