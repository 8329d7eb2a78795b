"""Groups and chance: what every room may ask, and what asks no other room.

- who is compared: ``groupings`` (samples divided by attributes, and by all of them crossed),
  ``withholding`` (which numbers would give a small count away)
- how sure: ``counts`` (rates as numerators over denominators), ``intervals`` (of a share and of a
  difference, several at once, and what sizes can show), ``people`` (images of one person are not
  independent)
- what goes together: ``areas`` (a score and a group), ``dependence`` (a label and a group),
  ``concentration`` (weights and a group), ``crossfit`` (two sets, by what was left out)
"""
