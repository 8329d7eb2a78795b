"""``import debias`` in a notebook: the commands as functions, values that show themselves."""
