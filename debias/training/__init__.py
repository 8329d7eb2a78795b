"""One loop for every model: batches, random views, device and precision, optimiser."""
